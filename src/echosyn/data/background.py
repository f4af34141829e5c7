"""What lies around the ultrasound sector, and one convention for it: black.

Around the sector of a real recording stands what encoders left, levels 1 to 10 that flicker, and steps where they took the
edge in blocks; around a synthetic one stands 0. Whoever compares the two must not compare that.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, spatial  # type: ignore[import-untyped, unused-ignore]

Frames = NDArray[np.uint8]
Mask = NDArray[np.bool_]

LEVEL = 16
"""Grey level that the background never exceeds in any frame. Protocols mean this one: it must never change."""

RIM = 1
"""Pixels of what touches the background that count as background, too: encoders smear the sector's edge. As `LEVEL`."""


def background(frames: Frames) -> Mask:
    """Where a recording shows nothing: ``(H, W)``, a function of its pixels alone.

    A pixel belongs to it if no frame exceeds `LEVEL` there, dark pixels alone lead from it to the picture's border, and it
    lies outside of the convex hull of the sector, the largest connected area that is brighter. The hull keeps dark cavities
    that are open to the side, and shadows between bright tissue: sectors are convex. A rim of `RIM` pixels goes with it, so
    this is for comparing, once, and not for cleaning files.

    Args:
        frames: uint8 ``(T, H, W)`` or ``(T, H, W, 3)``, the whole recording.
    """
    brightest = frames.max(axis=0) if frames.ndim == 3 else frames.max(axis=(0, 3))
    dark: Mask = brightest <= LEVEL
    outside = _from_border(dark) & ~hull(largest(~dark))
    found: Mask = ndimage.binary_dilation(outside, np.ones((3, 3)), iterations=RIM)
    return found


def zeroed(frames: Frames) -> Frames:
    """The frames with 0 where their `background` is."""
    found = frames.copy()
    found[:, background(frames)] = 0
    return found


def _from_border(mask: Mask) -> Mask:
    """The part of a mask that touches the picture's border."""
    labels, _ = ndimage.label(mask)
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    found: Mask = np.isin(labels, border[border > 0])
    return found


def largest(mask: Mask) -> Mask:
    """The largest connected part of a mask, through corners too; logos, traces of an ECG and specks are smaller."""
    labels, number = ndimage.label(mask, np.ones((3, 3)))
    if number == 0:
        return mask
    found: Mask = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    return found


def hull(mask: Mask) -> Mask:
    """All pixels whose centres lie in the convex hull of a mask's."""
    points: NDArray[Any] = np.argwhere(mask)
    if len(points) < 3 or (np.ptp(points, axis=0) == 0).any():
        return mask
    try:
        sides = spatial.ConvexHull(points).equations
    except spatial.QhullError:  # all on one slanted line
        return mask
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    inside: Mask = np.ones(mask.shape, bool)
    for a, b, c in sides:
        inside &= a * y + b * x + c <= 1e-9
    return inside
