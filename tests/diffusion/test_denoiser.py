"""One way to call every kind of network."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from echosyn import rng
from echosyn.diffusion.denoiser import crop, pad, predict, repeat_over_time, text_tokens


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 2, 8]))
def test_padding_is_undone_and_repeats_the_border(height: int, width: int, multiple: int) -> None:
    x = torch.arange(2.0 * height * width).reshape(2, 1, height, width)
    padded, inner = pad(x, multiple)
    assert torch.equal(crop(padded, inner), x)
    assert padded.shape[-1] % multiple == padded.shape[-2] % multiple == 0
    assert 0 <= padded.shape[-1] - width < multiple
    assert torch.equal(padded[..., 0, 0], x[..., 0, 0])
    assert torch.equal(padded[..., -1, -1], x[..., -1, -1])


def test_fourteen_becomes_sixteen_evenly_as_published():
    padded, inner = pad(torch.zeros(1, 1, 14, 14))
    assert padded.shape == (1, 1, 16, 16)
    assert inner == (slice(1, 15), slice(1, 15))


def test_dropped_conditions_are_no_ejection_fraction():
    like = torch.zeros(2, 4, 1, 1, 1)
    values, given_ = torch.tensor([[0.0], [0.6]]), torch.tensor([[False], [True]])
    assert torch.allclose(text_tokens(values, given_, like), torch.tensor([[[-1.0]], [[0.6]]]))
    assert torch.equal(text_tokens(values, None, like), values[:, None])
    assert torch.equal(text_tokens(None, None, like), torch.zeros(2, 1, 1))


def test_a_still_is_the_same_in_every_frame():
    stills = rng.normal((4, 2, 2), 0, "still", range(3))
    repeated = repeat_over_time(stills, 5)
    assert repeated.shape == (3, 4, 5, 2, 2)
    assert all(torch.equal(repeated[:, :, i], stills) for i in range(5))


def test_an_image_network_sees_every_frame_alone_with_its_videos_time(build: Callable[..., Any]) -> None:
    network, x, t = build("lidm"), rng.normal((4, 3, 6, 6), 0, "x", range(2)), torch.tensor([10, 900])
    together = predict(network, x, t, None, None, None)
    assert together.shape == x.shape
    for i in range(2):
        for frame in range(3):
            alone = predict(network, x[i : i + 1, :, frame : frame + 1], t[i], None, None, None)
            assert torch.allclose(alone[0, :, 0], together[i, :, frame], atol=1e-5)


@pytest.mark.parametrize("given_", [None, torch.tensor([[True], [False], [True]])])
def test_a_video_network_treats_items_alone(build: Callable[..., Any], given_: torch.Tensor | None) -> None:
    network, x = build("lvdm"), rng.normal((4, 8, 4, 4), 0, "x", range(3))
    stills, conditions, t = rng.normal((4, 4, 4), 0, "s", range(3)), torch.tensor([[0.2], [0.5], [0.8]]), 300
    together = predict(network, x, torch.tensor(t), stills, conditions, given_)
    for i in range(3):
        one = slice(i, i + 1)
        mask = None if given_ is None else given_[one]
        alone = predict(network, x[one], torch.tensor([t]), stills[one], conditions[one], mask)
        assert torch.allclose(alone[0], together[i], atol=1e-5)
