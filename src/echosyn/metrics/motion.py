"""Motion of a clip in numbers that no still shows: what a video distance needs to see more than images.

A Fréchet distance of video networks is drawn to the content of single frames (Ge et al. 2024, "On the content bias in FVD").
Here every number is a change in time; a frozen clip has the lowest ones whatever it shows, and shuffled frames the highest.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from echosyn.metrics.moments import Array

GRID = 4
BANDS = 8
EPSILON = 1e-3
VERSION = 1
"""Raised whenever a number changes its meaning."""


def motion(frames: NDArray[np.uint8]) -> Array:
    """Change over time of a clip, cell by cell and band by band; logarithms, so that ratios count.

    The clip is averaged to a coarse grid for where it moves; the mean absolute difference between neighbouring frames, the
    standard deviation in time, and how the power of the cells' levels spreads over temporal frequency.

    Args:
        frames: Shape ``(t, height, width)``, at least four frames.

    Returns:
        Shape ``(2 * 16 + 8 + 2,)``.
    """
    x = frames.astype(np.float64)
    cells = _cells(x)
    change = np.abs(np.diff(x, axis=0)).mean(axis=(1, 2))
    spectrum = np.abs(np.fft.rfft(cells - cells.mean(axis=0), axis=0)) ** 2
    bands = [band.sum() for band in np.array_split(spectrum.mean(axis=1)[1:], BANDS)]
    slow, fast = cells.std(axis=0), np.abs(np.diff(cells, axis=0)).mean(axis=0)
    return np.log(np.concatenate([slow, fast, bands, [change.mean(), change.std()]]) + EPSILON)


def trajectory(features: ArrayLike) -> Array:
    """Features of frames in order -> of the clip: mean, standard deviation in time, mean absolute change.

    Args:
        features: Shape ``(t, d)``, at least two frames.

    Returns:
        Shape ``(3 d,)``.
    """
    x = np.asarray(features, dtype=np.float64)
    return np.concatenate([x.mean(axis=0), x.std(axis=0), np.abs(np.diff(x, axis=0)).mean(axis=0)])


def debiased_trajectory(features: ArrayLike) -> Array:
    """As `trajectory` without the mean, in logarithms: what a clip shows cancels, how it changes stays.

    Args:
        features: Shape ``(t, d)``, at least three frames.

    Returns:
        Shape ``(3 d,)``: standard deviation, mean absolute change, mean absolute change of the change.
    """
    x = np.asarray(features, dtype=np.float64)
    steps = np.diff(x, axis=0)
    parts = [x.std(axis=0), np.abs(steps).mean(axis=0), np.abs(np.diff(steps, axis=0)).mean(axis=0)]
    return np.log(np.concatenate(parts) + EPSILON)


def _cells(x: Array) -> Array:
    """Mean level of each cell of a grid, ``(t, GRID * GRID)``."""
    rows = np.array_split(np.arange(x.shape[1]), GRID)
    columns = np.array_split(np.arange(x.shape[2]), GRID)
    return np.stack([x[:, r[0] : r[-1] + 1, c[0] : c[-1] + 1].mean(axis=(1, 2)) for r in rows for c in columns], axis=1)
