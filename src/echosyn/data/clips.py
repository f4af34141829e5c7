"""Clips: which frames of a recording a model sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def spaced(length: int, count: int) -> Indices:
    """``count`` of the numbers 0..length-1, evenly from the first to the last; all if there are fewer."""
    return np.linspace(0, length - 1, min(count, length)).round().astype(np.int64)


@dataclass(frozen=True, eq=False)
class Windows(Sequence[Indices]):
    """Every clip of a recording, by where it starts; each is made when it is asked for.

    A clip of a recording that is too short has fewer than ``length`` frames. With a ``step``, so has one at the very end
    of a recording of less than ``length * step`` frames, as in EchoNet-Dynamic.
    """

    frames: Indices
    length: int
    step: int = 1

    def __len__(self) -> int:
        return max(len(self.frames), self.length * self.step) - (self.length - 1) * self.step

    @overload
    def __getitem__(self, start: int) -> Indices: ...
    @overload
    def __getitem__(self, start: slice) -> list[Indices]: ...
    def __getitem__(self, start: int | slice) -> Indices | list[Indices]:
        if isinstance(start, slice):
            return [self[s] for s in range(*start.indices(len(self)))]
        if not 0 <= start < len(self):
            raise IndexError(start)
        return self.frames[start : start + (self.length - 1) * self.step + 1 : self.step]

    def spread(self, count: int) -> list[Indices]:
        """``count`` clips from the first to the last (fewer if there are not as many)."""
        return [self[s] for s in sorted({round(p * (len(self) - 1)) for p in np.linspace(0, 1, count)})]


def windows(num_frames: int, fps: float, target_fps: float, length: int, period: int | None = None) -> Windows:
    """The clips of a recording: in real time at ``target_fps``, or of every ``period``-th frame whatever its rate."""
    if period is not None:
        return Windows(np.arange(num_frames, dtype=np.int64), length, period)
    return Windows(resampled(num_frames, fps, target_fps), length)


def resampled(num_frames: int, fps: float, target_fps: float) -> Indices:
    """Indices that play a recording at ``target_fps``: nearest frame, same duration, at least one."""
    count = max(1, int(np.floor(num_frames * target_fps / fps + 1e-6)))
    nearest: Indices = np.rint(np.arange(count) * (fps / target_fps)).astype(np.int64)
    return np.minimum(nearest, num_frames - 1)


def clip(num_frames: int, fps: float, target_fps: float, length: int, position: float) -> Indices:
    """Indices of one clip of up to ``length`` frames at ``target_fps``; fewer if the recording is shorter.

    Args:
        num_frames: frames of the recording.
        fps: its frame rate.
        target_fps: the clip's frame rate.
        length: the most frames of the clip.
        position: where it starts, 0 (first possible frame) to 1 (exclusive; last possible frame).
    """
    return anywhere(windows(num_frames, fps, target_fps, length), position)


def anywhere(clips: Windows, position: float) -> Indices:
    """The clip at ``position``, 0 (the first) to 1 (exclusive; the last)."""
    return clips[int(position * len(clips))]
