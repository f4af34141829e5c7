"""The left ventricle outlined frame by frame by a network (`echosyn.nn.cavity_unet`, ``train outline``).

`echosyn.metrics.area` follows one outline through a video and suits the phantom's plain look; a network learns from whatever is
traced. An EF from these areas is worth what a validation on labelled videos of the same source says (ADR 90).
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped, unused-ignore]
from torch import nn

from echosyn.errors import DataError
from echosyn.metrics.cavity import Array

BATCH = 32
SMOOTH = 1.0
"""Frames over which probabilities are averaged: standard deviation of a Gaussian."""
SMALLEST = 60
"""Pixels; a cavity with less is none."""
SINGLE = 0.8
"""Least share of a frame's cavity pixels in its largest part, in the median frame."""


@dataclass(frozen=True, eq=False)
class OutlinedVentricle:
    """The cavity in each frame of one video."""

    masks: NDArray[np.bool_]
    """Shape ``(t, h, w)``."""
    areas: Array
    """Square pixels, ``(t,)``; NaN where there is a reason to believe none."""
    reason: str | None
    """Why there are no areas; ``None`` when there are."""


def outline(frames: NDArray[np.uint8], network: nn.Module) -> OutlinedVentricle:
    """Outline the cavity of a video.

    Args:
        frames: uint8 ``(t, h, w)``, sides multiples of 16, of the view that the network learned from.
        network: a `CavityUNet` in evaluation mode.

    Raises:
        DataError: another shape or type.
    """
    if frames.dtype != np.uint8 or frames.ndim != 3 or len(frames) == 0 or any(side % 16 for side in frames.shape[1:]):
        raise DataError(f"frames are {frames.dtype} {frames.shape}, expected uint8 (t, h, w), sides multiples of 16")
    likely = ndimage.gaussian_filter1d(_probabilities(frames, network), SMOOTH, axis=0, mode="nearest")
    parts = [_largest(frame > 0.5) for frame in likely]
    masks, share = np.stack([mask for mask, _ in parts]), float(np.median([share for _, share in parts]))
    areas, reason = masks.sum(axis=(1, 2)).astype(float), None
    if areas.min() < SMALLEST:
        reason = f"no cavity: {areas.min():.0f} pixels, expected {SMALLEST} or more"
    elif share < SINGLE:
        reason = f"no single cavity: its largest part is {share:.0%}, expected {SINGLE:.0%} or more"
    return OutlinedVentricle(masks, areas if reason is None else np.full(len(frames), np.nan), reason)


@torch.no_grad()
def _probabilities(frames: NDArray[np.uint8], network: nn.Module) -> NDArray[np.float32]:
    """Of cavity, ``(t, h, w)``."""
    stills = torch.tensor(frames)[:, None].float() / 255
    device = next(network.parameters()).device
    found = [network(part.to(device)).sigmoid().cpu() for part in stills.split(BATCH)]
    probabilities: NDArray[np.float32] = torch.cat(found)[:, 0].numpy()
    return probabilities


def _largest(mask: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], float]:
    """The largest part that hangs together, holes filled, and its share of all pixels."""
    parts, count = ndimage.label(mask)
    if count == 0:
        return mask, 0.0
    sizes = np.bincount(parts.ravel())[1:]
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(parts == 1 + sizes.argmax())
    return filled, float(sizes.max() / sizes.sum())
