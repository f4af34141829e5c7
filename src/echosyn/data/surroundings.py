"""What is burnt into a video around its sector: probe marks, rulers, ticks, an ECG, text. Found and blackened for `import`.

The sector is the largest bright patch that is thicker than letters and lines, described as a fan whose straight edges and arcs
tell it from marks beside it, and which goes on where tissue is dark. Unlike for DICOM, where everything must go that could name
somebody, tissue comes first here: a video whose sector is not found stays as it is.
"""

from typing import Literal

import numpy as np
from scipy import ndimage

from echosyn.data import background, fans
from echosyn.data.dicom import overlay
from echosyn.data.fans import Mask
from echosyn.data.frames import Frames

Verdict = Literal["sector", "clean", "none"]
"""Blackened around the sector; nothing was there to blacken; no sector was found."""

FEWEST = 8
"""Frames from which tissue can be told from a still."""
DARK = 10
"""Grey level that tissue exceeds in some frame, and what encoders leave around a sector does not."""
OFTEN = 0.08
"""Share of the frames in which tissue does so; a trace that sweeps or scrolls does it less."""
LETTER = 1 / 40
"""Height of letters against the picture's longer side; what is thinner is no sector."""
SMALLEST = 0.1
"""Part of the picture that a sector covers at least."""
RIVAL = 0.3
"""Size against the largest patch from which another one is a second view."""
MARGIN = 1.0
"""How far beyond the fitted edge the sector ends, in pixels of the fan's grid: edges are smeared, and tissue comes first."""
AGREEMENT = 0.8
"""Overlap (IoU) of the fan with the convex hull of the patch; below, it is no fan."""
FULL = 0.92
"""Share of the box around it that a fan fills at most; linear probes show a rectangle."""
WHITE = 128
"""Grey level of marks that is rare in dark tissue."""
MOVES = 0.3
"""Share of the patch that changes by `CHANGE` levels; less is a still."""
CHANGE = 8


def blackened(frames: Frames) -> tuple[Frames, Verdict]:
    """The frames with 0 around their sector, if anything that can be seen is drawn there; else the very same ones.

    Args:
        frames: Grey ``(T, H, W)``, uint8.
    """
    brightest = frames.max(axis=0)
    often = (frames > DARK).mean(axis=0) > OFTEN
    thick = _opened(often, _side(often))
    patch = _patch(thick)
    if patch is None or not _moves(frames, patch):
        return frames, "none"
    if not _is_marked(brightest, patch, background.hull(patch)):
        return frames, "clean"
    mask = _fan(patch)
    if mask is None:
        return frames, "none"
    if not _is_marked(brightest, patch, mask):
        return frames, "clean"
    found = frames.copy()
    found[:, ~mask | _on_the_edge(frames, mask) | _in_the_dark(brightest, thick, patch)] = 0
    return found, "sector"


def _patch(thick: Mask) -> Mask | None:
    """The largest connected part; None if it is small, or another one is nearly as large."""
    labels, count = ndimage.label(thick, np.ones((3, 3)))
    sizes = np.sort(np.bincount(labels.ravel(), minlength=count + 1)[1:])[::-1]
    if not count or sizes[0] < SMALLEST * thick.size or (count > 1 and sizes[1] > RIVAL * sizes[0]):
        return None
    return background.largest(thick)


def _opened(bright: Mask, side: int) -> Mask:
    """Without what is thinner than ``side`` pixels; a patch at the border goes on beyond it."""
    padded = np.pad(bright, side, mode="edge")
    return np.asarray(ndimage.binary_opening(padded, np.ones((side, side)))[side:-side, side:-side])


def _side(picture: Frames | Mask) -> int:
    longer: int = max(picture.shape)
    return max(3, round(LETTER * longer) | 1)


def _moves(frames: Frames, patch: Mask) -> bool:
    change = frames.max(axis=0)[patch].astype(np.int16) - frames.min(axis=0)[patch]
    return len(frames) >= FEWEST and bool((change >= CHANGE).mean() > MOVES)


def _is_marked(brightest: Frames, patch: Mask, sector: Mask) -> bool:
    """Whether something bright lies apart from the sector, or reaches well beyond it."""
    bright = brightest > overlay.BRIGHT
    labels, _ = ndimage.label(bright, np.ones((3, 3)))
    own = np.isin(labels, np.unique(labels[patch & bright]))
    near = ndimage.binary_dilation(sector, np.ones((5, 5)))
    return bool((bright & ~sector & ~(own & near)).any())


def _fan(patch: Mask) -> Mask | None:
    step = max(1, round(max(patch.shape) / fans.GRID))
    coarse = fans.coarse(patch, step)
    hull = fans.hull(coarse > 0.5)
    fan = fans.fitted(coarse, hull)
    rough = fan.mask(patch.shape, step)
    rows, columns = np.flatnonzero(rough.any(axis=1)), np.flatnonzero(rough.any(axis=0))
    if not rough.any() or rough.sum() > FULL * np.ptp(rows) * np.ptp(columns):
        return None
    if fans.iou(rough, background.hull(patch)) < AGREEMENT:
        return None
    fan = fans.uncut(fan, coarse, top=True).reaching(coarse > 0.5)
    core = _opened(patch, 2 * _side(patch) + 1)  # without marks that touch it
    return fan.mask(patch.shape, step, MARGIN) | background.hull(core)


def _on_the_edge(frames: Frames, sector: Mask) -> Mask:
    """Marks that reach from outside into the sector, no further than letters are high."""
    side = _side(sector)
    inner = ndimage.binary_erosion(sector, np.ones((3, 3)), iterations=side)
    drawn = overlay.drawn(frames, np.ones(sector.shape, bool)) & ~inner
    labels, _ = ndimage.label(drawn, np.ones((3, 3)))
    touching = np.unique(labels[drawn & ~sector])
    return np.asarray(np.isin(labels, touching[touching > 0]) & sector)


def _in_the_dark(brightest: Frames, thick: Mask, patch: Mask) -> Mask:
    """Strokes and dots with their halo where the sector is too dark to be seen: white, thin, and away from all tissue."""
    labels, count = ndimage.label(brightest > overlay.BRIGHT, np.ones((3, 3)))
    tissue = ndimage.binary_dilation(background.hull(patch) | thick, np.ones((3, 3)))
    white = np.bincount(labels[brightest > WHITE], minlength=count + 1) > 0
    white[labels[tissue]] = white[0] = False
    return np.asarray(ndimage.binary_dilation(white[labels], np.ones((5, 5))) & ~tissue)
