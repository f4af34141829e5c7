"""The sector: where a cine shows moving tissue, found from motion alone and then described as a fan.

A pixel of tissue changes in most frames, because speckle moves and noise is always there; text, rulers, logos and the
background do not change, or only now and then. So the share of frames in which a pixel changes tells tissue from the
rest, and a fan (two straight edges, two arcs, cut by a box) fitted to the changing pixels adds the parts of the sector that
are too dark to change.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from echosyn.data import fans
from echosyn.data.dicom.faults import BadDicomError
from echosyn.data.video import Frames

Mask = NDArray[np.bool_]
Array = NDArray[np.float64]

CHANGE = 3
"""Grey levels from frame to frame that count as a change: more than lossy compression adds to a still picture."""
ACTIVE = 0.05
"""Share of frames in which a pixel of tissue changes at least."""
CLOSING = 3
"""Gaps between moving pixels that count as moving, in pixels of the grid."""
MARGIN = 0.75
"""How far inside of the fitted edge the sector begins, in pixels of the grid: the fit is about a third too large at
`echosyn.data.fans.DARK_COST`, and the rest keeps away from text that touches the edge."""
SMALLEST = 0.03
"""Part of the picture that a sector covers at least."""
AGREEMENT = 0.75
"""Overlap (IoU) of the fan with the convex hull of the changing pixels; below, it is no fan."""


def activity(frames: Frames, overlay: Mask | None = None) -> Array:
    """Share of the frames in which each pixel changes: ``(T, H, W)`` -> ``(H, W)``.

    Args:
        frames: Grey.
        overlay: ``(T, H, W)``: pixels that are not tissue; a change from or to them does not count.
    """
    count = np.zeros(frames.shape[1:])
    for t in range(1, len(frames)):
        change = np.abs(frames[t].astype(np.int16) - frames[t - 1]) >= CHANGE
        if overlay is not None:
            change &= ~(overlay[t] | overlay[t - 1])
        count += change
    return count / (len(frames) - 1)


def find(active: Array, *, alone: bool) -> tuple[Mask, Mask]:
    """The sector ``(H, W)`` from `activity`, and the part of it that is seen to move.

    Args:
        active: Of the picture, or of the tissue region that the file's tags name.
        alone: Whether it is such a region, with little else in it: then the fan may go on into its dark corners.

    Raises:
        BadDicomError: Nothing in the picture is as large and moves as much as a heart's sector.
    """
    seed = _seed(active)
    if seed.mean() < SMALLEST:
        raise BadDicomError("no sector found", "too little of the picture moves")
    step = max(1, round(max(seed.shape) / fans.GRID))
    coarse = fans.coarse(seed, step)
    hull = fans.hull(coarse > 0.5)
    fan = fans.fitted(coarse, hull)
    fan = fans.uncut(fan, coarse) if alone else fan
    mask = fan.mask(seed.shape, step, -MARGIN)
    if fans.iou(fans.coarse(mask, step) > 0.5, hull) < AGREEMENT:
        raise BadDicomError("no sector found", "what moves has not the shape of a sector")
    moving = mask & ndimage.binary_closing(seed, np.ones((CLOSING * step,) * 2))
    return mask, np.asarray(moving)


def _seed(active: Array) -> Mask:
    """The largest patch of changing pixels, without what is as thin as letters and lines."""
    thickness = max(2, round(max(active.shape) / 100))
    patch = ndimage.binary_opening(active > ACTIVE, np.ones((thickness, thickness)))
    labels, count = ndimage.label(patch)
    if count == 0:
        return np.asarray(patch)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax())
