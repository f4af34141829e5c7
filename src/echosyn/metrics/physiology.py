"""Beats, heart rate and ejection read off an area curve, and signs of a video that is no beating heart.

The heart rate is the one whose harmonics explain the curve best (least squares over a grid of rates), which needs a
little more than one beat; beats are then counted at the end-systolic minima that lie about one period apart.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal  # type: ignore[import-untyped, unused-ignore]

from echosyn.errors import DataError
from echosyn.metrics.area import ef_from_area
from echosyn.metrics.cavity import Array, View

RATES = np.arange(35.0, 160.0, 0.5)
"""Beats per minute that are tried."""
_HARMONICS = 3
_AS_GOOD = 0.97
"""A slower rate explains all that its double explains: the fastest rate that explains almost as much is taken."""
STATIC_EF = 4.0
"""Percent; a curve that changes less does not beat."""
STATIC_CHANGE = 0.12
"""Largest `change` of a video that stands still: hearts of 10 % EF change by 0.18 and more, a frozen frame under noise of 10
grey levels by 0.07."""
DOUBTFUL_CHANGE = 0.2
"""A video that changes less than this stands still if its ventricle ejects less than `STATIC_EF`, too."""
COLLAPSED_CONTRAST = 4.0
"""Standard deviation of the mean frame, in grey levels; an image with less shows nothing."""


@dataclass(frozen=True, eq=False)
class Rhythm:
    """What an area curve says about the heart's rhythm. ``None`` and NaN: not to be told from this curve."""

    heart_rate: float | None
    """Beats per minute."""
    num_beats: float
    """Length of the curve over the period."""
    end_diastole: NDArray[np.int64]
    """Frames of largest area, one a beat."""
    end_systole: NDArray[np.int64]
    """Frames of smallest area, one a beat."""
    irregularity: float
    """Standard deviation over mean of the times between end-systoles; NaN with fewer than three."""
    beat_efs: Array
    """Percent, one for each end-systole that has an end-diastole in the beat before."""


def rhythm(areas: Array, fps: float, view: View = "A4C") -> Rhythm:
    """Find the beats of an area curve.

    Args:
        areas: Shape ``(t,)``.
        fps: Frames per second.
        view: Decides how volume follows from area.

    Raises:
        DataError: The frame rate is not positive.
    """
    if not fps > 0:
        raise DataError(f"frame rate is {fps}, expected a positive number of frames per second")
    none = np.zeros(0, np.int64)
    ef = ef_from_area(areas, view)
    if ef is None or ef < STATIC_EF:
        return Rhythm(None, 0.0, none, none, float("nan"), np.zeros(0))
    rate = heart_rate(areas, fps)
    period = 60 * fps / rate
    smooth = ndimage.gaussian_filter1d(areas, 0.02 * fps, mode="nearest")
    systole = _dips(smooth, period)
    diastole = _dips(-smooth, period)
    gaps = np.diff(systole)
    irregularity = float(gaps.std() / gaps.mean()) if len(gaps) >= 2 else float("nan")
    efs = []
    for frame in systole:
        beat = smooth[max(0, frame - round(0.8 * period)) : frame + 1]
        if len(beat) >= 0.3 * period:
            efs.append(ef_from_area(np.resize([beat.max(), beat.min()], 8), view))
    return Rhythm(rate, len(areas) / period, diastole, systole, irregularity, np.array(efs, float))


def heart_rate(areas: Array, fps: float) -> float:
    """Beats per minute of a curve that beats."""
    time = np.arange(len(areas)) / fps
    centred = areas - areas.mean()
    rates = RATES[RATES * len(areas) / fps >= 60.0]
    if len(rates) == 0:
        raise DataError(f"{len(areas)} frames at {fps:g} fps hold no whole beat at {RATES[-1]:g} beats per minute")
    orders = np.arange(1, _HARMONICS + 1)
    angle = 2 * np.pi * rates[:, None, None] / 60 * time[:, None] * orders
    basis = np.concatenate([np.cos(angle), np.sin(angle), np.ones_like(angle[..., :1])], -1)
    q, _ = np.linalg.qr(basis)
    explained = ((centred @ q) ** 2).sum(-1)
    peaks = np.flatnonzero(ndimage.maximum_filter1d(explained, 9) == explained)
    best = peaks[explained[peaks] >= _AS_GOOD * explained.max()][-1]
    return float(rates[best])


