"""Mean and standard deviation of a dataset's grey levels."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from echosyn import rng
from echosyn.data import clips
from echosyn.data.records import Record
from echosyn.errors import DataError

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

NUM_VIDEOS = 128
"""As many as EchoNet-Dynamic looks at."""
FRAMES_PER_VIDEO = 16


def mean_and_std(read: Callable[[Record], Pixels], records: Sequence[Record], seed: int = 0) -> tuple[float, float]:
    """Of grey levels 0..255, from frames spread evenly over up to `NUM_VIDEOS` of the given videos, drawn by ``seed``.

    Raises:
        DataError: every pixel has the same level, or there is no video.
    """
    chosen = rng.numpy_generator(seed, "grey levels").permutation(len(records))[:NUM_VIDEOS]
    counts = np.zeros(256, np.int64)
    for i in chosen:
        frames = read(records[i])
        spread = frames[clips.spaced(len(frames), FRAMES_PER_VIDEO)]
        counts += np.bincount(spread.ravel(), minlength=256)
    levels, total = np.arange(256, dtype=np.float64), counts.sum()
    mean = float(counts @ levels / max(total, 1))
    std = float(np.sqrt(counts @ (levels - mean) ** 2 / max(total, 1)))
    if std == 0:
        raise DataError(
            f"all {len(records)} video(s) are of one grey level and cannot be normalised; check their pixels with "
            "`echosyn check`"
        )
    return mean, std
