"""The fan of a decoded video: where its blurred edges were sharp, and where they run on through the dark."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize  # type: ignore[import-untyped, unused-ignore]

from echosyn.data.fans import Array, Fan, Mask

OUTWARD = 0.6
"""Pixels by which an edge lies outside of the place where the decoded grey has half of its height (measured on phantoms)."""
TOLERANCE = 0.8
"""Pixels from an edge at which what seems to be one still is."""
ASYMMETRY = 0.03
"""Radians by which the middle of a fan may differ from straight down before that counts against it."""
FEWEST = 10
"""Places from which an edge is told."""
NARROWEST = 0.15
"""Radians from the middle to an edge: less is no fan."""
CLEAR = 0.28
"""Share of the beams, by weight, that have to end at one depth for it to be the fan's."""
UNCUT = (-np.inf, -np.inf, np.inf, np.inf)
"""No box cuts the fan, beside the picture itself."""
_DIMMEST = 6.0
_AHEAD = 7
_BEAMS = 80
_PLACES = 128


def shown(mean: NDArray[np.floating]) -> Fan | None:
    """The fan of a video's mean ``(H, W)``, grey levels from 0 to 255; None if it has no two straight edges.

    On each row, and on each beam from its far end, the edge is where grey reaches half of what follows. Most of these
    places lie on the edge or, where tissue is dark, further in; so a line is wanted with many places on it and few outside.
    """
    grey: Array = mean.astype(np.float64)
    sides = [_rising(grey), _rising(grey[:, ::-1])]
    if min(len(side[0]) for side in sides) < FEWEST:
        return None
    found = _apex(sides, mean.shape[1])
    if found is None or found[3] < NARROWEST:
        return None
    column, row, middle, half = found
    beams = np.linspace(middle - half, middle + half, _BEAMS)[4:-4]
    depth = np.arange(0, np.hypot(*mean.shape))
    rows, columns = row + depth * np.cos(beams)[:, None], column + depth * np.sin(beams)[:, None]
    along = ndimage.map_coordinates(grey, [rows, columns], order=1, mode="constant")
    pictured = (rows <= mean.shape[0] - 1) & (columns >= 0) & (columns <= mean.shape[1] - 1)
    first = _half(along)[0]
    near = float(np.nanquantile(first, 0.25)) if np.isfinite(first).sum() >= FEWEST else 0.0
    return Fan(column, row, middle - half, middle + half, near, _far(along, pictured), UNCUT)


def _half(profiles: Array) -> tuple[Array, Array]:
    """Where each profile first reaches half of what follows, in samples, NaN if nowhere, and how much follows."""
    count = profiles.shape[1]
    padded = np.pad(profiles, ((0, 0), (0, _AHEAD)), mode="edge")
    ahead = np.stack([padded[:, k : k + count] for k in range(2, _AHEAD + 1)]).max(0)
    reached = (profiles >= ahead / 2) & (ahead >= _DIMMEST)
    at = reached.argmax(1)
    each = np.arange(len(profiles))
    height, before, here = ahead[each, at], profiles[each, np.maximum(at - 1, 0)], profiles[each, at]
    part = ((height / 2 - before) / np.maximum(here - before, 1e-6)).clip(0, 1)
    return np.where(reached.any(1) & (at > 0), at - 1 + part, np.nan), height


