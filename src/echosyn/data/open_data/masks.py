"""Masks of an apical view -> the long axis and chords of the left ventricle."""

import contourpy
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped, unused-ignore]

from echosyn.data import background, outlines
from echosyn.data.outlines import Points

CAVITY, WALL, ATRIUM = 1, 2, 3
"""Labels of CAMUS."""
TOUCHING = 2.0
"""Pixels within which outline and atrium count as touching: there is the mitral annulus."""
UPRIGHT = 0.5
"""How far below the ventricle the atrium lies at least, against how far beside it."""
_FEWEST = 8


class MaskError(ValueError):
    """A mask is not one of an apical view."""


def traced(mask: NDArray[np.integer], pixel_aspect: float = 1.0) -> Points:
    """Long axis and 20 chords of the cavity, ``(21, 2 ends, 2)``: column and row in stored pixels.

    The axis goes from the point of the outline that lies farthest from the mitral annulus to the annulus' middle. Where the mask
    has no atrium, the axis is the outline's principal one, from top to bottom.

    Args:
        mask: Labels ``(H, W)``; a pixel's coordinate is its centre.
        pixel_aspect: Width of a pixel over its height; chords are at a right angle to the axis on the body, not in the file.

    Raises:
        MaskError: There is no cavity, or the atrium does not lie below it.
    """
    square = np.array([pixel_aspect, 1.0])
    cavity = background.largest(mask == CAVITY)
    outline = _outline(cavity) * square
    base = _annulus(outline, mask == ATRIUM, square)
    if base is None:
        start, end = _diameter(outline, cavity, square)
    else:
        start, end = _apex(outline, base, pixel=float(square.max())), base
    return np.asarray(outlines.chords(outline, start, end) / square)


def _outline(cavity: NDArray[np.bool_]) -> Points:
    """The longest outline, between the pixels' centres."""
    padded = np.pad(cavity, 1).astype(np.float64)
    lines = [np.asarray(line) for line in contourpy.contour_generator(z=padded).lines(0.5)]
    longest = max(lines, key=len, default=np.empty((0, 2)))
    if len(longest) < _FEWEST:
        raise MaskError("it has no cavity of the left ventricle (label 1)")
    return np.asarray(longest[:-1], np.float64) - 1


def _annulus(outline: Points, atrium: NDArray[np.bool_], square: Points) -> Points | None:
    """The middle between the two ends of what touches the atrium; None without an atrium that does.

    Raises:
        MaskError: The picture does not stand upright.
    """
    if not atrium.any():
        return None
    rows, columns = np.nonzero(atrium)
    towards = np.array([columns.mean(), rows.mean()]) * square - outline.mean(axis=0)
    if towards[1] <= UPRIGHT * abs(towards[0]):
        raise MaskError("its atrium (label 3) does not lie below the ventricle, expected the apex at the top")
    far = ndimage.distance_transform_edt(~atrium)
    column, row = np.round(outline / square).astype(int).T
    height, width = atrium.shape
    touching = outline[far[row.clip(0, height - 1), column.clip(0, width - 1)] <= TOUCHING]
    if len(touching) < 2:
        return None
    beside = touching @ np.array([towards[1], -towards[0]])
    return np.asarray((touching[beside.argmin()] + touching[beside.argmax()]) / 2)


def _apex(outline: Points, base: Points, pixel: float) -> Points:
    """Where the outline lies farthest from the base; points that differ by less than a pixel count alike."""
    far = np.hypot(*(outline - base).T)
    towards = outline[far > far.max() - pixel].mean(axis=0) - base
    return np.asarray(base + towards / np.hypot(*towards) * far.max())


def _diameter(outline: Points, cavity: NDArray[np.bool_], square: Points) -> tuple[Points, Points]:
    """The ends of the outline along the cavity's principal axis, the upper one first."""
    rows, columns = np.nonzero(cavity)
    pixels = np.stack([columns, rows], axis=-1) * square
    middle = pixels.mean(axis=0)
    along = np.linalg.eigh(np.cov(pixels.T))[1][:, 1]
    along = along if along[1] > 0 else -along
    reach = (outline - middle) @ along
    return middle + reach.min() * along, middle + reach.max() * along
