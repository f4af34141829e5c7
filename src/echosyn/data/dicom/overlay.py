"""What a scanner draws over the tissue: colours, and marks that stand still while the tissue moves.

Clutter near the probe stands still, too, but fades into what is around it. What is drawn has strokes thinner than a letter is
high, which stand out of their surroundings by brightness or by stillness, many near one another, or is solid and never changes.
"""

import numpy as np
from scipy import ndimage

from echosyn.data.dicom.faults import BadDicomError
from echosyn.data.dicom.sector import Mask
from echosyn.data.video import Frames

CHROMA = 32
"""Difference between a pixel's channels that makes it a colour."""
BRIGHT = 40
"""Grey level from which a mark can be read, and from which tissue counts in the test for a tinted picture."""
STILL, ALMOST_STILL = 20, 24
"""Grey levels by which lossy compression changes a mark that stands still, and one that stands out strongly; most tissue
changes more within a heart beat."""
STEP, STRONG_STEP = 32, 64
"""Grey levels by which a stroke stands out of what is within a letter's height: as one of many, and alone."""
STROKES = 5
"""Pixels of strokes that make a text, for each pixel of a letter's height; clutter has fewer in one place."""
DRAWN = 4
"""Grey levels by which what is solid changes at most (a logo, thicker than strokes); speckle changes more."""
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


def without_marks(frames: Frames, sector: Mask, moving: Mask, colour: Mask | None) -> tuple[Frames, float]:
    """Black outside of the sector, at coloured marks, and at what is drawn over the tissue; and the sector's blackened share.

    Args:
        frames: Grey ``(T, H, W)``; changed in place and returned.
        sector: ``(H, W)``.
        moving: The part of the sector that moves; elsewhere what comes and goes counts as well.
        colour: ``(T, H, W)``, or None if no colour is a mark.
    """
    always = _patches(sector & drawn(frames, moving))
    frames[:, ~sector | always] = 0
    blackened = len(frames) * int((always & sector).sum())
    near = _grown(sector, 2 * _side(sector) + 1)
    for frame, marks in zip(frames, () if colour is None else colour, strict=colour is not None):
        if (marks := marks & near).any():
            passing = _patches(marks)
            frame[passing] = 0
            blackened += int((passing & sector & ~always).sum())
    return frames, blackened / (len(frames) * int(sector.sum()))


def drawn(frames: Frames, moving: Mask) -> Mask:
    """Strokes of text and signs, and solid signs: ``(T, H, W)`` -> ``(H, W)``."""
    brightest = frames.max(0).astype(np.int16)
    change = brightest - frames.min(0)
    window = (_side(moving) | 1,) * 2
    usual = np.median(frames, axis=0)
    lasting = np.maximum(ndimage.white_tophat(usual, window), ndimage.black_tophat(change, window))
    passing = np.where(moving, 0, ndimage.white_tophat(brightest, window))
    edge = usual - ndimage.minimum_filter(usual, 3)
    bright = brightest > BRIGHT
    strokes = bright & ((change <= STILL) & (lasting >= STEP) | (passing >= STEP))
    strong = bright & ((change <= ALMOST_STILL) & (np.maximum(lasting, edge) >= STRONG_STEP) | (passing >= STRONG_STEP))
    found = strong | _gathered(strokes)
    return np.asarray(ndimage.binary_propagation(found, np.ones((3, 3)), found | bright & (change <= DRAWN)))


def _gathered(strokes: Mask) -> Mask:
    """Those of which there are many within a letter's height of one another."""
    side = _side(strokes)
    places, count = ndimage.label(_grown(strokes, side))
    many = np.bincount(places[strokes], minlength=count + 1) >= STROKES * side
    return np.asarray(strokes & many[places])


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
