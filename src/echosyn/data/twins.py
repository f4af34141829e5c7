"""Twins: one recording under several names, found by content, also when it was re-encoded, scaled, brightened or trimmed.

What two recordings of one scanner share stands still, and what two beats of one heart share comes back. So frames are compared
by what changes from one to the next, and two videos are twins only if one alignment fits far better than every other
(docs/adr/0060). A fingerprint is derived from a patient: it is for working files, never for a folder that others see.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from echosyn.data.video import Frames
from echosyn.files import whole

FOLDER = "Fingerprints"
"""In a dataset folder that is being made, beside ``Videos``."""
SIDE = 12
"""Height and width of a thumbnail."""
LONGEST = 4000
"""Frames that are compared; what follows counts for byte-equality only."""

_STEPS_PER_LEVEL = 4
_LEAST = 8
"""Changes that must coincide; recordings of fewer are twins only if all pixels are equal."""
_ALIKE = 0.75
_DISTINCT = 2.75
_APART = 5
"""Frames from the best alignment to another one."""
_PICTURES_ALIKE = 0.9
_NEIGHBOURS = 16
_BLOCK = 1024

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """What is kept of a video: 144 bytes a frame."""

    digest: str
    """Of all pixels; empty if they are all equal, as those of a black video."""
    picture: Array
    """The mean frame, ``(SIDE * SIDE,)``, of mean 0 and norm 1."""
    changes: NDArray[np.int8]
    """From each frame to the next, ``(T - 1, SIDE * SIDE)``, in quarters of a level."""


class Thumbnails:
    """Takes a video frame by frame, so that it need not be in memory, and becomes its fingerprint."""

    def __init__(self) -> None:
        """Nothing seen."""
        self._digest = hashlib.sha256()
        self._seen: list[Array] = []
        self._range = (255, 0)

    def add(self, frames: Frames) -> None:
        """The next frames: ``(T, H, W)``, or one, ``(H, W)``; all of one size."""
        several = frames if frames.ndim == 3 else frames[None]
        self._digest.update(f"{several.shape[1:]}".encode() if not self._seen else b"")
        self._digest.update(several.tobytes())
        self._range = min(self._range[0], int(several.min())), max(self._range[1], int(several.max()))
        if sum(map(len, self._seen)) < LONGEST:
            down, across = (_means(side) for side in several.shape[1:])
            small = np.matmul(down, several.astype(np.float32) @ across.T)
            self._seen.append(small.reshape(len(several), SIDE * SIDE))

    def fingerprint(self) -> Fingerprint:
        """Of what was added, at least one frame."""
        seen = np.concatenate(self._seen)[:LONGEST]
        steps = np.round(np.diff(seen, axis=0) * _STEPS_PER_LEVEL).clip(-127, 127).astype(np.int8)
        mean = seen.mean(0) - seen.mean()
        picture = (mean / max(float(np.linalg.norm(mean)), 1e-6)).astype(np.float32)
        return Fingerprint(self._digest.hexdigest() if self._range[0] < self._range[1] else "", picture, steps)


def fingerprint(frames: Frames) -> Fingerprint:
    """Of a whole video, ``(T, H, W)``."""
    seen = Thumbnails()
    seen.add(frames)
    return seen.fingerprint()


def path(video: Path) -> Path:
    """Where the fingerprint of a video of a dataset folder is kept while the folder is made."""
    return video.parent.parent / FOLDER / f"{video.stem if video.suffix == '.avi' else video.name}.npz"


def write(file: Path, made: Fingerprint) -> None:
    """Keep a fingerprint, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole(file) as temporary, temporary.open("wb") as to:
        np.savez(to, digest=np.array(made.digest), picture=made.picture, changes=made.changes)


def read(file: Path) -> Fingerprint:
    """A fingerprint that was kept."""
    with np.load(file) as kept:
        return Fingerprint(str(kept["digest"]), kept["picture"], kept["changes"])


