"""Texture of a grey frame in 36 named numbers, for a Fréchet distance that radiologists can read feature by feature.

The idea is Fréchet Radiomics Distance (Konz et al. 2026); the set is our own and smaller, so no published number compares with
it. Numbers are taken inside of the frame's content (levels above `BACKGROUND` and what they enclose row by row), so that the
black corners of a sector do not count.
"""

import numpy as np
from numpy.typing import NDArray

from echosyn.metrics.moments import Array

BACKGROUND = 4
LEVELS = 16
OFFSETS = ((0, 1), (1, 1), (1, 0), (1, -1))
DISTANCES = (1, 3)
SCALES = 3
VERSION = 1
"""Raised whenever a number changes its meaning."""

_INTENSITY = ("mean", "std", "skewness", "kurtosis", "p10", "median", "p90", "entropy", "uniformity")
_TEXTURE = ("contrast", "homogeneity", "energy", "correlation", "entropy")
_SHAPE = ("area", "centre row", "centre column", "spread rows", "spread columns")
NAMES = (
    *(f"intensity {name}" for name in _INTENSITY),
    *(f"co-occurrence {name} at {d}" for d in DISTANCES for name in _TEXTURE),
    *(f"gradient {name}" for name in ("mean", "std", "p90")),
    *(f"wavelet {band} at {2**s}" for s in range(1, SCALES + 1) for band in ("rows", "columns", "diagonal")),
    *(f"content {name}" for name in _SHAPE),
)


def radiomics(frames: NDArray[np.uint8]) -> Array:
    """The numbers of `NAMES` for each frame.

    Args:
        frames: Shape ``(n, height, width)``.

    Returns:
        Shape ``(n, 36)``, finite; a black frame has zeros.
    """
    return np.stack([_of_frame(frame) for frame in frames])


def _of_frame(frame: NDArray[np.uint8]) -> Array:
    inside = _content(frame)
    if not inside.any():
        return np.zeros(len(NAMES))
    x = frame.astype(np.float64)
    levels = (frame.astype(np.int64) * LEVELS) // 256
    texture = [value for d in DISTANCES for value in _co_occurrence(levels, inside, d)]
    return np.array([*_intensity(x[inside]), *texture, *_gradient(x, inside), *_wavelet(x), *_shape(inside)])


def _content(frame: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """From the first to the last bright pixel of each row: a sector with its dark cavities, without its black corners."""
    bright = frame > BACKGROUND
    from_left = np.logical_or.accumulate(bright, axis=1)
    from_right = np.logical_or.accumulate(bright[:, ::-1], axis=1)[:, ::-1]
    result: NDArray[np.bool_] = from_left & from_right
    return result


def _intensity(x: Array) -> list[float]:
    centred = x - x.mean()
    std = max(float(x.std()), 1e-6)
    p = np.bincount((x.astype(np.int64) * LEVELS) // 256, minlength=LEVELS) / len(x)
    shape = [float((centred**k).mean()) / std**k for k in (3, 4)]
    return [float(x.mean()), std, *shape, *np.quantile(x, [0.1, 0.5, 0.9]), _entropy(p), float((p**2).sum())]


def _co_occurrence(levels: NDArray[np.int64], inside: NDArray[np.bool_], distance: int) -> list[float]:
    """Haralick et al. 1973, over four directions."""
    counts = np.zeros(LEVELS * LEVELS)
    for down, right in OFFSETS:
        here, there = _shifted(down * distance, right * distance, levels.shape)
        both = inside[here] & inside[there]
        counts += np.bincount(levels[here][both] * LEVELS + levels[there][both], minlength=LEVELS * LEVELS)
    if not counts.sum():
        return [0.0] * len(_TEXTURE)
    p = counts.reshape(LEVELS, LEVELS) / counts.sum()
    p = (p + p.T) / 2
    i, j = np.indices(p.shape)
    mean = float((i * p).sum())
    variance = float(((i - mean) ** 2 * p).sum())
    covariance = float(((i - mean) * (j - mean) * p).sum())
    correlation = covariance / variance if variance > 1e-9 else 1.0
    contrast = float(((i - j) ** 2 * p).sum())
    homogeneity = float((p / (1 + (i - j) ** 2)).sum())
    return [contrast, homogeneity, float((p**2).sum()), correlation, _entropy(p.ravel())]


def _shifted(down: int, right: int, shape: tuple[int, ...]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    rows = slice(0, shape[0] - down), slice(down, shape[0])
    left, right_ = slice(0, shape[1] - abs(right)), slice(abs(right), shape[1])
    columns = (left, right_) if right >= 0 else (right_, left)
    return (rows[0], columns[0]), (rows[1], columns[1])


def _gradient(x: Array, inside: NDArray[np.bool_]) -> list[float]:
    size = np.hypot(*np.gradient(x))[inside]
    return [float(size.mean()), float(size.std()), float(np.quantile(size, 0.9))]


def _wavelet(x: Array) -> list[float]:
    """Log energies of the Haar wavelet's details, scale by scale."""
    found = []
    for _ in range(SCALES):
        x = x[: len(x) // 2 * 2, : x.shape[1] // 2 * 2]
        a, b, c, d = x[::2, ::2], x[::2, 1::2], x[1::2, ::2], x[1::2, 1::2]
        details = ((a + b - c - d) / 2, (a - b + c - d) / 2, (a - b - c + d) / 2)
        found += [float(np.log1p((detail**2).mean())) if detail.size else 0.0 for detail in details]
        x = (a + b + c + d) / 2
    return found


def _shape(inside: NDArray[np.bool_]) -> list[float]:
    rows, columns = np.nonzero(inside)
    height, width = inside.shape
    centre = [rows.mean() / height, columns.mean() / width]
    return [float(v) for v in (inside.mean(), *centre, rows.std() / height, columns.std() / width)]


def _entropy(p: Array) -> float:
    p = p[p > 0]
    return float(-(p * np.log2(p)).sum())
