"""How well a VAE gives back frames of held-out patients: numbers with intervals, and a picture."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from echosyn.data import clips
from echosyn.data.records import Record
from echosyn.diffusion.codec import LatentCodec
from echosyn.metrics.bootstrap import mean_with_interval
from echosyn.metrics.image import psnr, ssim

PICTURE = "reconstructions.png"
COLUMNS = 8
GAIN = 4
"""Differences are shown four times as large, around middle grey."""
MAX_PSNR = 100.0
"""dB of a frame that comes back exactly, whose PSNR is infinite."""

Distance = Callable[[Tensor, Tensor], Tensor]
"""Two sets of images ``(B, channels, H, W)`` in [-1, 1] -> how different each pair looks ``(B,)``."""


def judge(
    codec: LatentCodec,
    read: Callable[[Record], np.ndarray[Any, np.dtype[np.uint8]]],
    records: Sequence[Record],
    folder: Path,
    *,
    num_videos: int,
    num_frames: int,
    distance: Distance | None = None,
) -> dict[str, float]:
    """Encode and decode fixed frames, without the posterior's noise.

    Args:
        codec: the VAE.
        read: a recording's grey frames, uint8 ``(T, H, W)``.
        records: held-out videos, at least one.
        folder: gets ``reconstructions.png``: frames, reconstructions and differences one below the other.
        num_videos: at most so many, evenly spaced in ``records``.
        num_frames: of each video, evenly spaced in time.
        distance: a perceptual distance, if there is one.

    Returns:
        ``psnr`` (dB), ``ssim`` and, with ``distance``, ``perceptual``: means over patients, with ``_low`` and ``_high``, the
        95 % interval of a bootstrap over patients, where they are not too few.
    """
    chosen = _spaced(records, num_videos)
    scores: dict[str, dict[str, list[float]]] = {}
    columns = []
    for record in chosen:
        frames = torch.from_numpy(np.stack(_spaced(read(record), num_frames)))
        back = codec.reconstruct(frames)
        for name, values in _scores(codec, frames, back, distance).items():
            scores.setdefault(name, {}).setdefault(record.patient, []).extend(values.tolist())
        columns.append(_column(frames[0], back[0]))
    Image.fromarray(np.concatenate(_spaced(columns, COLUMNS), axis=1)).save(folder / PICTURE)
    result: dict[str, float] = {}
    for name, by_patient in scores.items():
        mean, interval = mean_with_interval([float(np.mean(v)) for v in by_patient.values()])
        result[name] = mean
        if interval is not None:
            result[f"{name}_low"], result[f"{name}_high"] = interval
    return result


@torch.no_grad()
def _scores(
    codec: LatentCodec, frames: Tensor, back: Tensor, distance: Distance | None
) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    scores = {"psnr": psnr(frames, back).per_frame.clip(max=MAX_PSNR), "ssim": ssim(frames, back).per_frame}
    if distance is not None:
        scores["perceptual"] = distance(codec.to_input(frames), codec.to_input(back)).double().cpu().numpy()
    return scores


def _column(frame: Tensor, back: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    difference = (128 + GAIN * (back.int() - frame.int())).clamp(0, 255).to(torch.uint8)
    return torch.cat([frame, back, difference]).numpy()


def _spaced(items: Any, count: int) -> list[Any]:
    return [items[i] for i in clips.spaced(len(items), count)]
