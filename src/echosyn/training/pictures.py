"""Pictures of a training: many frames as one image or one video."""

from pathlib import Path

import numpy as np
from PIL import Image

from echosyn.data import video


def grid(frames: np.ndarray) -> np.ndarray:
    """Frames ``(rows, columns, ..., H, W)`` side by side: ``(..., rows * H, columns * W)``."""
    rows = [np.concatenate(list(row), axis=-1) for row in frames]
    return np.concatenate(rows, axis=-2)


def write_stills(path: Path, frames: np.ndarray, columns: int) -> None:
    """Grey frames ``(N, H, W)`` as a PNG, ``columns`` a row."""
    Image.fromarray(grid(frames.reshape(-1, columns, *frames.shape[1:]))).save(path)


def write_videos(folder: Path, name: str, frames: np.ndarray, fps: float, num_shown: int = 8) -> None:
    """Grey videos ``(rows, columns, T, H, W)`` as ``NAME.mp4``, and of the first column ``num_shown`` moments as ``NAME.png``."""
    video.write_mp4(folder / f"{name}.mp4", grid(frames), fps)
    moments = np.linspace(0, frames.shape[2] - 1, min(num_shown, frames.shape[2])).round().astype(int)
    Image.fromarray(grid(frames[:, 0][:, moments])).save(folder / f"{name}.png")
