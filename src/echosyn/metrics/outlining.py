"""The left ventricle outlined frame by frame by a network (`echosyn.nn.cavity_unet`), and how far its EF is to be believed.

`echosyn.metrics.area` follows one outline through a video and suits the phantom's plain look. The network learned from the
clinical look and is judged on outlines of real patients. It says nothing where frames have no plausible cavity.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped, unused-ignore]
from torch import nn

from echosyn.errors import DataError
from echosyn.metrics.area import ef_from_area
from echosyn.metrics.cavity import Array

BATCH = 32
LEVELS = (0.35, 0.5, 0.65)
"""Probabilities at which pixels are cavity: the middle one counts, the others say how sharp the edge is."""
SMOOTH = 1.0
"""Frames over which probabilities are averaged: standard deviation of a Gaussian."""
SMALLEST = 60
"""Pixels; a cavity with less is none."""
LARGEST_UNCERTAINTY = 10.0
"""Points of EF; beyond, there is no statement."""
SINGLE = 0.8
"""Least share of a frame's cavity pixels in its largest part, in the median frame."""


@dataclass(frozen=True, eq=False)
class OutlinedVentricle:
    """The cavity in each frame of one video."""

    masks: NDArray[np.bool_]
    """Shape ``(t, h, w)``."""
    areas: Array
    """Square pixels, ``(t,)``."""
    ef: float | None
    """Percent by area and length (`echosyn.metrics.area.ef_from_area`), or none."""
    uncertainty: float | None
    """Points: half of the range of EF over `LEVELS`."""
    reason: str | None
    """Why there is no EF."""


def outline(frames: NDArray[np.uint8], network: nn.Module) -> OutlinedVentricle:
    """Outline the cavity of an apical four-chamber video.

    Args:
        frames: uint8 ``(t, h, w)``, sides multiples of 16; apex up, left ventricle on the right.
        network: an `echosyn.nn.cavity_unet.CavityUNet` in evaluation mode.

    Raises:
        DataError: another shape or type.
    """
    if frames.dtype != np.uint8 or frames.ndim != 3 or len(frames) == 0 or any(side % 16 for side in frames.shape[1:]):
        raise DataError(f"frames are {frames.dtype} {frames.shape}, expected uint8 (t, h, w), sides multiples of 16")
    likely = ndimage.gaussian_filter1d(_probabilities(frames, network), SMOOTH, axis=0, mode="nearest")
    parts = [_largest(frame > LEVELS[1]) for frame in likely]
    masks, share = np.stack([mask for mask, _ in parts]), float(np.median([share for _, share in parts]))
    areas = masks.sum(axis=(1, 2)).astype(float)
    low, middle, high = (_ef(likely, masks, level) for level in LEVELS)
    if middle is None or areas.min() < SMALLEST:
        reason = f"no cavity: {areas.min():.0f} pixels, expected {SMALLEST} or more"
        return OutlinedVentricle(masks, areas, None, None, reason)
    if share < SINGLE:
        return OutlinedVentricle(masks, areas, None, None, f"no single cavity: its largest part is {share:.0%}")
    uncertainty = abs((100.0 if high is None else high) - (low or 0.0)) / 2
    if uncertainty > LARGEST_UNCERTAINTY:
        reason = f"blurred edges: EF is known to {uncertainty:.0f} points, expected {LARGEST_UNCERTAINTY:.0f} or better"
        return OutlinedVentricle(masks, areas, None, uncertainty, reason)
    return OutlinedVentricle(masks, areas, middle, uncertainty, None)


@torch.no_grad()
def _probabilities(frames: NDArray[np.uint8], network: nn.Module) -> NDArray[np.float32]:
    """Of cavity, ``(t, h, w)``."""
    stills = torch.from_numpy(frames)[:, None].float() / 255
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


def _ef(likely: NDArray[np.float32], masks: NDArray[np.bool_], level: float) -> float | None:
    """EF of what is near the cavity and more likely than a level."""
    near = ndimage.binary_dilation(masks, np.ones((1, 5, 5)))
    areas = ((likely > level) & near).sum(axis=(1, 2)).astype(float)
    return ef_from_area(areas)
