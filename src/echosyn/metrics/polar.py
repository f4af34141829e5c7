"""Dark-to-bright edges along rays from a point, and the best closed line that moves in and out with one phase.

All frames look for two numbers a ray together: the radius at end-diastole and how far it comes in. The best closed line
of such pairs is found by dynamic programming (Amini, Weymouth & Jain 1990), so that an edge that is missing in some
frames or at some angles is bridged by the rest.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped, unused-ignore]

Array = NDArray[np.float64]
Pixels = NDArray[np.float32]

NUM_ANGLES = 64
ANGLES = np.arange(NUM_ANGLES) * (2 * np.pi / NUM_ANGLES)
STEP = 0.75
RADII = np.arange(2.0, 34.0, STEP)
"""Along x, in pixels; along y they are `elongation` times as long."""
SHIFTS = np.arange(-1.5, 18.1, STEP)
"""How far an edge comes in from end-diastole to end-systole."""
_EDGE_WIDTH = 5
"""Steps of `RADII` averaged on either side of an edge."""
_BRIGHT_INSIDE = 0.03
_BEND = 0.03
_SHIFT = 1.5e-4
_TURN = np.array([-2, -1, 0, 1, 2])


def edge_costs(frames: Pixels, seed: tuple[float, float], elongation: float) -> Pixels:
    """Low where a ray goes from dark to bright, and rising with what is bright before.

    Args:
        frames: Shape ``(k, height, width)``, scaled so that tissue against blood is about 1.
        seed: Column and row of the rays' origin.
        elongation: Height over width of the search.

    Returns:
        Shape ``(k, NUM_ANGLES, len(RADII))``.
    """
    x = seed[0] + np.cos(ANGLES)[:, None] * RADII
    y = seed[1] + elongation * np.sin(ANGLES)[:, None] * RADII
    rays = np.stack([ndimage.map_coordinates(frame, [y, x], order=1, mode="constant") for frame in frames])
    kernel = np.repeat(np.float32([1.0, -1.0]), _EDGE_WIDTH) / _EDGE_WIDTH
    edge = ndimage.convolve1d(rays, kernel, axis=-1, mode="nearest")
    cavity = np.quantile(rays[:, :, :8], 0.5)
    bright = np.cumsum((rays - cavity - 0.3).clip(min=0), axis=-1) * STEP
    costs: Pixels = _BRIGHT_INSIDE * bright - edge
    return costs


def sample(costs: Pixels, radii: Array) -> Array:
    """Costs ``(k, NUM_ANGLES, r)`` at the radii ``(NUM_ANGLES, n)``, linear between steps: ``(k, NUM_ANGLES, n)``."""
    position = ((radii - RADII[0]) / STEP).clip(0, len(RADII) - 1.001)
    low = position.astype(np.int64)
    part = (position - low).astype(np.float32)
    ray = np.arange(NUM_ANGLES)[:, None]
    values: Array = costs[:, ray, low] * (1 - part) + costs[:, ray, low + 1] * part
    return values


def at_steps(costs: Pixels, radii: Array) -> Array:
    """Costs ``(k, NUM_ANGLES, r)`` at the steps nearest to each frame's radii ``(k, NUM_ANGLES)``."""
    step = ((radii - RADII[0]) / STEP).round().clip(0, len(RADII) - 1).astype(np.int64)
    values: Array = np.take_along_axis(costs, step[..., None], axis=2)[..., 0].astype(np.float64)
    return values


def expectation(outlines: Array, tolerance: float) -> Array:
    """Cost of leaving expected radii ``(2, NUM_ANGLES)``: ``(NUM_ANGLES, len(RADII), len(SHIFTS))``; far is far."""
    diastole = RADII[:, None] - outlines[0][:, None, None]
    systole = RADII[:, None] - SHIFTS - outlines[1][:, None, None]
    far = 64.0
    cost: Array = tolerance * (np.minimum(diastole**2, far) + np.minimum(systole**2, far))
    return cost