def _rising(mean: Array) -> tuple[Array, Array, Array]:
    """Rows down to where the left edge is furthest out, the columns at which grey rises, and weights."""
    column, height = _half(mean)
    rows = np.flatnonzero(np.isfinite(column))
    if len(rows) < FEWEST:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    kept = rows[: max(int(column[rows].argmin()) + 1, FEWEST)]
    kept = kept[:: 1 + len(kept) // _PLACES]
    return kept.astype(np.float64), column[kept], np.sqrt(height[kept])


def _support(inward: Array) -> Array:
    """What a place says for an edge that lies some pixels outside of it: 1 on it, nothing further in, against it outside."""
    against = 1 / (1 + np.exp(((inward + 1.5) / 0.3).clip(-30, 30)))
    found: Array = np.exp(-((inward / TOLERANCE) ** 2)) - 0.7 * against
    return found


def _line(side: tuple[Array, Array, Array], slope: Array, offset: Array) -> Array:
    """Support of the left edges ``column = slope * row + offset``, ``(N,)`` each."""
    row, column, weight = side
    inward = (column - slope[:, None] * row - offset[:, None]) / np.hypot(1, slope)[:, None]
    found: Array = _support(inward) @ weight
    return found


def _lines(side: tuple[Array, Array, Array], count: int = 24) -> tuple[Array, Array, Array]:
    """The best left edges through two of the places, not too much alike: slopes, offsets, supports."""
    row, column, _ = side
    i, j = np.nonzero(row[None] - row[:, None] >= 8)
    slope = (column[j] - column[i]) / (row[j] - row[i])
    steep = (slope > -3) & (slope < -0.2)
    slope, offset = slope[steep], (column[i] - slope * row[i])[steep]
    support = _line(side, slope, offset)
    best: list[int] = []
    apart = np.ones(len(slope), bool)
    while apart.any() and len(best) < count:
        best.append(int(np.where(apart, support, -np.inf).argmax()))
        apart &= (abs(slope - slope[best[-1]]) > 0.04) | (abs(offset - offset[best[-1]]) > 2)
    return slope[best], offset[best], support[best]


def _apex(sides: list[tuple[Array, Array, Array]], width: int) -> tuple[float, float, float, float] | None:
    """Column and row of the apex, angle of the middle and half of the angle between the edges; None if there are none."""
    total = float(sides[0][2].sum() + sides[1][2].sum())

    def crooked(middle: Array) -> Array:
        return 0.01 * (middle / ASYMMETRY) ** 2

    (a, b, left), (c, d, right) = (_lines(side) for side in sides)
    if not len(a) or not len(c):
        return None
    slopes = a[:, None] + c[None]
    angles = np.arctan(a)[:, None], -np.arctan(c)[None]
    worth = (left[:, None] + right[None]) / total - crooked((angles[0] + angles[1]) / 2)
    worth[slopes > -0.4] = -np.inf
    i, j = np.unravel_index(int(worth.argmax()), worth.shape)
    if not np.isfinite(worth[i, j]):
        return None
    row = (b[i] + d[j] - (width - 1)) / -slopes[i, j]
    start = np.array(
        [a[i] * row + b[i], row, (angles[0][i, 0] + angles[1][0, j]) / 2, (angles[1][0, j] - angles[0][i, 0]) / 2]
    )

    def against(place: Array) -> float:
        column, row, middle, half = place
        slope = np.tan(np.array([middle - half, -middle - half]))
        offset = np.array([column, width - 1 - column]) - slope * row
        support = sum(float(_line(side, slope[k : k + 1], offset[k : k + 1])[0]) for k, side in enumerate(sides))
        return float(crooked(middle)) - support / total

    simplex = start + np.vstack([np.zeros(4), np.diag([1, 1, 0.02, 0.02])])
    options = {"initial_simplex": simplex, "xatol": 5e-3, "fatol": 1e-4, "maxiter": 150}
    column, row, middle, half = optimize.minimize(against, start, method="Nelder-Mead", options=options).x
    return float(column), float(row - OUTWARD / np.sin(half)), float(middle), float(half)


def _far(along: Array, pictured: Mask) -> float:
    """Depth at which beams ``(N, depths)`` end; that of the picture's furthest corner where they end at no common one."""
    last = pictured.shape[1] - 1 - pictured[:, ::-1].argmax(1)
    inward = np.take_along_axis(along, (last[:, None] - np.arange(along.shape[1])).clip(0), 1)
    found, height = _half(inward)
    ends, weights = np.where(found > 0.5, last - found, np.nan), np.sqrt(height)
    beyond = float(last.max()) + 2
    clear = np.isfinite(ends)
    if clear.sum() < FEWEST:
        return beyond
    depth, weight = ends[clear], weights[clear]
    support = _support(depth[:, None] - depth[None]) @ weight
    seen = np.where(last[None] > depth[:, None] + 1.5, weights, 0).sum(1)
    share = support / np.maximum(seen, 8 * np.median(weights))
    best = int(share.argmax())
    if share[best] < CLEAR:
        return beyond
    near = weight * np.exp(-(((depth - depth[best]) / TOLERANCE) ** 2))
    return float((depth * near).sum() / near.sum()) + OUTWARD
