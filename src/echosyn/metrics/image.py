"""How close two sets of grey frames are, pixel by pixel: PSNR and SSIM, frame by frame."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from echosyn.errors import DataError

DATA_RANGE = 255.0
SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
C1, C2 = (0.01 * DATA_RANGE) ** 2, (0.03 * DATA_RANGE) ** 2
BATCH = 32

Frames = NDArray[np.uint8] | torch.Tensor


@dataclass(frozen=True, eq=False)
class FrameScores:
    """A score per frame and their mean."""

    per_frame: NDArray[np.float64]
    """Shape ``(n,)``."""
    mean: float
    """Mean of the finite scores: identical frames have an infinite PSNR and stay out of it; all identical: infinity."""
    num_identical: int
    """Frames equal in every pixel."""


def psnr(a: Frames, b: Frames) -> FrameScores:
    """Peak signal-to-noise ratio in dB of each pair of frames, ``10 log10(255^2 / MSE)``.

    Args:
        a: Uint8 frames, shape ``(n, height, width)``.
        b: Likewise.

    Raises:
        DataError: Not uint8, not ``(n, height, width)``, unequal shapes or no frame.
    """
    x, y = _pair(a, b)
    error = np.concatenate([((p.double() - q.double()) ** 2).mean(dim=(1, 2)).numpy() for p, q in _batches(x, y)])
    with np.errstate(divide="ignore"):
        return _scores(10.0 * np.log10(DATA_RANGE**2 / error), x, y)


def ssim(a: Frames, b: Frames) -> FrameScores:
    """Structural similarity (Wang et al. 2004: Gaussian window, sigma 1.5, 11 pixels) of each pair of frames, -1..1.

    In float32, which is 50 times faster here and off by about 1e-4 in bright flat regions; identical frames score 1.

    Args:
        a: Uint8 frames, shape ``(n, height, width)``, at least 11 pixels high and wide.
        b: Likewise.

    Raises:
        DataError: Not uint8, not ``(n, height, width)``, unequal shapes, too small or no frame.
    """
    x, y = _pair(a, b)
    if min(x.shape[1:]) < SSIM_WINDOW:
        raise DataError(f"frames of {x.shape[1]}x{x.shape[2]} pixels, expected at least 11x11 for SSIM")
    per_frame = torch.cat([_similarity(p.float(), q.float()) for p, q in _batches(x, y)]).double()
    per_frame[_identical(x, y)] = 1.0
    return _scores(per_frame.clamp(max=1.0).numpy(), x, y)


def _similarity(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Equation 13 of Wang et al. 2004, averaged over all pixels, edges mirrored: ``(n, h, w)`` twice -> ``(n,)``."""
    distance = torch.arange(SSIM_WINDOW, dtype=x.dtype) - SSIM_WINDOW // 2
    window = torch.softmax(-(distance**2) / (2 * SSIM_SIGMA**2), dim=0)
    x, y = (F.pad(z, (SSIM_WINDOW // 2,) * 4, mode="reflect") for z in (x, y))
    stacked = torch.stack([x, y, x * x, y * y, x * y]).flatten(0, 1).unsqueeze(1)
    seen = F.conv2d(F.conv2d(stacked, window.view(1, 1, -1, 1)), window.view(1, 1, 1, -1))
    mu_x, mu_y, xx, yy, xy = seen.squeeze(1).unflatten(0, (5, len(x)))
    var_x, var_y, cov = (xx - mu_x**2).clamp(min=0), (yy - mu_y**2).clamp(min=0), xy - mu_x * mu_y
    luminance = (2 * mu_x * mu_y + C1) / (mu_x**2 + mu_y**2 + C1)
    score: torch.Tensor = luminance * (2 * cov + C2) / (var_x + var_y + C2)
    return score.mean(dim=(1, 2))


def _batches(x: torch.Tensor, y: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for i in range(0, len(x), BATCH):
        yield x[i : i + BATCH], y[i : i + BATCH]


def _scores(per_frame: NDArray[np.float64], x: torch.Tensor, y: torch.Tensor) -> FrameScores:
    finite = per_frame[np.isfinite(per_frame)]
    return FrameScores(per_frame, float(finite.mean()) if len(finite) else float("inf"), int(_identical(x, y).sum()))


def _identical(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (x == y).flatten(1).all(dim=1)


def _pair(a: Frames, b: Frames) -> tuple[torch.Tensor, torch.Tensor]:
    x, y = torch.as_tensor(a).cpu(), torch.as_tensor(b).cpu()
    for name, frames in (("first", x), ("second", y)):
        if frames.dtype != torch.uint8 or frames.ndim != 3:
            raise DataError(f"the {name} frames are {frames.dtype} {tuple(frames.shape)}, expected uint8 (n, h, w)")
    if x.shape != y.shape or len(x) == 0:
        raise DataError(f"frames of shapes {tuple(x.shape)} and {tuple(y.shape)}, expected equal ones and at least one")
    return x, y
