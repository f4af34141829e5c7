"""The shape of a sector: a fan (two straight edges, two arcs, cut by a box), fitted to a patch that lies in it.

The fan adds the parts of the sector that are too dark to be seen. Patches and fans are in pixels of a coarse grid.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

Mask = NDArray[np.bool_]
Array = NDArray[np.float64]

GRID = 128
"""Longer side of the grid on which the fan is fitted."""
DARK_COST = 0.2
"""What a still pixel inside of the fan costs, against a changing one outside."""
STRAIGHT_CUT = 0.5
"""Share of changing pixels along a side of the box if it cuts the fan."""


Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Fan:
    """A fan in pixels of the grid, cut by a box."""

    apex_x: float
    apex_y: float
    left: float
    """Angle of the left edge from the vertical, radians, positive to the right."""
    right: float
    near: float
    far: float
    box: Box
    """x0, y0, x1, y1."""

    def depth(self, x: Array, y: Array) -> Array:
        """How far inside each point is; negative outside."""
        dx, dy = x - self.apex_x, y - self.apex_y
        radius = np.hypot(dx, dy)
        x0, y0, x1, y1 = self.box
        inside = [
            dx * np.cos(self.left) - dy * np.sin(self.left),
            dy * np.sin(self.right) - dx * np.cos(self.right),
            self.far - radius,
            radius - self.near,
            x - x0,
            x1 - x,
            y - y0,
            y1 - y,
        ]
        return np.asarray(np.minimum.reduce(inside))

    def mask(self, shape: tuple[int, ...], step: int, margin: float = 0.0) -> Mask:
        """The fan and ``margin`` pixels of the grid around it, in a picture whose grid has blocks of ``step`` pixels."""
        rows, columns = np.mgrid[: shape[0], : shape[1]]
        return np.asarray(self.depth((columns + 0.5) / step - 0.5, (rows + 0.5) / step - 0.5) > -margin)

    def reaching(self, patch: Mask) -> "Fan":
        """The fan from its apex to the furthest pixel of a patch on the grid that lies between its edges."""
        y, x = (places.astype(np.float64) for places in np.nonzero(patch))
        between = replace(self, near=-np.inf, far=np.inf)
        inside = between.depth(x, y) > 0
        radius = np.hypot(x - self.apex_x, y - self.apex_y)[inside]
        return replace(between, far=max(self.far, float(radius.max(initial=0)) + 0.5))


def _fan(values: Array, box: Box) -> Fan:
    """A fan from its six numbers in a row."""
    apex_x, apex_y, left, right, near, far = (float(value) for value in values)
    return Fan(apex_x, apex_y, left, right, near, far, box)


def fitted(coarse: Array, hull: Mask) -> Fan:
    """The fan that has the changing pixels inside and few others."""
    rows, columns = np.nonzero(hull)
    box = (columns.min() - 0.5, rows.min() - 0.5, columns.max() + 0.5, rows.max() + 0.5)
    y, x = np.mgrid[: coarse.shape[0], : coarse.shape[1]].astype(np.float64)

    def cost(values: Array) -> float:
        inside = (_fan(values, box).depth(x, y) + 0.5).clip(0, 1)
        return float(((1 - inside) * coarse + DARK_COST * inside * (1 - coarse)).sum())

    best = None
    for start in _starts(box):
        found = optimize.minimize(
            cost, start, method="Nelder-Mead", options={"maxiter": 600, "xatol": 0.02, "fatol": 0.05, "adaptive": True}
        )
        best = found if best is None or found.fun < best.fun else best
    assert best is not None
    return _fan(best.x, box)


def uncut(fan: Fan, coarse: Array, *, top: bool = False) -> Fan:
    """Let go of the sides of the box that cut through dark tissue: where a scanner cuts its fan, it changes up to the cut.

    The top stays unless it, too, may go: there the probe begins, and above it there is no tissue.
    """
    y, x = np.mgrid[: coarse.shape[0], : coarse.shape[1]].astype(np.float64)
    free = (-np.inf, -np.inf if top else fan.box[1], np.inf, np.inf)
    whole = replace(fan, box=free).depth(x, y) > 0
    sides = (x - fan.box[0], y - fan.box[1], fan.box[2] - x, fan.box[3] - y)
    kept = []
    for side, inward, none in zip(fan.box, sides, free, strict=True):
        cut = whole & (inward > 0) & (inward < 2)
        kept.append(side if coarse[cut].sum() > STRAIGHT_CUT * cut.sum() else none)
    return replace(fan, box=(kept[0], kept[1], kept[2], kept[3]))


def _starts(box: Box) -> list[Array]:
    """Fans of two opening angles whose apex is at the top of the box, or above it."""
    x0, y0, x1, y1 = box
    middle, height = (x0 + x1) / 2, y1 - y0
    return [
        np.array([middle, y0 - above * height, -angle, angle, above * height, (1 + above) * height])
        for angle, above in ((0.7, 0.0), (0.5, 0.15))
    ]


def hull(mask: Mask) -> Mask:
    """The convex hull of a mask, by half-planes: a point is inside if no direction puts it before all of the mask."""
    rows, columns = np.nonzero(mask)
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    inside = np.ones(mask.shape, bool)
    for angle in np.arange(0, 2 * np.pi, np.pi / 36):
        limit = (columns * np.cos(angle) + rows * np.sin(angle)).max(initial=-np.inf)
        inside &= x * np.cos(angle) + y * np.sin(angle) <= limit + 1e-9
    return inside


def coarse(mask: Mask, step: int) -> Array:
    """Share of a mask in blocks of ``step`` pixels; the picture is continued with nothing."""
    height, width = (-(-side // step) * step for side in mask.shape)
    padded = np.zeros((height, width))
    padded[: mask.shape[0], : mask.shape[1]] = mask
    return np.asarray(padded.reshape(height // step, step, width // step, step).mean(axis=(1, 3)))


def iou(one: Mask, other: Mask) -> float:
    """Common part of two masks against both together."""
    return float((one & other).sum() / max(1, (one | other).sum()))
