"""Outlines of the left ventricle from ``VolumeTracings.csv``, and masks of what they enclose."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from echosyn.data import filelist
from echosyn.data.records import Tracing


def by_frame(dataset: Path) -> dict[str, dict[int, list[Tracing]]]:
    """Long axis and chords of every traced frame, by the video's name (without extension) and frame; none without tracings.

    Raises:
        DataError: rows of the file are wrong.
    """
    found: dict[str, dict[int, list[Tracing]]] = {}
    for tracing in filelist.read_tracings(dataset) if filelist.has_chords(dataset) else []:
        found.setdefault(filelist.stem(tracing.name), {}).setdefault(tracing.frame, []).append(tracing)
    return found


def mask(tracings: Sequence[Tracing], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The outline through the ends of the chords, filled with 1, uint8 ``(H, W)``; the first row, the long axis, is left out."""
    chords = tracings[1:]
    outline = [(c.x1, c.y1) for c in chords] + [(c.x2, c.y2) for c in reversed(chords)]
    image = Image.new("L", (shape[1], shape[0]))
    ImageDraw.Draw(image).polygon(outline, fill=1, outline=1)
    return np.array(image)
