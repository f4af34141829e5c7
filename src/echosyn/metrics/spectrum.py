"""Power over frequency, in space and in time: blur takes it away, noise and grids add it, and a still network may not care.

Powers are densities in squared grey levels a pixel: white noise of variance s² has s² at every frequency.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage  # type: ignore[import-untyped, unused-ignore]

from echosyn.metrics.moments import Array

Frames = NDArray[np.uint8]
Mask = NDArray[np.bool_]

RINGS = 32
"""Equal steps of spatial frequency up to the Nyquist frequency."""
WITH_CORNERS = 46
"""Rings up to the corners of the spectrum, 2^½ times as far; the last ones hold what alternates from pixel to pixel."""
WEDGES = 4
"""Directions, each 45 degrees wide: along x, down, along y, up."""
OCTAVES = {"1/8 to 1/4": (4, 8), "1/4 to 1/2": (8, 16), "1/2 to 1": (16, 32)}
"""Octaves by their ends as parts of the Nyquist frequency, and as numbers of rings; further down is anatomy."""
BINS = 16
"""Equal steps of frequency in time up to the Nyquist frequency."""
FLOOR = 1e-2
"""Power that is added before logarithms are taken: an eighth of what rounding to whole grey levels adds to any picture."""
EDGE = 8.0
"""Pixels over which the window rises from the sector's edge, so that the edge itself has no power at high frequencies."""
VERSION = 1
"""Raised whenever a number changes its meaning."""


def spatial_power(frames: NDArray[Any], inside: Mask) -> tuple[Array, Array]:
    """Power of each frame inside the sector, by frequency and by direction.

    Args:
        frames: Shape ``(n, height, width)``; differences of frames, too.
        inside: The sector, ``(height, width)``.

    Returns:
        Rings ``(n, WITH_CORNERS)``: ring i has frequencies of ``i..i + 1`` steps of a 32nd of the Nyquist frequency; and, of
        the `OCTAVES`, each direction's power over that of all: ``(n, 3 * WEDGES)``.
    """
    window = _window(inside)
    weight = max(float((window**2).sum()), 1e-9)
    x = frames.astype(np.float32)
    mean = (x * window).sum(axis=(1, 2), keepdims=True) / max(float(window.sum()), 1e-9)
    power = np.abs(fft.rfft2((x - mean) * window)) ** 2 / weight
    bins = (power.reshape(len(x), -1) @ _bins(*inside.shape)).astype(np.float64)
    rings, wedges = bins[:, :WITH_CORNERS], bins[:, WITH_CORNERS:].reshape(len(x), -1, WEDGES) + FLOOR
    return rings, (wedges / wedges.mean(axis=2, keepdims=True)).reshape(len(x), -1)


def spectrum(frames: Frames, inside: Mask) -> Array:
    """`spatial_power` as features, in natural logarithms: ``(n, WITH_CORNERS + 3 * WEDGES)``, rings first."""
    rings, directions = spatial_power(frames, inside)
    found: Array = np.log(np.concatenate([rings + FLOOR, directions], axis=1))
    return found


def temporal_power(clip: NDArray[Any], inside: Mask) -> Array:
    """Power over frequency in time, a mean over the sector's pixels, without the constant: ``(BINS,)``.

    Args:
        clip: Shape ``(t, height, width)``; fewer than 32 frames give a smoother curve.
        inside: The sector, ``(height, width)``.
    """
    if not inside.any():
        return np.zeros(BINS)
    x = clip[:, inside].astype(np.float32)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(len(x)) + 0.5) / len(x))
    hann = (hann / np.sqrt((hann**2).mean())).astype(np.float32)[:, None]
    spectrum = fft.rfft((x - x.mean(axis=0)) * hann, n=max(len(x), 2 * BINS), axis=0)
    power = (np.abs(spectrum) ** 2).mean(axis=1, dtype=np.float64)[1:] / len(x)
    return np.array([part.mean() for part in np.array_split(power, BINS)])


def _window(inside: Mask) -> NDArray[np.float32]:
    """0 outside, rising to 1 from the edge on as half a cosine."""
    depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    window: NDArray[np.float32] = (0.5 - 0.5 * np.cos(np.pi * np.minimum(depth / EDGE, 1.0))).astype(np.float32)
    return window


@lru_cache(maxsize=8)
def _bins(height: int, width: int) -> NDArray[np.float32]:
    """What takes the cells of a half spectrum to their means over rings and over the wedges of octaves; empty bins are 0."""
    v, u = (part.ravel() for part in np.meshgrid(2 * fft.fftfreq(height), 2 * fft.rfftfreq(width), indexing="ij"))
    ring = np.ceil(np.hypot(u, v) * RINGS - 1e-9) - 1
    wedge = np.round(np.arctan2(v, u) / (np.pi / WEDGES)) % WEDGES
    columns = [ring == i for i in range(WITH_CORNERS)]
    for low, high in OCTAVES.values():
        columns += [(ring >= low) & (ring < high) & (wedge == w) for w in range(WEDGES)]
    chosen = np.stack(columns, axis=1).astype(np.float32)
    found: NDArray[np.float32] = chosen / np.maximum(chosen.sum(axis=0), 1)
    return found
