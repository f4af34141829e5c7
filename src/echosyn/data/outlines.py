"""Outlines of the left ventricle: from ``VolumeTracings.csv``, as masks of what they enclose, as chords across them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from echosyn.data import filelist
from echosyn.data.phantom.ventricle import NUM_CHORDS
from echosyn.data.records import Tracing

Points = NDArray[np.float64]


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


def chords(outline: Points, start: Points, end: Points) -> Points:
    """A closed outline as EchoNet-Dynamic traces it: the long axis, then 20 chords across it, ``(21, 2 ends, 2)``.

    The chords lie in the middle of twentieths of the axis and span the outline at a right angle to it.

    Args:
        outline: Column and row in square pixels, ``(n, 2)``.
        start: Of the long axis; the apex of an apical view.
        end: Of the long axis; the middle of the base.
    """
    axis = end - start
    length = float(np.hypot(*axis))
    along = axis / max(length, 1e-9)
    across = np.array([along[1], -along[0]])
    u, v = (outline - start) @ along, (outline - start) @ across
    ahead, beside = np.roll(u, -1), np.roll(v, -1)
    rows = [np.stack([start, end])]
    for level in (np.arange(NUM_CHORDS) + 0.5) / NUM_CHORDS * length:
        crosses = (u <= level) != (ahead <= level)
        part = (level - u[crosses]) / (ahead[crosses] - u[crosses])
        at = v[crosses] + part * (beside[crosses] - v[crosses])
        low, high = (at.min(), at.max()) if len(at) else (0.0, 0.0)
        ends = sorted([start + level * along + low * across, start + level * along + high * across], key=lambda p: p[0])
        rows.append(np.stack(ends))
    return np.stack(rows)
