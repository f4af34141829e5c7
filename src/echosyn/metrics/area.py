"""Ejection fraction from the cavity's area, by classical image processing: a measurement that no network taught.

The left ventricle's outline moves in and out with one phase. Phase and outline are found in turn: images of like phase
are averaged, the closed line of strongest dark-to-bright edges is searched in all of them together
(:mod:`~echosyn.metrics.polar`), a family of plausible outlines is fitted to it (:mod:`~echosyn.metrics.cavity`), and each
frame gets the phase at which the outline fits best (:mod:`~echosyn.metrics.contraction`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped, unused-ignore]

from echosyn.errors import DataError
from echosyn.metrics.cavity import FAMILIES, Array, Family, View, ends, volume_from_area
from echosyn.metrics.contraction import average, best_phases, normalized, rough_phases, slow_movement
from echosyn.metrics.polar import (
    ANGLES,
    Pixels,
    at_steps,
    edge_costs,
    expectation,
    moving_line,
    polygon_area,
    radii_of,
    sample,
)

SIZE = 112
EXTREMES = (0.06, 0.94)
"""Quantiles of an area curve that count as end-systole and end-diastole; its very extremes are noise."""
MIN_FRAMES = 8
_TOLERANCES = (0.001, 0.003, 0.006)
"""Cost of a squared pixel away from the expected outline, round by round."""
MIN_CONTRAST = 0.02
"""An outline with less is no cavity's."""
_ROBUST = 1.5
"""Pixels; what is farther away from the outline is doubted."""


@dataclass(frozen=True, eq=False)
class LeftVentricle:
    """The tracked cavity of one video."""

    areas: Array
    """Square pixels, shape ``(t,)``; NaN if no cavity was found."""
    diastole: Array
    """Outline at end-diastole: column and row, shape ``(n, 2)``."""
    systole: Array
    """Outline at end-systole, shape ``(n, 2)``."""
    contrast: float
    """Mean step from dark to bright across the outline, less what is bright inside; 1 is tissue against blood."""
    reason: str | None
    """Why there are no areas; ``None`` when there are."""


def lv_area(frames: NDArray[np.uint8], view: View = "A4C") -> Array:
    """Area of the left ventricle's cavity in each frame: square pixels, shape ``(t,)``. See `track_lv`."""
    return track_lv(frames, view).areas


def track_lv(frames: NDArray[np.uint8], view: View = "A4C") -> LeftVentricle:
    """Find the left ventricle and follow it.

    Args:
        frames: Uint8, shape ``(t, 112, 112)``. A4C: apex up, left ventricle right of the septum or centred.
        view: Which cut through the heart.

    Raises:
        DataError: Another shape, type or view.
    """
    if frames.dtype != np.uint8 or frames.ndim != 3 or frames.shape[1:] != (SIZE, SIZE) or len(frames) == 0:
        raise DataError(f"frames are {frames.dtype} {frames.shape}, expected uint8 (t, {SIZE}, {SIZE}), t at least 1")
    if view not in FAMILIES:
        raise DataError(f"view is {view!r}, expected one of {', '.join(FAMILIES)}")
    family = FAMILIES[view]
    levels = _levels(frames)
    typical = family.typical.copy()
    typical[:2] += _top_of_fan(levels.mean(axis=0))
    levels = _held_still(levels, slow_movement(levels, _seed(family, typical), family.elongation))
    numbers, seed, trust = typical, _seed(family, typical), family.trust(ANGLES.astype(np.float64))
    phases = rough_phases(levels, seed, family.elongation)
    for tolerance in _TOLERANCES:
        bins, images = average(levels, phases)
        costs = edge_costs(images, seed, family.elongation)
        outlines = radii_of(ends(family, numbers), seed, family.elongation)
        line = moving_line(costs, bins, expectation(outlines, tolerance))
        numbers = _fit(family, numbers, typical, seed, line, _weights(costs, line) * trust)
        seed = _seed(family, numbers)
        diastole, systole = radii_of(ends(family, numbers), seed, family.elongation)
        of_frames = edge_costs(levels, seed, family.elongation)
        raw = best_phases(of_frames, diastole, diastole - systole, trust)
        phases = normalized(raw)
    radii = diastole - raw[:, None] * (diastole - systole)
    contrast = -float(at_steps(of_frames, radii).mean())
    found = contrast >= MIN_CONTRAST
    reason = None if found else f"no cavity: contrast {contrast:.2f}, expected {MIN_CONTRAST} or more"
    areas = polygon_area(radii.clip(min=1.0), family.elongation) if found else np.full(len(frames), np.nan)
    points = ends(family, numbers)
    return LeftVentricle(areas, points[0], points[1], contrast, reason)


