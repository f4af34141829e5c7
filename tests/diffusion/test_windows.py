"""Windows cover a video, and every frame of every video keeps its own conditions."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from echosyn.diffusion.windows import Window, plan, stitched

sizes = st.integers(1, 80).flatmap(lambda w: st.tuples(st.integers(1, 300), st.just(w), st.integers(1, w)))


@given(sizes)
def test_every_frame_is_kept_once_and_in_order(size: tuple[int, int, int]) -> None:
    num_frames, window, hop = size
    kept = [f for w in plan(num_frames, window, hop) for f in range(w.keep, w.stop)]
    assert kept == list(range(num_frames))


@given(sizes)
def test_windows_have_the_networks_length_and_lie_in_the_video(size: tuple[int, int, int]) -> None:
    num_frames, window, hop = size
    windows = plan(num_frames, window, hop)
    assert {w.stop - w.start for w in windows} == {min(window, num_frames)}
    assert all(0 <= w.start <= w.keep < w.stop <= num_frames for w in windows)
    assert all(1 <= b.start - a.start <= hop for a, b in pairwise(windows))
    assert len(windows) == 1 + max(0, -(-(num_frames - window) // hop))


@pytest.mark.parametrize("num_frames", [64, 96, 128, 192])
def test_half_a_window_is_the_published_rule(num_frames: int) -> None:
    published = [Window(start, start + 64, start + 32) for start in range(32, num_frames - 63, 32)]
    assert plan(num_frames, 64, 32) == [Window(0, 64, 0), *published]


@pytest.mark.parametrize("size", [(0, 64, 32), (64, 0, 0), (64, 64, 0), (64, 32, 33)])
def test_impossible_sizes_are_refused(size: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="cannot plan windows"):
        plan(*size)


@given(sizes)
def test_a_denoiser_of_single_frames_does_not_notice_the_windows(size: tuple[int, int, int]) -> None:
    num_frames, window, hop = size

    def framewise(x_t: Tensor, t: Tensor) -> Tensor:
        assert x_t.shape[2] == min(window, num_frames)
        return 2 * x_t + t

    x = torch.arange(2.0 * 3 * num_frames).reshape(2, 3, num_frames, 1, 1)
    t = torch.tensor(5.0)
    assert torch.equal(stitched(framewise, window, hop)(x, t), 2 * x + t)


def test_a_later_window_sees_frames_that_it_does_not_keep():
    seen: list[list[float]] = []

    def record(x_t: Tensor, t: Tensor) -> Tensor:
        seen.append(x_t[0, 0, :, 0, 0].tolist())
        return x_t

    stitched(record, 4, 2)(torch.arange(8.0).reshape(1, 1, 8, 1, 1), torch.tensor(0.0))
    assert seen == [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7]]
