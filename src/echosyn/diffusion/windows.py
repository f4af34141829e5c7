"""Videos longer than the network's window: windows, joined at every denoising step."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, pairwise
from typing import Literal, get_args

import torch
from torch import Tensor

from echosyn.diffusion.denoiser import Denoiser

Blend = Literal["cut", "linear", "cosine", "alternate"]
"""How windows become one video.

``cut``: of each later window the frames that the earlier ones left, as published. ``linear``, ``cosine``: neighbours fade into
one another where they overlap. ``alternate``: windows that touch but do not overlap, moved by half a window at every other
call, so that no frame is computed twice and no border stays where it is.
"""
BLENDS: tuple[Blend, ...] = get_args(Blend)


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


def tiles(num_frames: int, window: int, moved: bool) -> list[Window]:
    """Windows that touch and do not overlap: as few as possible, of like length; if ``moved``, between their middles."""
    number = -(-num_frames // window)
    edges = [round(i * num_frames / number) for i in range(number + 1)]
    if moved and number > 1:
        edges = [0, *((a + b) // 2 for a, b in pairwise(edges)), num_frames]
    return [Window(a, b, a) for a, b in pairwise(edges)]


def borders(num_frames: int, window: int, hop: int, blend: Blend = "cut") -> list[int]:
    """First frames of what each later window brings in: where a seam would be."""
    if blend == "alternate":
        return sorted({w.start for moved in (False, True) for w in tiles(num_frames, window, moved)} - {0})
    return [w.keep if blend == "cut" else w.start for w in plan(num_frames, window, hop)[1:]]


def stitched(
    denoise: Callable[..., Tensor], window: int, hop: int, *per_frame: Tensor, blend: Blend = "cut"
) -> Denoiser:
    """Apply a denoiser of ``window`` frames to videos of any length.

    Windows are denoised one after the other, each with the whole batch of videos, so that the conditions bound to
    ``denoise`` stay with their own video.

    Args:
        denoise: ``(x_t, t, *per_frame) -> prediction``, other conditions bound.
        window: most frames that it takes.
        hop: frames between windows; of no account for ``alternate``.
        per_frame: conditions ``(B, T, ...)`` of the whole videos; each window gets its part.
        blend: how windows become one video. ``alternate`` counts its calls: use the result for one sampling only.
    """
    calls = count()

    def parts(x_t: Tensor, t: Tensor, windows: list[Window]) -> Iterator[tuple[Window, Tensor]]:
        for w in windows:
            yield w, denoise(x_t[:, :, w.start : w.stop], t, *(c[:, w.start : w.stop] for c in per_frame))

    def long(x_t: Tensor, t: Tensor) -> Tensor:
        num_frames = x_t.shape[2]
        if num_frames <= window:
            return denoise(x_t, t, *per_frame)
        if blend in ("linear", "cosine"):
            return _faded(parts(x_t, t, plan(num_frames, window, hop)), num_frames, blend)
        alternating = blend == "alternate"
        windows = tiles(num_frames, window, next(calls) % 2 == 1) if alternating else plan(num_frames, window, hop)
        return torch.cat([part[:, :, w.keep - w.start :] for w, part in parts(x_t, t, windows)], dim=2)

    return long


def _faded(parts: Iterator[tuple[Window, Tensor]], num_frames: int, blend: Blend) -> Tensor:
    """Mean of the windows, each weighing less towards those of its ends that others cover too."""
    found = list(parts)
    stops = [0, *(w.stop for w, _ in found[:-1])]
    starts = [*(w.start for w, _ in found[1:]), num_frames]
    shape = found[0][1].shape
    total, weights = found[0][1].new_zeros(*shape[:2], num_frames, *shape[3:]), torch.zeros(num_frames).to(found[0][1])
    for (w, part), stop, start in zip(found, stops, starts, strict=True):
        weight = torch.ones(w.stop - w.start).to(part)
        if (rising := stop - w.start) > 0:
            weight[:rising] *= _ramp(rising, blend).to(part)
        if (falling := w.stop - start) > 0:
            weight[-falling:] *= _ramp(falling, blend).flip(0).to(part)
        total[:, :, w.start : w.stop] += weight.view(-1, 1, 1) * part
        weights[w.start : w.stop] += weight
    return total / weights.view(-1, 1, 1)


def _ramp(length: int, blend: Blend) -> Tensor:
    """From near 0 to near 1; with its mirror image it adds up to 1."""
    share = (torch.arange(length) + 0.5) / length
    return share if blend == "linear" else (share * torch.pi / 2).sin().square()