def ef_from_area(areas: Array, view: View = "A4C") -> float | None:
    """Ejection fraction in percent from an area curve.

    Diastole and systole are high and low quantiles of the curve, not its extremes, which noise decides.

    Args:
        areas: Shape ``(t,)``, one heart beat at least.
        view: Decides how volume follows from area, see `volume_from_area`.

    Returns:
        0..100, or ``None`` if there are fewer than 8 frames or no cavity was found in some frame.
    """
    if len(areas) < MIN_FRAMES or not np.isfinite(areas).all() or areas.min() <= 0:
        return None
    low, high = np.quantile(areas, EXTREMES)
    return float(100.0 * (1.0 - volume_from_area(np.asarray(low / high), view)))


def ejected_part(areas: Array, view: View = "A4C") -> Array | None:
    """The part of the stroke volume that has left the ventricle in each frame: ``(t,)``, 0 at end-diastole, 1 at end-systole.

    Args:
        areas: Shape ``(t,)``, one heart beat at least.
        view: Decides how volume follows from area, see `volume_from_area`.

    Returns:
        None where `ef_from_area` gives none, or nothing is ejected.
    """
    if not ef_from_area(areas, view):
        return None
    low, high = np.quantile(areas, EXTREMES)
    left = volume_from_area(areas / high, view)
    smallest = float(volume_from_area(np.asarray(low / high), view))
    part: Array = ((1 - left) / (1 - smallest)).clip(0, 1)
    return part


def _levels(frames: NDArray[np.uint8]) -> Pixels:
    """Smoothed grey levels whose unit is the contrast of the video's middle; the root undoes most of a display curve."""
    levels = ndimage.gaussian_filter(np.sqrt(frames.astype(np.float32)), (0.5, 0.8, 0.8), mode="nearest")
    low, high = np.quantile(levels[::4, 20:90, 30:90], [0.1, 0.95])
    scaled: Pixels = levels / max(high - low, 1e-3)
    return scaled


def _held_still(frames: Pixels, moved: Array) -> Pixels:
    """Frames ``(t, height, width)`` put back by how far each has moved, columns and rows ``(t, 2)``."""
    pairs = zip(frames, moved, strict=True)
    still: Pixels = np.stack([ndimage.shift(frame, (-y, -x), order=1, mode="nearest") for frame, (x, y) in pairs])
    return still


def _top_of_fan(mean: Pixels) -> tuple[float, float]:
    """Column and row where the fan-shaped image begins: the rest of a frame is black at all times."""
    fan = ndimage.binary_opening(mean > 0.02 * mean.max(), iterations=2)
    parts, count = ndimage.label(fan)
    if count == 0:
        return SIZE / 2, 0.0
    fan = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    rows = np.flatnonzero(fan.any(axis=1))
    return float(np.flatnonzero(fan[rows[0] : rows[0] + 4].any(axis=0)).mean()), float(rows[0])


def _seed(family: Family, numbers: Array) -> tuple[float, float]:
    x, y = family.anchor(ends(family, numbers)[1])
    return float(x), float(y)


def _weights(costs: Pixels, line: Array) -> Array:
    """How strong the edges are where the line runs, over the strong ones: ``(2, NUM_ANGLES)``."""
    diastole, systole = line
    strength = []
    for image, phase in ((0, 0.0), (2, 0.25), (-1, 1.0), (-3, 0.75)):
        radii = diastole + phase * (systole - diastole)
        strength.append(-sample(costs[image][None], radii[:, None])[0, :, 0])
    weights = np.stack([strength[0] + strength[1], strength[2] + strength[3]])
    clipped: Array = (weights / max(np.quantile(weights, 0.75), 1e-6)).clip(0.03, 1)
    return clipped


def _fit(
    family: Family, numbers: Array, typical: Array, seed: tuple[float, float], line: Array, weights: Array
) -> Array:
    """Numbers of the outline that lies closest to a line ``(2, NUM_ANGLES)``: Gauss-Newton, robust, drawn to typical.

    Edges inside of the outline are doubted sooner than edges outside: valves and papillary muscles are in the cavity.
    """

    def radii(trial: Array) -> Array:
        return radii_of(ends(family, trial), seed, family.elongation).ravel()

    precision = 1 / family.spread**2
    for _ in range(3):
        base = radii(numbers)
        steps = np.diag(0.05 * family.spread)
        slopes = np.stack([(radii(numbers + step) - base) / step.sum() for step in steps], -1)
        residual = line.ravel() - base
        trust = np.minimum(1, _ROBUST / np.abs(residual).clip(1e-6))
        trust = np.where(residual < 0, trust**2, np.sqrt(trust))
        weight = 0.25 / _ROBUST**2 * weights.ravel() * trust
        normal = slopes.T @ (weight[:, None] * slopes) + np.diag(precision)
        gradient = slopes.T @ (weight * residual) - precision * (numbers - typical)
        numbers = numbers + np.linalg.solve(normal, gradient)
        numbers[family.ejected] = numbers[family.ejected].clip(-0.1, 0.92)
    return numbers