def same(a: Fingerprint, b: Fingerprint) -> bool:
    """Whether two videos show the same recording, or one a part of the other, or both a part of at least half of each."""
    if a.digest and a.digest == b.digest:
        return True
    shorter = min(len(a.changes), len(b.changes))
    if shorter < _LEAST:
        return False
    likeness, overlap = _alignments(a.changes.astype(np.float32), b.changes.astype(np.float32))
    enough = overlap >= max(_LEAST, shorter / 2)
    best = int(np.where(enough, likeness, -1.0).argmax())
    away = np.abs(np.arange(len(likeness)) - best) >= _APART
    other = max(0.0, float(likeness[away & (overlap >= _LEAST)].max(initial=0.0)))
    alike = float(likeness[best])
    return alike >= _ALIKE and 1 - other >= _DISTINCT * (1 - alike + 1e-3)


def groups(files: Sequence[Path]) -> list[list[int]]:
    """Which of the videos with these fingerprints are twins: positions in order, each in one group of at least two.

    Every fingerprint is read once for its mean picture; only the nearest in that are compared frame by frame.
    """
    if len(files) < 2:
        return []
    kept = lru_cache(maxsize=512)(lambda i: read(files[i]))
    digests: dict[str, int] = {}
    leader = list(range(len(files)))
    pictures = np.empty((len(files), SIDE * SIDE), np.float32)
    for i, file in enumerate(files):
        made = read(file)
        pictures[i] = made.picture
        leader[i] = digests.setdefault(made.digest, i) if made.digest else i
    for i, j in _candidates(pictures):
        one, other = _first(leader, i), _first(leader, j)
        if one != other and same(kept(i), kept(j)):
            leader[max(one, other)] = min(one, other)
    found: dict[int, list[int]] = {}
    for i in range(len(files)):
        found.setdefault(_first(leader, i), []).append(i)
    return [members for members in found.values() if len(members) > 1]


def named(names: Sequence[str], limit: int = 5) -> str:
    """Names of twins, for a message."""
    return " = ".join(names[:limit]) + (" = ..." if len(names) > limit else "")


def _alignments(a: Array, b: Array) -> tuple[Array, NDArray[np.int64]]:
    """Correlation of the changes ``(n, D)`` and ``(m, D)`` at every shift, ``(n + m - 1,)``, and how many coincide."""
    n, m = len(a), len(b)

    def sums(table: Array) -> NDArray[np.float64]:
        """Along the diagonals of ``(n, m)``, from the lower left one to the upper right one."""
        padded = np.zeros((n, n + m), np.float32)
        padded[:, :m] = table[::-1]
        skewed: NDArray[np.float64] = (
            padded.reshape(-1)[: n * (n + m - 1)].reshape(n, n + m - 1).sum(0, dtype=np.float64)
        )
        return skewed

    ones = np.ones((n, m), np.float32)
    product = sums(a @ b.T)
    power = sums((a**2).sum(1)[:, None] * ones) * sums((b**2).sum(1)[None] * ones)
    return (product / np.sqrt(np.maximum(power, 1e-6))).astype(np.float32), sums(ones).astype(np.int64)


def _candidates(pictures: Array) -> Iterator[tuple[int, int]]:
    """Pairs ``(i, j)`` with ``i < j`` of which one is among the other's nearest, each once or twice."""
    most = min(_NEIGHBOURS, len(pictures) - 1)
    for start in range(0, len(pictures), _BLOCK):
        alike = pictures[start : start + _BLOCK] @ pictures.T
        rows = np.arange(len(alike))
        alike[rows, start + rows] = -1
        nearest = np.argpartition(-alike, most - 1, axis=1)[:, :most]
        for row in rows:
            for j in sorted(int(j) for j in nearest[row] if alike[row, j] >= _PICTURES_ALIKE):
                i = int(start + row)
                yield min(i, j), max(i, j)


def _first(leader: list[int], i: int) -> int:
    while leader[i] != i:
        leader[i] = leader[leader[i]]
        i = leader[i]
    return i


@lru_cache(maxsize=32)
def _means(length: int) -> Array:
    """``(SIDE, length)``: means over `SIDE` equal stretches."""
    ends = np.linspace(0, length, SIDE + 1)
    pixel = np.arange(length)
    shared = np.minimum(pixel + 1, ends[1:, None]) - np.maximum(pixel, ends[:-1, None])
    means: Array = (shared.clip(0) * SIDE / length).astype(np.float32)
    return means