def moving_line(costs: Pixels, phases: Array, expected: Array) -> Array:
    """The closed line of least cost whose radius is ``diastole - phase * shift``.

    Args:
        costs: Of the images at these phases, shape ``(k, NUM_ANGLES, len(RADII))``.
        phases: 0 at end-diastole, 1 at end-systole, shape ``(k,)``.
        expected: From `expectation`.

    Returns:
        Radii at end-diastole and end-systole, ``(2, NUM_ANGLES)``.
    """
    table = expected + _SHIFT * SHIFTS**2
    pairs = (RADII[:, None] - 0 * SHIFTS).ravel(), (0 * RADII[:, None] + SHIFTS).ravel()
    for cost, phase in zip(costs, phases, strict=True):
        radii = pairs[0] - phase * pairs[1]
        outside = 0.5 * (radii < RADII[0])
        at = sample(cost[None], np.broadcast_to(radii, (NUM_ANGLES, radii.size)))[0] + outside
        table += at.reshape(table.shape) / len(phases)
    path = _closed_path(table.astype(np.float32))
    diastole = RADII[path[:, 0]]
    return np.stack([diastole, diastole - SHIFTS[path[:, 1]]])


def _closed_path(table: Pixels) -> NDArray[np.int64]:
    """Indices (radius, shift) at each angle on the cheapest closed path: ``(NUM_ANGLES, 2)``.

    The path runs twice around, so that the second half of the first turn and the first half of the second, which are
    read, do not feel its ends.
    """
    turns = 2 * NUM_ANGLES
    _, num_radii, num_shifts = table.shape
    total = table[0]
    choices = np.zeros((turns, num_radii, num_shifts, 2), dtype=np.int8)
    for k in range(1, turns):
        padded = np.pad(total, ((2, 2), (0, 0)), constant_values=1e9)
        options = np.stack([padded[i : i + num_radii] + _BEND * abs(s) for i, s in enumerate(_TURN)])
        turn, by_radius = options.argmin(axis=0), options.min(axis=0)
        padded = np.pad(by_radius, ((0, 0), (1, 1)), constant_values=1e9)
        options = np.stack([padded[:, i : i + num_shifts] + _BEND * abs(i - 1) for i in range(3)])
        shift = options.argmin(axis=0) - 1
        column = (np.arange(num_shifts) + shift).clip(0, num_shifts - 1)
        choices[k, ..., 0] = _TURN[np.take_along_axis(turn, column, axis=1)]
        choices[k, ..., 1] = shift
        total = options.min(axis=0) + table[k % NUM_ANGLES]
    path = np.zeros((turns, 2), dtype=np.int64)
    path[-1] = np.unravel_index(int(total.argmin()), total.shape)
    for k in range(turns - 1, 0, -1):
        path[k - 1] = path[k] + choices[k, path[k, 0], path[k, 1]]
    half = NUM_ANGLES // 2
    return np.roll(path[half : half + NUM_ANGLES], half, axis=0)


def polygon_area(radii: Array, elongation: float) -> Array:
    """Area in square pixels of outlines given by their radii ``(..., NUM_ANGLES)``."""
    triangles = radii * np.roll(radii, -1, axis=-1)
    area: Array = 0.5 * np.sin(2 * np.pi / NUM_ANGLES) * elongation * triangles.sum(axis=-1)
    return area


def radii_of(points: Array, seed: tuple[float, float], elongation: float) -> Array:
    """Radius at each angle of closed lines ``(..., n, 2)`` that are star-shaped about the seed."""
    flat = points.reshape(-1, *points.shape[-2:])
    out = np.empty((len(flat), NUM_ANGLES))
    for i, line in enumerate(flat):
        x, y = line[:, 0] - seed[0], (line[:, 1] - seed[1]) / elongation
        out[i] = np.interp(ANGLES, np.arctan2(y, x) % (2 * np.pi), np.hypot(x, y), period=2 * np.pi)
    return out.reshape(*points.shape[:-2], NUM_ANGLES)
