"""Frames at any times become a constant rate on which everything happens when it happened."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echosyn.data.timing import frame_indices


@given(st.lists(st.floats(0.005, 0.5), min_size=2, max_size=40))
def test_no_time_is_gained_or_lost_and_the_nearest_frame_is_held(intervals: list[float]) -> None:
    times = np.concatenate([[3.0], 3.0 + np.cumsum(intervals)])
    indices, fps = frame_indices(times)
    assert (len(indices) - 1) / fps == pytest.approx(times[-1] - times[0])
    assert (indices[0], indices[-1]) == (0, len(times) - 1)
    assert (np.diff(indices) >= 0).all()
    if not np.array_equal(indices, np.arange(len(times))):
        moments = times[0] + np.arange(len(indices)) / fps
        nearest = np.abs(times[:, None] - moments).min(0)
        assert np.allclose(np.abs(times[indices] - moments), nearest, atol=1e-9)


def test_even_frames_are_taken_once() -> None:
    indices, fps = frame_indices([0, 0.033, 0.067, 0.1])
    assert (indices.tolist(), fps) == ([0, 1, 2, 3], pytest.approx(30))


def test_a_coarse_part_is_held_and_a_fine_part_keeps_every_frame() -> None:
    times = np.concatenate([np.arange(50) / 50, 1 + np.arange(17) * 0.06])
    indices, fps = frame_indices(times)
    assert fps == pytest.approx(50, rel=0.01)
    assert set(range(50)) <= set(indices.tolist())
    assert np.bincount(indices)[51:-1].mean() == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize("times", [[0.0], [0.0, 0.0], [0.0, 0.1, 0.05], [0.0, float("nan")]])
def test_times_that_do_not_rise_are_refused(times: list[float]) -> None:
    with pytest.raises(ValueError, match="rising times"):
        frame_indices(times)
