"""Power over frequency, in space and in time: blur takes it away, noise and grids add it, and a still network may not care.

Powers are densities in squared grey levels a pixel: white noise of variance s² has s² at every frequency.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped, unused-ignore]

from echosyn.metrics.moments import Array

Frames = NDArray[np.uint8]
Mask = NDArray[np.bool_]

RINGS = 32
"""Equal steps of spatial frequency up to the Nyquist frequency."""
WITH_CORNERS = 46
"""Rings up to the corners of the spectrum, 2^½ times as far; the last ones hold what alternates from pixel to pixel."""
WEDGES = 4
"""Directions, each 45 degrees wide: along x, down, along y, up."""
OCTAVES = {"1/16 to 1/8": (2, 4), "1/8 to 1/4": (4, 8), "1/4 to 1/2": (8, 16), "1/2 to 1": (16, 32)}
"""Bands by their ends as parts of the Nyquist frequency, and by those of `RINGS` and of `BINS`; further down is anatomy."""
CLIP = 32
"""Frames of a clip for the spectrum in time."""
BINS = CLIP // 2
FLOOR = 1e-2
"""Power that is added before logarithms are taken: an eighth of what rounding to whole grey levels adds to any picture."""
EDGE = 8.0
"""Pixels over which the window rises from the sector's edge, so that the edge itself has no power at high frequencies."""
VERSION = 1
"""Raised whenever a number changes its meaning."""


def spatial_power(frames: Frames, inside: Mask) -> tuple[Array, Array]:
    """Power of each frame inside the sector, by frequency and by direction.

    Args:
        frames: Shape ``(n, height, width)``.
        inside: The sector, ``(height, width)``.

    Returns:
        Rings ``(n, WITH_CORNERS)``: ring i has frequencies of ``i..i + 1`` steps of a 32nd of the Nyquist frequency; and, of
        the upper three octaves, each direction's power over that of all: ``(n, 3 * WEDGES)``.
    """
    window = _window(inside)
    weight = max(float((window**2).sum()), 1e-9)
    x = frames.astype(np.float64)
    mean = (x * window).sum(axis=(1, 2), keepdims=True) / max(float(window.sum()), 1e-9)
    power = np.abs(np.fft.fft2((x - mean) * window)) ** 2 / weight
    rings, wedges = _bins(*inside.shape)
    flat = power.reshape(len(x), -1)
    octaves = list(OCTAVES.values())[1:]
    parts = []
    for low, high in octaves:
        means = np.stack([_mean(flat, (rings >= low) & (rings < high) & (wedges == w)) for w in range(WEDGES)], 1)
        parts.append((means + FLOOR) / (means.mean(axis=1, keepdims=True) + FLOOR))
    return np.stack([_mean(flat, rings == i) for i in range(WITH_CORNERS)], axis=1), np.concatenate(parts, axis=1)


def spectrum(frames: Frames, inside: Mask) -> Array:
    """`spatial_power` as features, in natural logarithms: ``(n, WITH_CORNERS + 3 * WEDGES)``, rings first."""
    rings, directions = spatial_power(frames, inside)
    return np.log(np.concatenate([rings + FLOOR, directions], axis=1))


def temporal_power(clip: Array, inside: Mask) -> Array:
    """Power over frequency in time, a mean over the sector's pixels: ``(len(clip) // 2,)``, without the constant.

    Args:
        clip: Shape ``(t, height, width)``, of any float type.
        inside: The sector, ``(height, width)``.
    """
    if not inside.any():
        return np.zeros(len(clip) // 2)
    x = clip[:, inside]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(len(x)) + 0.5) / len(x))
    hann = (hann / np.sqrt((hann**2).mean())).astype(x.dtype)[:, None]
    found: Array = (np.abs(np.fft.rfft((x - x.mean(axis=0)) * hann, axis=0)) ** 2).mean(axis=1) / len(x)
    return found[1:].astype(np.float64)


def _mean(flat: Array, chosen: Mask) -> Array:
    return flat[:, chosen].mean(axis=1) if chosen.any() else np.zeros(len(flat))


def _window(inside: Mask) -> Array:
    """0 outside, rising to 1 from the edge on as half a cosine."""
    depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    window: Array = 0.5 - 0.5 * np.cos(np.pi * np.minimum(depth / EDGE, 1.0))
    return window


@lru_cache(maxsize=8)
def _bins(height: int, width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ring and wedge of each cell of a two-dimensional spectrum, flat; the constant is in no ring."""
    v, u = np.meshgrid(2 * np.fft.fftfreq(height), 2 * np.fft.fftfreq(width), indexing="ij")
    rings = np.ceil(np.hypot(u, v) * RINGS - 1e-9).astype(np.int64) - 1
    wedges = np.round(np.arctan2(v, u) / (np.pi / WEDGES)).astype(np.int64) % WEDGES
    return rings.ravel(), wedges.ravel()
