"""What a scanner draws over the tissue: colours, and marks that stand still while the tissue moves."""

import numpy as np
from scipy import ndimage

from echosyn.data.dicom.faults import BadDicomError
from echosyn.data.dicom.sector import Mask
from echosyn.data.video import Frames

CHROMA = 32
"""Difference between a pixel's channels that makes it a colour."""
BRIGHT = 40
"""Grey level from which a mark can be read, and from which tissue counts in the test for a tinted picture."""
STILL = 16
"""Grey levels by which lossy compression changes a mark that stands still; tissue changes more within a heart beat."""
LETTER = 1 / 40
"""Height of a letter against the picture; marks closer than that are blackened as one patch, so that no outline is left."""
TINTED = 0.5
"""Share of the bright pixels that are coloured if the whole picture is (a sepia map, say)."""
FLOW = 0.02
"""Share of the sector that is coloured in many frames if it shows flow; a trace or a marker covers less."""


def coloured(frame: Frames) -> Mask:
    """Which pixels of an RGB frame have a colour: ``(H, W, 3)`` -> ``(H, W)``."""
    red, green, blue = frame[..., 0], frame[..., 1], frame[..., 2]
    highest, lowest = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    return np.asarray(highest - lowest > CHROMA)


def is_tinted(frames: Frames, colour: Mask) -> bool:
    """Whether the tissue itself has a colour, both ``(T, H, W)``."""
    bright = frames > BRIGHT
    return bool((bright & colour).sum() > TINTED * max(1, bright.sum()))


def refuse_flow(colour: Mask, sector: Mask) -> None:
    """Refuse colour Doppler: flow is drawn over the tissue, which nobody sees any more.

    Raises:
        BadDicomError: More of the sector ``(H, W)`` is coloured in ``colour (T, H, W)`` than a trace or a marker covers.
    """
    share = colour[:, sector].mean(axis=1)
    if np.percentile(share, 95) > FLOW:
        raise BadDicomError("colour Doppler", f"{share.max():.0%} of the sector is coloured")


def without_marks(frames: Frames, sector: Mask, moving: Mask, colour: Mask | None) -> Frames:
    """Black outside of the sector, at coloured marks, and where something bright is that does not move as tissue does.

    Args:
        frames: Grey ``(T, H, W)``; changed in place and returned.
        sector: ``(H, W)``.
        moving: The part of the sector that moves; elsewhere all that is ever bright is a mark.
        colour: ``(T, H, W)``, or None if no colour is a mark.
    """
    brightest = frames.max(0)
    still = sector & (brightest > BRIGHT) & (~moving | (brightest - frames.min(0) <= STILL))
    frames[:, ~sector | _patches(still)] = 0
    near = _grown(sector, 2 * _side(sector) + 1)
    for frame, marks in zip(frames, () if colour is None else colour, strict=colour is not None):
        if (marks := marks & near).any():
            frame[_patches(marks)] = 0
    return frames


def _patches(marks: Mask) -> Mask:
    """Marks with what is between and around them."""
    side = _side(marks)
    solid = _grown(_grown(np.pad(marks, side), 5), side)
    for line in _lines(side):
        solid = ndimage.binary_erosion(solid, line)
    return np.asarray(solid[side:-side, side:-side])


def _side(picture: Mask) -> int:
    longer: int = max(picture.shape)
    return max(3, round(LETTER * longer))


def _grown(mask: Mask, side: int) -> Mask:
    """Every pixel becomes a square of this side: first a line, then the line a square, which is the same and faster."""
    for line in _lines(side):
        mask = ndimage.binary_dilation(mask, line)
    return mask


def _lines(side: int) -> tuple[Mask, Mask]:
    return np.ones((1, side), bool), np.ones((side, 1), bool)
