"""A DICOM cine with everything in it -> the tissue inside the sector and nothing else."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from echosyn.data.dicom import overlay, pixels, reading, regions, sector, timing
from echosyn.data.dicom.faults import BadDicomError
from echosyn.data.dicom.reading import Dataset
from echosyn.data.dicom.regions import Region
from echosyn.data.dicom.sector import Mask
from echosyn.data.resizing import SQUARE_ENOUGH, squared
from echosyn.data.video import Frames, Video

FEWEST = 8
"""Frames from which motion can be told from a change of text."""


@dataclass(frozen=True, eq=False)
class Cine:
    """What may be kept of a file: built from pixels, frame times and region boxes alone."""

    frames: Frames
    """Grey ``(T, S, S)``, pixels square: the smallest square around the sector; 0 outside of it."""
    sector: Mask
    """``(S, S)``."""
    fps: float
    fps_source: str
    spacing: tuple[float, float] | None
    """Width and height of a pixel in cm, if known."""
    blackened: float
    """Share of the sector, over all frames, that was taken for text and other marks."""
    notes: tuple[str, ...]


def cine(path: Path, *, fps: float | None = None) -> Cine:
    """Read a file and keep the tissue.

    Args:
        path: DICOM file.
        fps: Frame rate for files that do not say theirs.

    Raises:
        BadDicomError: It is no ultrasound cine, shows no tissue, or cannot be read.
        MissingExtraError: pydicom is not installed.
    """
    found, corrected = reading.opened(path)
    with reading.decoding("unreadable", "a number of its header is missing or malformed"):
        region = regions.tissue(found)
        times = timing.times(found, fps)
        kept, at = np.unique(times.indices, return_inverse=True)
        if len(kept) < FEWEST:
            raise BadDicomError("too short", f"{len(kept)} frames, expected at least {FEWEST}")
    frames, colour = _region(found, region)
    colour = colour if colour is None else colour[kept]
    mask, frames, blackened = _tissue(frames[kept], colour, alone=region.is_part)
    frames, mask = _square(frames, mask, region.aspect)
    notes = (corrected, region.note, *times.notes)
    return Cine(
        frames[at], mask, times.fps, times.source, _side(region), blackened, tuple(note for note in notes if note)
    )


def _side(region: Region) -> tuple[float, float] | None:
    """Width and height in cm of a pixel that was made square."""
    if region.spacing is None or abs(region.aspect - 1) < SQUARE_ENOUGH:
        return region.spacing
    return (min(region.spacing),) * 2


def _region(found: Dataset, region: Region) -> tuple[Frames, Mask | None]:
    """Grey frames of a region, and which pixels are coloured (None if none can be): both ``(T, H, W)``."""
    cut = np.s_[region.y : region.y + region.height, region.x : region.x + region.width]
    shape = (int(found.NumberOfFrames), region.height, region.width)
    frames = np.zeros(shape, np.uint8)
    colour: Mask | None = None
    for t, frame in enumerate(pixels.frames(found)):
        part = frame[cut]
        frames[t] = Video(part[None], 1.0).grey()[0]
        if part.ndim == 3:
            colour = np.zeros(shape, bool) if colour is None else colour
            colour[t] = overlay.coloured(part)
    return frames, colour


def _tissue(frames: Frames, colour: Mask | None, *, alone: bool) -> tuple[Mask, Frames, float]:
    """The sector, the frames with nothing but tissue, and the share of the sector that was blackened for it."""
    if colour is not None and overlay.is_tinted(frames, colour):
        colour = None
    try:
        mask, moving = sector.find(sector.activity(frames, colour), alone=alone)
    except BadDicomError:
        if colour is not None:
            overlay.refuse_flow(colour, np.ones(colour.shape[1:], bool))
        raise
    if colour is not None:
        overlay.refuse_flow(colour, mask)
    return mask, *overlay.without_marks(frames, mask, moving, colour)


def _square(frames: Frames, mask: Mask, aspect: float) -> tuple[Frames, Mask]:
    """The smallest square around a mask, with square pixels: ``(T, H, W)`` and ``(H, W)`` -> ``(T, S, S)`` and ``(S, S)``.

    Last of all: what is text, and what tissue, is told on the pixels that were stored.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    frames, mask = squared(frames[:, *box], aspect), squared(255 * mask[None, *box].astype(np.uint8), aspect)[0] > 127
    height, width = mask.shape
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    around = ((top, side - height - top), (left, side - width - left))
    return np.pad(frames * mask, ((0, 0), *around)), np.pad(mask, around)
