import numpy as np
import pytest

from echosyn.metrics.motion import debiased_trajectory, motion, trajectory


def clip(seed: int, content: int = 0, frames: int = 32) -> np.ndarray:
    """A disc that breathes once in 32 frames, on a background of its own."""
    rng = np.random.default_rng(content)
    ground = rng.integers(40, 200, (16, 16)).repeat(4, 0).repeat(4, 1)
    radius = 14 + 6 * np.cos(2 * np.pi * (np.arange(frames) / 32 + np.random.default_rng(seed).uniform()))
    rows, columns = np.indices((64, 64)) - 31.5
    inside = np.hypot(rows, columns)[None] < radius[:, None, None]
    return np.where(inside, 10, ground[None]).astype(np.uint8)


def test_frozen_is_lowest_and_shuffled_is_faster():
    moving = clip(0)
    frozen = moving[:1].repeat(32, axis=0)
    shuffled = moving[np.random.default_rng(0).permutation(32)]
    assert (motion(frozen) <= motion(moving)).all()
    slow, fast = slice(0, 16), slice(16, 32)
    assert motion(shuffled)[slow] == pytest.approx(motion(moving)[slow])  # no order in a standard deviation
    assert motion(shuffled)[fast].mean() > motion(moving)[fast].mean() + 0.5


def test_content_weighs_less_than_motion():
    """The same motion of another heart is nearer than the same heart that does not move."""
    here, other, frozen = motion(clip(0)), motion(clip(0, content=1)), motion(clip(0)[:1].repeat(32, axis=0))
    assert np.linalg.norm(here - other) < np.linalg.norm(here - frozen) / 2


def test_trajectories_by_hand():
    x = np.array([[0.0, 5.0], [2.0, 5.0], [0.0, 5.0], [2.0, 5.0]])
    assert trajectory(x) == pytest.approx([1, 5, 1, 0, 2, 0])
    assert np.exp(debiased_trajectory(x)) - 1e-3 == pytest.approx([1, 0, 2, 0, 4, 0])
    assert debiased_trajectory(x + 100) == pytest.approx(debiased_trajectory(x))
