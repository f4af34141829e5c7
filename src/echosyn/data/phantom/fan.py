"""The scan's geometry: samples in depth and angle, and where they lie in the frame."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from echosyn.data.phantom.parameters import SIZE, Look, Patient

GRIDS: dict[Look, tuple[int, int]] = {"plain": (112, 96), "clinical": (224, 160)}
"""Samples in depth, and beams."""


@dataclass(frozen=True)
class Fan:
    """Scan conversion: which polar samples make each pixel of the frame."""

    pixels: Tensor
    """``(P,)``: flat indices of the pixels inside the fan."""
    samples: Tensor
    """``(P, 4)``: the polar samples around each pixel."""
    weights: Tensor
    """``(P, 4)``: their bilinear weights."""

    def __call__(self, polar: Tensor) -> Tensor:
        """Polar ``(R, T, L)`` to the fan's pixels ``(T, P)``."""
        samples = polar.transpose(1, 2).reshape(-1, polar.shape[1])
        return F.embedding_bag(self.samples, samples, per_sample_weights=self.weights, mode="sum").T


def half_angle(patient: Patient) -> float:
    """Half of the fan's angle in radians."""
    return float(np.deg2rad(patient.probe.sector) / 2)


def depths(patient: Patient) -> tuple[float, float]:
    """Depth of the first and the last range in cm."""
    return patient.probe.footprint * patient.spacing, patient.probe.reach * patient.spacing


def fan(patient: Patient) -> Fan:
    """The scan conversion of the patient's recording."""
    ranges, lines = GRIDS[patient.look]
    row, column = np.mgrid[:SIZE, :SIZE].reshape(2, -1)
    x, y = column - patient.probe.apex_x, row - patient.probe.apex_y
    near, far = patient.probe.footprint, patient.probe.reach
    r = (np.hypot(x, y) - near) / (far - near) * (ranges - 1)
    a = (np.arctan2(x, y) / half_angle(patient) + 1) / 2 * (lines - 1)
    pixels = np.flatnonzero((r >= 0) & (r < ranges - 1) & (a >= 0) & (a < lines - 1))
    r, a = r[pixels], a[pixels]
    i, j = r.astype(np.int64), a.astype(np.int64)
    f, g = r - i, a - j
    samples = np.stack([i, i, i + 1, i + 1], -1) * lines + np.stack([j, j + 1, j, j + 1], -1)
    weights = np.stack([(1 - f) * (1 - g), (1 - f) * g, f * (1 - g), f * g], -1)
    return Fan(torch.from_numpy(pixels), torch.from_numpy(samples), torch.from_numpy(weights).float())
