"""Videos longer than the network's window: overlapping windows, joined at every denoising step."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from echosyn.diffusion.denoiser import Denoiser


@dataclass(frozen=True)
class Window:
    """Frames ``start:stop`` are denoised together; of them ``keep:stop`` enter the result."""

    start: int
    stop: int
    keep: int


def plan(num_frames: int, window: int, hop: int) -> list[Window]:
    """Windows that cover ``num_frames``: the first is kept whole, of each later one what the earlier ones left.

    With ``hop == window // 2`` this is the rule of EchoNet-Synthetic. The last window is moved back where it would leave
    the video; a video shorter than the window is one window of its own length.

    Raises:
        ValueError: a size is below 1 or ``hop`` exceeds ``window``.
    """
    if min(num_frames, window, hop) < 1 or hop > window:
        raise ValueError(f"cannot plan windows of {window} with hop {hop} over {num_frames} frames")
    windows = [Window(0, min(window, num_frames), 0)]
    while (end := windows[-1].stop) < num_frames:
        start = min(windows[-1].start + hop, num_frames - window)
        windows.append(Window(start, start + window, end))
    return windows


def stitched(denoise: Callable[..., Tensor], window: int, hop: int, *per_frame: Tensor) -> Denoiser:
    """Apply a denoiser of ``window`` frames to videos of any length.

    Windows are denoised one after the other, each with the whole batch of videos, so that the conditions bound to
    ``denoise`` stay with their own video.

    Args:
        denoise: ``(x_t, t, *per_frame) -> prediction``, other conditions bound.
        window: most frames that it takes.
        hop: frames between windows.
        per_frame: conditions ``(B, T, ...)`` of the whole videos; each window gets its part.
    """

    def long(x_t: Tensor, t: Tensor) -> Tensor:
        windows = plan(x_t.shape[2], window, hop)
        if len(windows) == 1:
            return denoise(x_t, t, *per_frame)
        parts = []
        for w in windows:
            own = [c[:, w.start : w.stop] for c in per_frame]
            parts.append(denoise(x_t[:, :, w.start : w.stop], t, *own)[:, :, w.keep - w.start :])
        return torch.cat(parts, dim=2)

    return long
