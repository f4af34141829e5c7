"""A DICOM cine with everything in it -> the tissue inside the sector and nothing else."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from echosyn.data.dicom import overlay, pixels, reading, regions, sector, timing
from echosyn.data.dicom.faults import BadDicomError
from echosyn.data.dicom.reading import Dataset
from echosyn.data.dicom.regions import Region
from echosyn.data.dicom.sector import Mask
from echosyn.data.video import Frames, Video

FEWEST = 8
"""Frames from which motion can be told from a change of text."""


@dataclass(frozen=True, eq=False)
class Cine:
    """What may be kept of a file: built from pixels, frame times and region boxes alone."""

    frames: Frames
    """Grey ``(T, S, S)``: the smallest square around the sector; 0 outside of it."""
    sector: Mask
    """``(S, S)``."""
    fps: float
    fps_source: str
    spacing: tuple[float, float] | None
    """Width and height of a pixel in cm, if known."""
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
    found = reading.cine(path)
    with reading.decoding("unreadable"):
        region = regions.tissue(found)
        rate, source = timing.frame_rate(found, fps)
        even = timing.is_even(found)
        if int(found.NumberOfFrames) < FEWEST:
            raise BadDicomError("too short", f"{int(found.NumberOfFrames)} frames, expected at least {FEWEST}")
    frames, colour = _region(found, region)
    mask, frames = _tissue(frames, colour, alone=region.is_part)
    box = _square(mask)
    notes = [region.note, "" if even else "uneven frame times: their mean is taken"]
    return Cine(
        np.stack([_cut(frame, box) for frame in frames]),
        _cut(mask, box),
        rate,
        source,
        region.spacing,
        tuple(note for note in notes if note),
    )


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


def _tissue(frames: Frames, colour: Mask | None, *, alone: bool) -> tuple[Mask, Frames]:
    """The sector, and the frames with nothing but tissue."""
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
    return mask, overlay.without_marks(frames, mask, moving, colour)


def _square(mask: Mask) -> tuple[int, int, int]:
    """Left, top and side of the smallest square around a mask; it may begin before the picture."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    side = int(max(height, width))
    return int(columns[0]) - (side - int(width)) // 2, int(rows[0]) - (side - int(height)) // 2, side


def _cut(picture: Frames | Mask, box: tuple[int, int, int]) -> np.ndarray:
    """A square of a picture; what lies beyond the picture is 0."""
    x, y, side = box
    result = np.zeros((side, side), picture.dtype)
    height, width = picture.shape
    top, bottom, left, right = max(0, y), min(height, y + side), max(0, x), min(width, x + side)
    result[top - y : bottom - y, left - x : right - x] = picture[top:bottom, left:right]
    return result
