"""One time base: frames at any times -> a constant rate, with no time gained or lost."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

EVEN = 0.1
"""Relative difference between the intervals up to which frames count as equally far apart."""
FINEST = 0.1
"""Quantile of the intervals that sets the rate: the finest that is kept up, so that no frame is lost to a coarse part."""


def frame_indices(times_s: Sequence[float] | NDArray[np.float64]) -> tuple[NDArray[np.int64], float]:
    """Which frame is shown at each moment of a constant rate: ``(N,)``, and that rate in frames a second.

    Equally spaced frames are each taken once. Otherwise the nearest frame in time is held; the first and the last moment
    are the first and the last frame's.

    Args:
        times_s: When each frame is shown, in seconds, rising.
    """
    times = np.asarray(times_s, np.float64)
    intervals = np.diff(times)
    if len(times) < 2 or not np.isfinite(times).all() or (intervals < 0).any() or times[-1] <= times[0]:
        raise ValueError("expected two or more rising times")
    duration = float(times[-1] - times[0])
    if intervals.max() - intervals.min() <= EVEN * intervals.mean():
        return np.arange(len(times)), len(intervals) / duration
    finest = float(np.quantile(intervals[intervals > 0], FINEST, method="lower"))
    steps = max(1, round(duration / finest))
    moments = times[0] + np.arange(steps + 1) * (duration / steps)
    after = np.searchsorted(times, moments).clip(1, len(times) - 1)
    nearer = moments - times[after - 1] <= times[after] - moments
    return np.where(nearer, after - 1, after).astype(np.int64), steps / duration
