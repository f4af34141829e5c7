"""For some synthetic videos the real training video that looks most alike: for the eyes of those who may see patients."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from echosyn.data import clips, filelist, video
from echosyn.data.records import Record
from echosyn.privacy.fingerprints import thumbnails
from echosyn.progress import Progress, silent

MAX_REAL = 400
"""Real videos that are looked through, spread over the set."""


@dataclass(frozen=True)
class Pair:
    """A synthetic video and the real one most like it."""

    synthetic: Record
    real: Record
    similarity: float
    """Pearson correlation of the thumbnails of their mean frames, at most 1."""


def nearest(
    synthetic: Path,
    synthetic_records: Sequence[Record],
    real: Path,
    real_records: Sequence[Record],
    num: int,
    progress: Progress = silent,
) -> list[Pair]:
    """The ``num`` synthetic videos that are most like a real TRAIN video, each with that one; the most alike first.

    Looks only: whether anybody is shown is for `echosyn audit` to say.
    """
    train = [r for r in real_records if r.split == "TRAIN"]
    shown = [train[i] for i in clips.spaced(len(train), MAX_REAL)]
    made = list(synthetic_records)
    if not shown or not made:
        return []
    a = _thumbnails(synthetic, made, "read synthetic videos", progress)
    b = _thumbnails(real, shown, "read real videos", progress)
    similarity = a @ b.T
    order = np.argsort(-similarity.max(axis=1), kind="stable")[:num]
    best = similarity.argmax(axis=1)
    return [Pair(made[i], shown[best[i]], float(similarity[i, best[i]])) for i in order]


def _thumbnails(dataset: Path, records: Sequence[Record], what: str, progress: Progress) -> NDArray[np.float64]:
    """Of mean frames, centred, of length 1: ``(n, d)``."""
    index, rows = filelist.VideoIndex(dataset), []
    for i, record in enumerate(records):
        frames = torch.from_numpy(video.read(index.path(record)).grey()[::4])
        small = thumbnails(frames).mean(dim=0).flatten().double().numpy()
        small = small - small.mean()
        rows.append(small / max(float(np.linalg.norm(small)), 1e-9))
        progress(what, i + 1, len(records))
    return np.array(rows, np.float64)
