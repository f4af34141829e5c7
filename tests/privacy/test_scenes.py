"""No frame of a video is passed over: it is compared, or one is that it is like."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from echosyn.privacy import scenes
from echosyn.privacy.scenes import ALIKE, SCENES, distinct


def views(num: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(num, 14, 14, generator=torch.Generator().manual_seed(seed))


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


@given(of=st.lists(st.integers(0, 5), min_size=1, max_size=30), noise=st.floats(0, 1), seed=st.integers(0, 99))
def test_every_frame_is_like_one_that_is_compared(of: list[int], noise: float, seed: int) -> None:
    frames = views(6, seed)[of] + noise * views(len(of), seed + 1000)
    chosen = distinct(frames, torch.tensor([0]))
    assert chosen[0] == 0
    assert len(set(chosen.tolist())) == len(chosen)
    for frame in frames:
        assert max(correlation(frame, frames[i]) for i in chosen) >= ALIKE - 1e-4


def test_frames_alike_are_compared_once_and_opposites_are_not_alike() -> None:
    frame = views(1)
    assert distinct(frame.expand(50, -1, -1) * torch.linspace(1, 2, 50)[:, None, None], torch.tensor([3])).tolist() == [
        3
    ]
    assert distinct(torch.cat([frame, -frame]), torch.tensor([0])).tolist() == [0, 1]


def test_nothing_is_asked_of_blank_frames() -> None:
    frames = torch.cat([torch.full((2, 14, 14), 7.0), views(1)])
    assert distinct(frames, torch.tensor([0])).tolist() == [0, 2]
    assert distinct(frames[:0], torch.zeros(0, dtype=torch.int64)).tolist() == []
    assert [scene.tolist() for scene in scenes.scenes(frames[:0])] == [[]]


@pytest.mark.parametrize("num", [1, 2, 5, 20])
def test_a_scene_is_all_frames_of_one_view(num: int) -> None:
    of = torch.arange(60) % num
    whole, *parts = scenes.scenes(views(num)[of] + 0.2 * views(60, 1))
    assert whole.tolist() == list(range(60))
    assert len(parts) == (0 if num == 1 else min(num, SCENES))
    for part in parts:
        assert len(set(of[part].tolist())) == 1
        assert len(part) == int((of == of[part[0]]).sum())
