"""Many videos, or what is kept of them, without having all in memory: archives may be larger than that."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, overload

import numpy as np
import torch
from torch import Tensor

T = TypeVar("T")

RATE = 8.0
"""Frames a second of a video that are looked at; of one that is compared, all others besides."""
REFERENCE_EVERY = 2
"""Of those, every n-th of a real video is a reference still."""
THUMBNAIL = 28
"""Side of a thumbnail; one of its pixels is 4 of 112."""


@dataclass(frozen=True, eq=False)
class VideoDigest:
    """What is kept of a video, real or synthetic."""

    thumbnails: Tensor
    """`RATE` frames a second, float32 ``(T, THUMBNAIL, THUMBNAIL)``, grey levels."""
    latents: Tensor
    """Of every `REFERENCE_EVERY`-th of them, ``(S, C, h, w)``."""
    between: Tensor = field(default_factory=lambda: torch.zeros(0, THUMBNAIL, THUMBNAIL, dtype=torch.uint8))
    """Thumbnails of all other frames, uint8 ``(N, THUMBNAIL, THUMBNAIL)``; none of a video that is only compared with."""

    @property
    def every(self) -> Tensor:
        """All thumbnails, float32 ``(T + N, THUMBNAIL, THUMBNAIL)``: first those of `RATE`, then those between."""
        return torch.cat([self.thumbnails, self.between.float()])


class LazySequence(Sequence[T]):
    """Things that are made when they are asked for, each time.

    Args:
        num: how many.
        make: makes one of them, by its position.
    """

    def __init__(self, num: int, make: Callable[[int], T]) -> None:
        self.num, self.make = num, make

    def __len__(self) -> int:
        return self.num

    @overload
    def __getitem__(self, position: int) -> T: ...
    @overload
    def __getitem__(self, position: slice) -> "LazySequence[T]": ...
    def __getitem__(self, position: int | slice) -> "T | LazySequence[T]":
        chosen = range(self.num)[position]
        if isinstance(chosen, range):
            return LazySequence(len(chosen), lambda i: self.make(chosen[i]))
        return self.make(chosen)


class DigestFile:
    """Digests in a file; `digests` reads them from there.

    Args:
        path: a new file, for its owner alone.
        num: how many digests there will be.
    """

    def __init__(self, path: Path, num: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "r+b", buffering=0)
        self._end = 0
        self._places: list[tuple[int, torch.Size, torch.Size, torch.Size] | None] = [None] * num

    def put(self, position: int, digest: VideoDigest) -> None:
        """Keep one."""
        parts = digest.thumbnails.float(), digest.latents.float(), digest.between
        data = b"".join(part.contiguous().numpy().tobytes() for part in parts)
        written = 0
        while written < len(data):
            written += os.pwrite(self._file.fileno(), data[written:], self._end + written)
        self._places[position] = self._end, parts[0].shape, parts[1].shape, parts[2].shape
        self._end += len(data)

    @property
    def digests(self) -> Sequence[VideoDigest]:
        """All that were put."""
        return LazySequence(len(self._places), self._read)

    def _read(self, position: int) -> VideoDigest:
        found = self._places[position]
        assert found is not None, f"video {position} was not kept"
        start, thumbnails, latents, between = found
        floats, size = thumbnails.numel() + latents.numel(), between.numel()
        data = os.pread(self._file.fileno(), 4 * floats + size, start)
        values = torch.from_numpy(np.frombuffer(data, np.float32, floats).copy())
        others = torch.from_numpy(np.frombuffer(data, np.uint8, size, 4 * floats).copy())
        first, second = values.split([thumbnails.numel(), latents.numel()])
        return VideoDigest(first.view(thumbnails), second.view(latents), others.view(between))
