"""Autocovariances in time, depth and angle, their spectra, and Gaussian fields that have them."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft  # type: ignore[import-untyped, unused-ignore]

Array = NDArray[np.float32]
Double = NDArray[np.float64]

LAGS = (33, 21, 21)
"""Distances that are known, from 0 on: frames, rings, rays; even in each direction."""
KNOTS = (6, 5, 5)
"""Frequencies, evenly spaced up to Nyquist's, at which one video's marginal spectra are compared with those of all."""
_PAD = 16
"""Frames by which a field is longer than the video, so that its end is not like its beginning."""


def sums(field: Array, weight: Array, of_weight: Double | None = None) -> Double:
    """Products of a field ``(T, R, A)`` with itself, and of its weight with itself, summed at all lags: ``(2, *LAGS)``.

    The field's mean under the weight is taken off; the quotient of the two is the autocovariance. ``of_weight`` is the weight's
    `products`, where they are known.
    """
    mean = float((field * weight).sum() / max(float(weight.sum()), 1e-9))
    return np.stack(
        [products((field - np.float32(mean)) * weight), products(weight) if of_weight is None else of_weight]
    )


def products(x: Array) -> Double:
    """Products of ``(T, R, A)`` with itself, summed at all lags: ``LAGS``."""
    shape = [fft.next_fast_len(n + lag, real=True) for n, lag in zip(x.shape, LAGS, strict=True)]
    return _even(fft.irfftn(np.abs(fft.rfftn(x.astype(np.float32), s=shape)) ** 2, s=shape))


def sums_of_stills(field: Array, weight: Array, of_weight: Double | None = None) -> Double:
    """As `sums`, each frame by itself: at lags in time it is 0. ``of_weight`` is of `products_of_stills`."""
    means = (field * weight).sum((1, 2)) / np.maximum(weight.sum((1, 2)), 1e-9)
    known = products_of_stills(weight) if of_weight is None else of_weight
    return np.stack([products_of_stills((field - means[:, None, None]) * weight), known])


def products_of_stills(x: Array) -> Double:
    """As `products`, of each frame with itself alone."""
    shape = [fft.next_fast_len(n + lag, real=True) for n, lag in zip(x.shape[1:], LAGS[1:], strict=True)]
    spectrum = (np.abs(fft.rfftn(x.astype(np.float32), s=shape, axes=(1, 2))) ** 2).sum(0)
    found = np.zeros(LAGS)
    found[0] = _even(fft.irfftn(spectrum, s=shape)[None])[0]
    return found


def in_motion(correlations: Double, moving: NDArray[Any]) -> Double:
    """Correlations ``LAGS`` with those given in depth and angle, and the course in time that ``moving`` has at each frequency."""
    at_rest = np.zeros(LAGS)
    at_rest[0] = correlations[0]
    rhythm = power(windowed(moving.astype(np.float64))).clip(1e-4)
    return from_power(power(windowed(at_rest)).clip(1e-4) * rhythm / rhythm.mean(0))


def correlation(total: Double) -> Double:
    """`sums` ``(..., 2, *LAGS)`` to autocorrelations ``(..., *LAGS)``."""
    found = total[..., 0, :, :, :] / np.maximum(total[..., 1, :, :, :], 0.5)
    result: Double = found / np.maximum(found[..., :1, :1, :1], 1e-9)
    return result


def windowed(correlations: Double) -> Double:
    """Fading to 0 at the last lags."""
    t, r, a = map(_fade, LAGS)
    result: Double = correlations * t[:, None, None] * r[:, None] * a
    return result


def power(correlations: NDArray[Any], shape: Sequence[int] | None = None) -> NDArray[Any]:
    """The spectrum of correlations ``LAGS`` (0 beyond) in the order of `scipy.fft.rfftn`, on twice the lags or a grid."""
    shape = [2 * n for n in LAGS] if shape is None else shape
    t, r, a = (
        _cosines(n, lags, axis == 2) for axis, (n, lags) in enumerate(zip(shape, correlations.shape, strict=True))
    )
    kind = correlations.dtype
    found: NDArray[Any] = r.astype(kind) @ np.tensordot(t.astype(kind), correlations, 1) @ a.T.astype(kind)
    return found


@lru_cache(maxsize=64)
def _cosines(length: int, lags: int, half: bool) -> Double:
    """What takes an even function at ``lags`` to its spectrum on a grid of some length: ``(frequencies, lags)``."""
    frequencies = np.arange(length // 2 + 1 if half else length)
    found: Double = 2 * np.cos(2 * np.pi * frequencies[:, None] * np.arange(lags) / length)
    found[:, 0] = 1
    return found


def from_power(spectrum: Double) -> Double:
    """Correlations of a spectrum on twice the lags, 1 at lag 0."""
    found = fft.irfftn(spectrum, s=[2 * n for n in LAGS])[: LAGS[0], : LAGS[1], : LAGS[2]]
    result: Double = found / found[0, 0, 0]
    return result


def marginals(correlations: Double) -> Double:
    """Spectra along each axis alone, at `KNOTS`, one after the other."""
    found = []
    for axis, num in enumerate(KNOTS):
        c = correlations[tuple(slice(None) if other == axis else 0 for other in range(3))]
        c = c * _fade(len(c))
        p = np.fft.rfft(np.concatenate([c, c[:0:-1]])).real
        near = np.maximum(0, 1 - np.abs(np.linspace(0, 1, len(p)) - np.linspace(0, 1, num)[:, None]) * (num - 1))
        found.append((near * p).sum(1) / near.sum(1))
    return np.concatenate(found)


def fields(
    correlations: Array, curves: Double, shape: tuple[int, int, int], generator: np.random.Generator
) -> list[Array]:
    """Gaussian fields ``(rings * rays, frames)``, one for each of the correlations, all made of the same white noise.

    Args:
        correlations: ``(K, *LAGS)``.
        curves: logarithms of factors on the spectrum along each axis, at `KNOTS`: ``(K, sum(KNOTS))``.
        shape: frames, rings, rays.
        generator: source of the noise.
    """
    frames, rings, rays = shape
    padded = [fft.next_fast_len(n + pad, real=True) for n, pad in ((rings, LAGS[1]), (rays, LAGS[2]), (frames, _PAD))]
    workers = torch.get_num_threads()
    white = fft.rfftn(generator.standard_normal(padded, dtype=np.float32), workers=workers)
    frequencies = [2 * np.abs(fft.fftfreq(n)) for n in padded[:2]] + [2 * fft.rfftfreq(padded[2])]
    found = []
    for known, curve in zip(correlations, curves, strict=True):
        amplitude = np.sqrt(power(known.transpose(1, 2, 0), padded).clip(0))
        time, *space = np.split(curve, np.cumsum(KNOTS)[:-1])
        for axis, part in enumerate((*space, time)):
            if part.any():
                factor = np.exp(0.5 * np.interp(frequencies[axis], np.linspace(0, 1, len(part)), part))
                amplitude *= factor.astype(np.float32).reshape([-1 if axis == other else 1 for other in range(3)])
        field = fft.irfftn(white * amplitude, s=padded, workers=workers)
        found.append(np.ascontiguousarray(field[:rings, :rays, :frames]).reshape(rings * rays, frames))
    return found


def _fade(lags: int) -> Double:
    """From 1 at lag 0, half a cosine."""
    found: Double = 0.5 + 0.5 * np.cos(np.pi * np.arange(lags) / lags)
    return found


def _even(x: Double) -> Double:
    """The known lags, mean of both signs of the last."""
    t, r, a = LAGS
    backward = np.concatenate([x[:t, :r, :1], x[:t, :r, :-a:-1]], -1)
    result: Double = (x[:t, :r, :a] + backward).astype(np.float64) / 2
    return result
