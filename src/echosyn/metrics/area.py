"""Ejection fraction from the cavity's area, by classical image processing: a measurement that no network taught.

The contour of the left ventricle is the closed path of strongest dark-to-bright edges around a seed, found by dynamic
programming in polar coordinates (Amini, Weymouth & Jain 1990). It needs an apical four-chamber view at 112x112.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped, unused-ignore]

from echosyn.errors import DataError

Array = NDArray[np.float64]

SIZE = 112
NUM_ANGLES = 64
RADII = np.arange(2.0, 30.0, 0.5)
"""Along x, in pixels; along y they are `ELONGATION` times as long."""
ELONGATION = 1.5
"""Height over width of the search, about that of an apical left ventricle, whose contour is then nearly round."""
MIN_FRAMES = 8
VOLUME_POWER = 1.65
"""Volume as a power of the long-axis area: 1.5 if all diameters shrank alike, 2 if the length did not shrink. The long
axis shortens by about a sixth where the short axis shortens by a third, which gives 1.6 to 1.7."""
_EDGE_WIDTH = 12
"""Steps of `RADII` averaged on either side of an edge."""
_BRIGHT_INSIDE = 0.02
_BEND = 0.02
_MAX_STEP = 2
"""Largest change of the radius, in steps of `RADII`, between neighbouring angles."""


def lv_area(frames: NDArray[np.uint8]) -> Array:
    """Area of the left ventricle's cavity in each frame.

    Args:
        frames: Uint8, shape ``(t, 112, 112)``, apex up, left ventricle right of the septum or centred.

    Returns:
        Square pixels, shape ``(t,)``, smoothed over about five frames.

    Raises:
        DataError: Another shape or type.
    """
    radii = lv_contour(frames)[1]
    # area of a polygon of NUM_ANGLES triangles, in the ellipse's coordinates
    triangles = radii * np.roll(radii, -1, axis=1)
    area: Array = 0.5 * np.sin(2 * np.pi / NUM_ANGLES) * ELONGATION * triangles.sum(axis=1)
    return area


def lv_contour(frames: NDArray[np.uint8]) -> tuple[tuple[float, float], Array]:
    """Seed ``(x, y)`` and the radius of the cavity at each of `NUM_ANGLES` angles, shape ``(t, NUM_ANGLES)``.

    A point of the contour is ``(x + r cos a, y + ELONGATION r sin a)``. Raises like `lv_area`.
    """
    if frames.dtype != np.uint8 or frames.ndim != 3 or frames.shape[1:] != (SIZE, SIZE) or len(frames) == 0:
        raise DataError(f"frames are {frames.dtype} {frames.shape}, expected uint8 (t, {SIZE}, {SIZE}), t at least 1")
    smooth = ndimage.gaussian_filter(frames.astype(np.float64), (1.0, 1.0, 1.0), mode="nearest")
    rough = find_seed(smooth.mean(axis=0))
    seed = _centre(rough, _search(smooth, rough))
    return seed, one_motion(_search(smooth, seed))


def one_motion(radii: Array, num_rounds: int = 10) -> Array:
    """The contour as its mean plus one pattern of motion, ``mean(a) + u(t) v(a)``: what leaves it is an error.

    A beating ventricle is close to that, and a path that slips through the open valve or into the wall for a while is
    not. Robust: points far from the fit are pulled to it (Huber) and the fit repeated.

    Args:
        radii: Shape ``(t, num_angles)``.
        num_rounds: Fits.
    """
    mean = np.median(radii, axis=0)
    target = fit = radii - mean
    for _ in range(num_rounds):
        u, s, v = np.linalg.svd(target, full_matrices=False)
        fit = s[0] * np.outer(u[:, 0], v[0])
        residual = radii - mean - fit
        limit = 1.48 * np.median(np.abs(residual)) + 0.3
        target = fit + residual.clip(-limit, limit)
    moved: Array = (mean + fit).clip(min=RADII[0])
    return moved


def ef_from_area(areas: Array) -> float | None:
    """Ejection fraction in percent from an area curve.

    The volume is taken as ``area^1.65`` (see `VOLUME_POWER`). Diastole and systole are high and low quantiles of the
    curve, not its extremes, which noise decides. High EFs come out too low (slope about 0.8 on the phantom): walls drop
    out, and smoothing over time blunts fast beats.

    Args:
        areas: Shape ``(t,)``, one heart beat at least.

    Returns:
        0..100, or ``None`` if there are fewer than 8 frames or no cavity was found in some frame.
    """
    if len(areas) < MIN_FRAMES or not np.isfinite(areas).all() or areas.min() <= 0:
        return None
    low, high = np.quantile(areas, [0.04, 0.96])
    return float(100.0 * (1.0 - (low / high) ** VOLUME_POWER))


def find_seed(mean_frame: Array) -> tuple[float, float]:
    """A point inside the left ventricle at all times: the middle of the largest dark place below the apex.

    Over time the cavity's middle is dark and still, while walls and valves blur, so the temporal mean tells most.
    """
    level = mean_frame / max(float(np.quantile(mean_frame, 0.95)), 1.0)
    sector = _sector(mean_frame)
    # an elongated dark place with a brighter surrounding
    inner = ndimage.gaussian_filter(level, (9.0, 5.0))
    outer = ndimage.gaussian_filter(level, (16.0, 11.0))
    y, x = np.mgrid[:SIZE, :SIZE]
    top = float(np.flatnonzero(sector.any(axis=1))[0]) if sector.any() else 0.0
    depth = (y - top) / (SIZE - top)
    prior = np.exp(-0.5 * (((x - 0.54 * SIZE) / 9.0) ** 2 + ((depth - 0.40) / 0.08) ** 2))
    score = (outer - inner + 0.3) * prior * sector
    row, column = np.unravel_index(int(score.argmax()), score.shape)
    return float(column), float(row)


def _search(frames: Array, seed: tuple[float, float]) -> Array:
    radii = RADII[_closed_paths(_costs(_polar(frames, seed)))]
    filtered: Array = ndimage.median_filter(radii, size=(5, 1), mode="nearest")
    return filtered


def _centre(seed: tuple[float, float], radii: Array) -> tuple[float, float]:
    """Centroid of the contracted cavity (30 % quantile over time), which stays inside of it at all times."""
    r = np.quantile(radii, 0.3, axis=0)
    angles = np.arange(NUM_ANGLES) * (2 * np.pi / NUM_ANGLES)
    x, y = (2.0 / 3.0 * (r**3 * f(angles)).sum() / (r**2).sum() for f in (np.cos, np.sin))
    return float(seed[0] + x), float(seed[1] + ELONGATION * y)


def _sector(mean_frame: Array) -> NDArray[np.bool_]:
    """Where the fan-shaped image is: the rest of a frame is black at all times."""
    sector: NDArray[np.bool_] = ndimage.binary_closing(mean_frame > 2.0, iterations=3)
    return sector


def _polar(frames: Array, seed: tuple[float, float]) -> Array:
    """Grey levels along the rays of each frame: ``(t, NUM_ANGLES, len(RADII))``."""
    angles = np.arange(NUM_ANGLES) * (2 * np.pi / NUM_ANGLES)
    x = seed[0] + np.cos(angles)[:, None] * RADII
    y = seed[1] + ELONGATION * np.sin(angles)[:, None] * RADII
    rays: Array = np.stack([ndimage.map_coordinates(frame, [y, x], order=1, mode="constant") for frame in frames])
    return rays


def _costs(rays: Array) -> Array:
    """Low where a ray goes from dark to bright, and rising with what is bright before."""
    scale = np.quantile(rays, 0.9) - np.quantile(rays, 0.1) + 1.0
    rays = rays / scale
    kernel = np.repeat([1.0, -1.0], _EDGE_WIDTH) / _EDGE_WIDTH
    edge = ndimage.convolve1d(rays, kernel, axis=-1, mode="nearest")
    cavity = np.quantile(rays[:, :, : len(RADII) // 4], 0.5)
    bright = np.cumsum((rays - cavity - 0.25).clip(min=0.0), axis=-1) * (RADII[1] - RADII[0])
    costs: Array = ndimage.gaussian_filter1d(_BRIGHT_INSIDE * bright - edge, 2.0, axis=0, mode="nearest")
    return costs


def _closed_paths(costs: Array) -> NDArray[np.int64]:
    """Index of the radius at each angle on the cheapest closed path of each frame: ``(t, NUM_ANGLES)``.

    The path runs twice around, so that the second half of the first turn and the first half of the second, which are
    read, do not feel its ends.
    """
    t, num_angles, num_radii = costs.shape
    turns = np.concatenate([costs, costs], axis=1)
    total = turns[:, 0]
    choices = np.zeros((2 * num_angles, t, num_radii), dtype=np.int64)
    steps = np.arange(-_MAX_STEP, _MAX_STEP + 1)
    penalty = _BEND * np.abs(steps)
    for k in range(1, 2 * num_angles):
        padded = np.pad(total, ((0, 0), (_MAX_STEP, _MAX_STEP)), constant_values=np.inf)
        before = np.stack([padded[:, i : i + num_radii] + penalty[i] for i in range(len(steps))])
        choices[k] = steps[before.argmin(axis=0)]
        total = before.min(axis=0) + turns[:, k]
    path = np.zeros((t, 2 * num_angles), dtype=np.int64)
    path[:, -1] = total.argmin(axis=1)
    for k in range(2 * num_angles - 1, 0, -1):
        path[:, k - 1] = path[:, k] + choices[k][np.arange(t), path[:, k]]
    half = num_angles // 2
    return np.roll(path[:, half : half + num_angles], half, axis=1)
