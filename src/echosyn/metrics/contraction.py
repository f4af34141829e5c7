"""When a heart contracts: a phase for each frame, 0 at end-diastole and 1 at end-systole."""

import numpy as np
from scipy import ndimage  # type: ignore[import-untyped, unused-ignore]

from echosyn.metrics.polar import Array, Pixels, sample

_PHASES = np.linspace(-0.25, 1.25, 31)
_REACH = 16.0
_SURROUNDINGS = 24.0
"""Pixels around the seed that move with the breath."""
_SLOW = 12.0
"""Frames (standard deviation) over which a movement is smoothed so that no beat is left in it."""
NUM_BINS = 8


def rough_phases(frames: Pixels, seed: tuple[float, float], elongation: float) -> Array:
    """Phases from how far each frame is the mean frame drawn together about the seed.

    Movement of the probe, gain and offset are explained away first (linear least squares), so that brightness that
    flickers is no contraction; then the common pattern of what is left speaks for itself.

    Args:
        frames: Shape ``(t, height, width)``.
        seed: Column and row in the cavity.
        elongation: Height over width of the cavity.
    """
    templates, seen = _explained(frames, seed, elongation, _REACH)
    amount: Array = np.linalg.lstsq(templates, seen.T, rcond=None)[0][4]
    nuisance, _ = np.linalg.qr(templates[:, :4])
    rest = seen - (seen @ nuisance) @ nuisance.T
    rest -= rest.mean(axis=0)
    for _ in range(2):
        pattern = rest.T @ (amount - amount.mean())
        amount = rest @ pattern / (np.linalg.norm(pattern) + 1e-9)
    return normalized(amount)


def slow_movement(frames: Pixels, seed: tuple[float, float], elongation: float) -> Array:
    """How the picture around the seed moves with the breath: columns and rows, shape ``(t, 2)``, 0 on average.

    Gain, offset and drawing together are fitted beside it, and what is as fast as a beat is smoothed away.

    Args:
        frames: Shape ``(t, height, width)``.
        seed: Column and row in the cavity.
        elongation: Height over width of the cavity.
    """
    templates, seen = _explained(frames, seed, elongation, _SURROUNDINGS)
    found = np.linalg.lstsq(templates, seen.T, rcond=None)[0][2:4]
    moved = -2.0 * ndimage.gaussian_filter1d(found.T, _SLOW, axis=0, mode="nearest")
    slow: Array = moved - moved.mean(axis=0)
    return slow


def _explained(frames: Pixels, seed: tuple[float, float], elongation: float, reach: float) -> tuple[Array, Array]:
    """What a frame near the seed may be made of, and what it is: ``(pixels, 5)`` and ``(t, pixels)``, of half size.

    The parts are the mean frame (gain), a constant (offset), its slopes to the right and down (movement by one pixel of half
    size) and the change when it is drawn together about the seed.
    """
    y, x = np.mgrid[: frames.shape[1] : 2, : frames.shape[2] : 2]
    across, along = x - seed[0], (y - seed[1]) / elongation
    window = np.exp(-0.5 * (across**2 + along**2) / reach**2)
    small = ndimage.uniform_filter(frames, (0, 3, 3))[:, ::2, ::2]
    mean = small.mean(axis=0)
    down, right = np.gradient(mean)
    together = right * across + down * along * elongation
    templates = np.stack([mean, np.ones_like(mean), right, down, together], -1) * window[..., None]
    return templates.reshape(-1, 5), (small * window).reshape(len(small), -1)


def normalized(amount: Array) -> Array:
    """Scaled so that the low and high quantiles are 0 and 1."""
    low, high = np.quantile(amount, [0.04, 0.96])
    phases: Array = ((amount - low) / max(high - low, 1e-9)).clip(-0.15, 1.15)
    return phases


def average(frames: Pixels, phases: Array) -> tuple[Array, Pixels]:
    """Mean images of frames of like phase: ``(NUM_BINS,)`` phases and ``(NUM_BINS, height, width)``."""
    bins = np.linspace(0, 1, NUM_BINS)
    share = np.exp(-0.5 * ((phases - bins[:, None]) / 0.07) ** 2) + 1e-9
    share /= share.sum(axis=1, keepdims=True)
    images: Pixels = np.tensordot(share.astype(np.float32), frames, 1)
    return share @ phases, images


def best_phases(costs: Pixels, diastole: Array, shift: Array, trust: Array) -> Array:
    """The phase at which a moving line fits each frame best, finer than the steps that are tried.

    Args:
        costs: Shape ``(t, NUM_ANGLES, len(RADII))``.
        diastole: Radii at end-diastole, ``(NUM_ANGLES,)``.
        shift: How far they come in until end-systole, ``(NUM_ANGLES,)``.
        trust: How far the edge at each angle is believed, ``(NUM_ANGLES,)``.
    """
    tried = np.average(sample(costs, diastole[:, None] - shift[:, None] * _PHASES), axis=1, weights=np.sqrt(trust))
    tried = ndimage.gaussian_filter1d(tried, 0.7, axis=0, mode="nearest")
    best = tried.argmin(axis=1).clip(1, len(_PHASES) - 2)
    frame = np.arange(len(tried))
    before, at, after = tried[frame, best - 1], tried[frame, best], tried[frame, best + 1]
    curvature = before - 2 * at + after
    offset = np.where(curvature > 1e-9, 0.5 * (before - after) / curvature.clip(min=1e-9), 0.0).clip(-0.5, 0.5)
    phases: Array = _PHASES[best] + offset * (_PHASES[1] - _PHASES[0])
    return phases
