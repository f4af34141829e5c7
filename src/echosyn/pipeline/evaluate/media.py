"""What moves on the page: single videos, a mosaic by EF, pairs of look-alikes."""

import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from echosyn.data import clips, filelist, video
from echosyn.data.frames import Frames
from echosyn.data.records import Record
from echosyn.pipeline.evaluate.look_alikes import Pair
from echosyn.pipeline.report.page import Media, Mosaic, Side
from echosyn.progress import Progress, silent

NUM_SHOWN = 8
"""Videos shown of each side."""
EF_EDGES = (0, 20, 30, 40, 50, 60, 70, 100)
ROWS = 2
"""Videos of an EF band in the mosaic."""
SECONDS = 2.0
"""Of the mosaic, about two beats."""


def videos(
    dataset: Path, records: Sequence[Record], side: Side, measured: Sequence[float] | None, progress: Progress = silent
) -> list[Media]:
    """Some videos, spread by EF, with what was asked and measured."""
    index, shown = filelist.VideoIndex(dataset), spread_by_ef(records)
    media = []
    for done, i in enumerate(shown):
        recording = video.read(index.path(records[i]))
        caption = "EF unknown" if records[i].ef is None else f"EF {records[i].ef:.0f}\N{NO-BREAK SPACE}%"
        if measured is not None:
            caption += f" asked, {measured[i]:.0f}\N{NO-BREAK SPACE}% measured"
        media.append(Media(records[i].name, caption, mp4(recording.grey(), recording.fps), side))
        progress("page", done + 1, len(shown))
    return media


def spread_by_ef(records: Sequence[Record], num: int = NUM_SHOWN) -> list[int]:
    """Indices of some records, evenly over the sorted EFs."""
    order = sorted(range(len(records)), key=lambda i: (records[i].ef is None, records[i].ef))
    return [order[p] for p in clips.spaced(len(order), num)]


def mosaic(sides: Sequence[tuple[Side, Path, Sequence[Record]]], size: int = 112) -> Mosaic | None:
    """One video of all: a column for each band of EF, `ROWS` rows of each side; black where there is none.

    Args:
        sides: who, where and which videos.
        size: height and width of a tile in pixels; videos of another size are left out.
    """
    fps, length = 32.0, round(32.0 * SECONDS)
    bands = list(itertools.pairwise(EF_EDGES))
    picture = np.zeros((length, len(sides) * ROWS * size, len(bands) * size), np.uint8)
    found = 0
    for s, (_, dataset, records) in enumerate(sides):
        index = filelist.VideoIndex(dataset)
        for column, (low, high) in enumerate(bands):
            own = [r for r in records if r.ef is not None and (low <= r.ef < high or r.ef == high == EF_EDGES[-1])]
            for row, record in enumerate(own[:ROWS]):
                recording = video.read(index.path(record))
                if recording.grey().shape[1:] == (size, size):
                    top, left = (s * ROWS + row) * size, column * size
                    tile = _resampled(recording.grey(), recording.fps, fps, length)
                    picture[:, top : top + size, left : left + size] = tile
                    found += 1
    if not found:
        return None
    return Mosaic(
        mp4=mp4(picture, fps),
        columns=[f"{low} to {high} %" if low else f"below {high} %" for low, high in bands],
        rows=[side for side, *_ in sides],
        alt=f"{found} videos side by side, a column for each band of EF",
    )


def pairs(found: Sequence[Pair], synthetic: Path, real: Path) -> list[tuple[Media, Media, float]]:
    """Look-alikes as videos: synthetic, real, similarity."""
    made, known = filelist.VideoIndex(synthetic), filelist.VideoIndex(real)
    return [(_single(made, p.synthetic, "synthetic"), _single(known, p.real, "real"), p.similarity) for p in found]


def mp4(frames: NDArray[Any], fps: float) -> bytes:
    """Grey frames as an MP4 that browsers play."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        video.write_mp4(path, frames, fps)
        return path.read_bytes()


def _single(index: filelist.VideoIndex, record: Record, side: Side) -> Media:
    recording = video.read(index.path(record))
    ef = "EF unknown" if record.ef is None else f"EF\N{NO-BREAK SPACE}{record.ef:.0f}\N{NO-BREAK SPACE}%"
    return Media(record.name, f"{side}, {ef}", mp4(recording.grey(), recording.fps), side)


def _resampled(frames: Frames, fps: float, wanted: float, length: int) -> Frames:
    """``length`` frames at another rate, from the start again where the video is shorter."""
    at = (np.arange(length) * fps / wanted).round().astype(int) % len(frames)
    chosen: Frames = frames[at]
    return chosen