def seam_score(frames: NDArray[np.uint8], borders: list[int]) -> float:
    """Mean absolute change from frame ``b - 1`` to ``b`` at the borders over that inside: 1 is no seam.

    Args:
        frames: Shape ``(t, height, width)``.
        borders: First frames of windows, each in ``1..t - 1``.

    Raises:
        DataError: No border, a border out of range, or nothing but borders.
    """
    change = _changes(frames)
    at = np.zeros(len(change), bool)
    if not borders or min(borders) < 1 or max(borders) >= len(frames):
        raise DataError(f"borders are {borders}, expected frames in 1..{len(frames) - 1}")
    at[np.array(borders) - 1] = True
    if at.all():
        raise DataError(f"borders are {borders}: no change is left inside the windows")
    return float(change[at].mean() / max(change[~at].mean(), 1e-9))


def change(frames: NDArray[np.uint8]) -> float:
    """How much a picture changes other than by gain, offset and movement as a whole, over its contrast.

    The part of each frame that its mean frame, a constant and the mean frame's slopes do not explain, smoothed against noise;
    the standard deviation over time of the pixels that change most (99th percentile), over that of the mean frame. Neither
    brightness nor blur counts, and the few moving pixels of a small beat do.

    Args:
        frames: Shape ``(t, height, width)``.

    Returns:
        0 for one frame repeated, or for a single one.
    """
    small = ndimage.uniform_filter(frames.astype(np.float32), 3)[:, ::2, ::2]
    mean = small.mean(axis=0)
    down, right = np.gradient(mean)
    explained, _ = np.linalg.qr(np.stack([mean, np.ones_like(mean), right, down], -1).reshape(-1, 4))
    rest = (small - mean).reshape(len(small), -1)
    rest = rest - (rest @ explained) @ explained.T
    return float(np.quantile(rest.std(axis=0), 0.99) / max(float(mean.std()), 1e-6))


def jump(frames: NDArray[np.uint8]) -> float:
    """Largest mean absolute change between neighbouring frames over the median one: 1 is smooth, a cut is far above.

    Args:
        frames: Shape ``(t, height, width)``.

    Returns:
        1 where nothing changes or there are fewer than three frames.
    """
    changes = _changes(frames)
    if len(changes) < 2 or not changes.any():
        return 1.0
    return float(changes.max() / max(float(np.median(changes)), 1e-3))


def flags(frames: NDArray[np.uint8], areas: Array, view: View = "A4C") -> list[str]:
    """What is wrong with a video, of ``collapsed``, ``static`` and ``no cavity``; empty for a beating heart."""
    found = []
    if float(frames.mean(axis=0).std()) < COLLAPSED_CONTRAST:
        found.append("collapsed")
    ef, changed = ef_from_area(areas, view), change(frames)
    if changed < STATIC_CHANGE or (changed < DOUBTFUL_CHANGE and ef is not None and ef < STATIC_EF):
        found.append("static")
    if ef is None:
        found.append("no cavity")
    return found


def _changes(frames: NDArray[np.uint8]) -> Array:
    changes: Array = np.abs(np.diff(frames.astype(np.float32), axis=0)).mean(axis=(1, 2)).astype(np.float64)
    return changes


def _dips(curve: Array, period: float) -> NDArray[np.int64]:
    """Minima at least 0.6 periods apart that reach down by half of the curve's range."""
    low, high = np.quantile(curve, [0.04, 0.96])
    padded = np.concatenate([[high], curve, [high]])
    found, _ = signal.find_peaks(-padded, distance=max(1, round(0.6 * period)), prominence=0.5 * (high - low))
    dips: NDArray[np.int64] = found - 1
    return dips
