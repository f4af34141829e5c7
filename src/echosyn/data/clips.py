"""Clips: which frames of a recording a model sees."""

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


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
    frames = resampled(num_frames, fps, target_fps)
    start = int(position * (max(0, len(frames) - length) + 1))
    return frames[start : start + length]


def evenly_spaced(num_frames: int, fps: float, target_fps: float, length: int, count: int) -> list[Indices]:
    """``count`` clips that cover a recording from its first to its last frame, for testing (fewer if it is short)."""
    frames = resampled(num_frames, fps, target_fps)
    last = max(0, len(frames) - length)
    starts = sorted({round(p * last) for p in np.linspace(0, 1, count)}) if last else [0]
    return [frames[s : s + length] for s in starts]
