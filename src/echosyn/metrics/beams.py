"""The beams of a sector, from its outline alone: speckle is the same along all of them, and not along rows and columns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped, unused-ignore]

from echosyn.metrics.moments import Array

Mask = NDArray[np.bool_]

NUM_BEAMS = 112
MIN_ROWS = 8
"""Fewer rows on an edge are no line."""


@dataclass(frozen=True)
class Beams:
    """A polar grid: samples one pixel apart on `NUM_BEAMS` beams of equal distance in angle."""

    apex: tuple[float, float]
    """Column and row in pixels; may lie above the picture."""
    angles: tuple[float, float]
    """Of the first and the last beam from straight down, radians, positive to the right."""
    depths: tuple[float, float]
    """Of the first and the last sample, in pixels from the apex."""

    def polar(self, picture: Array) -> Array:
        """A picture ``(height, width)`` on the grid, linearly interpolated: ``(samples, NUM_BEAMS)``, 0 outside of it."""
        depth = np.arange(*self.depths)[:, None]
        angle = np.linspace(*self.angles, NUM_BEAMS)[None]
        places = [self.apex[1] + depth * np.cos(angle), self.apex[0] + depth * np.sin(angle)]
        found: Array = ndimage.map_coordinates(picture, places, order=1, mode="constant")
        return found


def beams(inside: Mask) -> Beams:
    """The beams of a sector: its straight edges meet in the apex; without two such edges they are nearly parallel.

    Args:
        inside: Shape ``(height, width)``, some pixels inside.
    """
    rows = np.flatnonzero(inside.any(axis=1))
    left = inside[rows].argmax(axis=1).astype(np.float64)
    right = inside.shape[1] - 1 - inside[rows][:, ::-1].argmax(axis=1).astype(np.float64)
    edges = _edge(rows, left), _edge(rows, -right)
    top, height = float(rows[0]), float(inside.shape[0])
    row, column = top - 8 * height, float((left + right).mean() / 2)  # far above: nearly parallel
    if edges[0] is not None and edges[1] is not None and (slopes := edges[0][0] + edges[1][0]) < -0.1:
        row = float(np.clip(-(edges[0][1] + edges[1][1]) / slopes, row, top + 4))
        column = float(edges[0][0] * row + edges[0][1])
    y, x = np.nonzero(inside)
    angle, depth = np.arctan2(x - column, np.maximum(y - row, 0.5)), np.hypot(x - column, y - row)
    first, last = np.quantile(angle, [0.002, 0.998])
    return Beams((column, row), (float(first), float(last)), (max(float(depth.min()), 1.0), float(depth.max())))


def _edge(rows: NDArray[np.int64], columns: Array) -> tuple[float, float] | None:
    """Slope and offset of the line along which an edge runs outward (to smaller columns), or None."""
    furthest = int(columns.argmin())
    if furthest < MIN_ROWS:
        return None
    # not the probe's arc at the top
    y, x = rows[furthest // 8 : furthest + 1].astype(np.float64), columns[furthest // 8 : furthest + 1]
    kept = np.ones(len(y), bool)
    for _ in range(4):
        slope, offset = np.polyfit(y[kept], x[kept], 1)
        distance = np.abs(x - slope * y - offset)
        kept = distance <= max(1.0, 2 * float(np.median(distance)))
    return float(slope), float(offset)
