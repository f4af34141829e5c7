"""The grain of ultrasound in named numbers: how bright, how rough where it is bright, how long, how wide, how lasting.

Speckle is noise of the tissue: after log compression its spread hardly depends on the brightness, its size is that of the
pulse along the beam and that of the beam across it, and it moves with the tissue and fades slowly (Wagner et al. 1983).
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped, unused-ignore]

from echosyn.metrics.beams import beams
from echosyn.metrics.moments import Array
from echosyn.metrics.spectrum import FLOOR, RINGS, spatial_power, temporal_power

Frames = NDArray[np.uint8]
Mask = NDArray[np.bool_]

SIGMA = 2.0
"""Pixels of the Gaussian that makes the local mean; what it leaves is the grain."""
LEVELS = 16
PARTS = 6
"""Equal shares of the sector by local mean, from dark to bright."""
LAGS = (1, 2, 3, 4, 6)
"""Distances in pixels along the beam and in beams across."""
TIMES = (1, 2, 4, 8)
"""Distances in frames."""
VERSION = 1
"""Raised whenever a number changes its meaning."""

NAMES = (
    *(f"levels from {256 // LEVELS * i}" for i in range(LEVELS)),
    *(f"local {what}, part {i + 1} of {PARTS}" for what in ("mean", "deviation") for i in range(PARTS)),
    *(
        f"{where} half, {way} the beam: {what}"
        for where in ("near", "far")
        for way in ("along", "across")
        for what in (*(f"correlation at {lag}" for lag in LAGS), "length")
    ),
)


def speckle(frames: Frames, inside: Mask) -> Array:
    """The numbers of `NAMES` for each frame; a sector without pixels has zeros.

    Args:
        frames: Shape ``(n, height, width)``.
        inside: The sector, ``(height, width)``.

    Returns:
        Shape ``(n, 52)``, finite: shares of grey levels, levels, correlations and lengths (in pixels, in beams).
    """
    if not inside.any():
        return np.zeros((len(frames), len(NAMES)))
    means, grain = _grain(frames.astype(np.float32), inside)
    grid = beams(inside)
    within = grid.polar(inside.astype(np.float32)) > 0.999
    found = []
    for frame, mean, rest in zip(frames, means, grain, strict=True):
        histogram = np.bincount(frame[inside].astype(np.int64) * LEVELS // 256, minlength=LEVELS) / inside.sum()
        deviation = np.sqrt(_smoothed(rest**2, inside))
        order = np.argsort(mean[inside], kind="stable")
        parts = [[float(part.mean()) for part in np.array_split(x[inside][order], PARTS)] for x in (mean, deviation)]
        polar = grid.polar(rest / np.maximum(deviation, 1.0))  # at even contrast: bright parts do not decide
        halves = [slice(0, len(polar) // 2), slice(len(polar) // 2, None)]
        size = [c for half in halves for axis in (0, 1) for c in _correlations(polar[half], within[half], axis)]
        found.append([*histogram, *parts[0], *parts[1], *size])
    return np.array(found)


def speckle_motion(clip: Frames, inside: Mask) -> Array:
    """How the picture and its grain change over time.

    Args:
        clip: Shape ``(t, height, width)``, more than eight frames; clips of one rate compare.
        inside: The sector, ``(height, width)``.

    Returns:
        Shape ``(84,)``: the logarithms of the power in time of the picture, of its grain and of its local means (`BINS` each)
        and of the power in space of the differences of neighbouring frames (`RINGS`); the `persistence` of the grain.
    """
    x = clip.astype(np.float32)
    means, grain = _grain(x, inside)
    powers = [temporal_power(part, inside) for part in (x, grain, means)]
    differences = spatial_power(np.diff(x, axis=0), inside)[0][:, :RINGS].mean(axis=0)
    return np.concatenate([np.log(np.concatenate([*powers, differences]) + FLOOR), persistence(grain, inside)])


def persistence(grain: NDArray[np.float32], inside: Mask) -> Array:
    """Correlation of the grain with itself `TIMES` frames later at the same place, ``(4,)``; 0 without any grain.

    Args:
        grain: Picture less local mean, ``(t, height, width)``, more frames than the last of `TIMES`.
        inside: The sector.
    """
    x = grain[:, inside].astype(np.float64)
    power = (x * x).sum(axis=1)
    products = [((x[:-k] * x[k:]).sum(), np.sqrt(power[:-k] * power[k:]).sum()) for k in TIMES]
    return np.array([float(shared / max(both, 1e-9)) for shared, both in products])


def _grain(x: NDArray[np.float32], inside: Mask) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Local means, and what they leave; 0 outside the sector."""
    means = _smoothed(x, inside)
    return means, (x - means) * inside


def _smoothed(x: NDArray[np.float32], inside: Mask) -> NDArray[np.float32]:
    """Local means over the sector's pixels alone, ``(..., height, width)``."""
    still = (0.0,) * (x.ndim - 2)
    over = np.maximum(ndimage.gaussian_filter(inside.astype(np.float32), SIGMA), 1e-3)
    found: NDArray[np.float32] = ndimage.gaussian_filter(x * inside, (*still, SIGMA, SIGMA)) / over * inside
    return found


def _correlations(x: Array, within: Mask, axis: int) -> list[float]:
    """At `LAGS` along an axis of a polar picture, and where it falls to a half, in samples."""
    x, w = np.where(within, x, 0.0), within.astype(np.float64)
    if axis == 1:
        x, w = x.T, w.T
    squares, found = x * x, []
    for lag in range(1, LAGS[-1] + 1):
        power = (squares[lag:] * w[:-lag]).sum() * (squares[:-lag] * w[lag:]).sum()
        found.append(float((x[lag:] * x[:-lag]).sum() / max(float(np.sqrt(power)), 1e-9)))
    values = np.array([1.0, *found])
    below = np.flatnonzero(values < 0.5)
    i = int(below[0]) if len(below) else len(values)
    length = float(i - 1 + (values[i - 1] - 0.5) / (values[i - 1] - values[i])) if i < len(values) else float(i)
    return [*(found[lag - 1] for lag in LAGS), length]
