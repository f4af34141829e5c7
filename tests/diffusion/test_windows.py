"""Windows cover a video, and every frame of every video keeps its own conditions."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from echosyn.diffusion.windows import BLENDS, Blend, Window, borders, plan, stitched, tiles

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


# Blending


@given(sizes, st.sampled_from(BLENDS))
def test_no_blend_is_noticed_by_a_denoiser_of_single_frames(size: tuple[int, int, int], blend: Blend) -> None:
    num_frames, window, hop = size

    def framewise(x_t: Tensor, t: Tensor, course: Tensor) -> Tensor:
        assert x_t.shape[2] == course.shape[1] <= window
        return 2 * x_t + t + course.view(len(course), 1, -1, 1, 1)

    x = torch.arange(2.0 * 3 * num_frames).reshape(2, 3, num_frames, 1, 1)
    course = torch.arange(2.0 * num_frames).reshape(2, num_frames)
    denoise = stitched(framewise, window, hop, course, blend=blend)
    t = torch.tensor(5.0)
    for _ in range(2):
        assert torch.allclose(denoise(x, t), framewise_answer(x, t, course), rtol=1e-5)


def framewise_answer(x: Tensor, t: Tensor, course: Tensor) -> Tensor:
    return 2 * x + t + course.view(len(course), 1, -1, 1, 1)


@given(sizes, st.booleans())
def test_tiles_cover_every_frame_once_within_the_window(size: tuple[int, int, int], moved: bool) -> None:
    num_frames, window, _ = size
    found = tiles(num_frames, window, moved)
    assert [f for w in found for f in range(w.start, w.stop)] == list(range(num_frames))
    assert all(1 <= w.stop - w.start <= window for w in found) or window == 1
    assert len(found) <= -(-num_frames // window) + 1


@given(sizes.filter(lambda s: s[0] > s[1] > 3))
def test_no_border_of_alternating_windows_stays_where_it_is(size: tuple[int, int, int]) -> None:
    num_frames, window, _ = size
    still, moved = ({w.start for w in tiles(num_frames, window, m)} - {0} for m in (False, True))
    assert not still & moved


def disagreeing(x_t: Tensor, t: Tensor) -> Tensor:
    """Every window has its own idea of the brightness: the index of its first frame."""
    return torch.zeros_like(x_t) + x_t[:, :, :1]


@pytest.mark.parametrize("blend", ["linear", "cosine"])
def test_fading_spreads_a_disagreement_over_the_overlap(blend: Blend) -> None:
    x = torch.arange(96.0).view(1, 1, 96, 1, 1)
    hard = stitched(disagreeing, 64, 32)(x, torch.tensor(0.0)).flatten()
    soft = stitched(disagreeing, 64, 32, blend=blend)(x, torch.tensor(0.0)).flatten()
    assert float(hard.diff().abs().max()) == 32
    assert float(soft.diff().abs().max()) < 2
    assert soft.diff().min() >= 0
    assert float(soft[0]) == 0
    assert float(soft[-1]) == 32


def test_alternating_windows_compute_no_frame_twice() -> None:
    computed = dict.fromkeys(BLENDS, 0)

    def counting(blend: Blend) -> Callable[[Tensor, Tensor], Tensor]:
        def denoise(x_t: Tensor, t: Tensor) -> Tensor:
            computed[blend] += x_t.shape[2]
            return x_t

        return denoise

    for blend in BLENDS:
        denoise = stitched(counting(blend), 64, 32, blend=blend)
        for _ in range(4):
            denoise(torch.zeros(1, 1, 192, 1, 1), torch.tensor(0.0))
    assert computed == {"cut": 4 * 320, "linear": 4 * 320, "cosine": 4 * 320, "alternate": 4 * 192}


def test_borders_are_where_windows_hand_over() -> None:
    assert borders(192, 64, 32) == [64, 96, 128, 160]
    assert borders(192, 64, 48, "linear") == [48, 96, 128]
    assert borders(192, 64, 32, "alternate") == [32, 64, 96, 128, 160]
    assert borders(64, 64, 32) == borders(40, 64, 32, "alternate") == []
