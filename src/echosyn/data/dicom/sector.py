"""The sector: where a cine shows moving tissue, found from motion alone and then described as a fan.

A pixel of tissue changes in most frames, because speckle moves and noise is always there; text, rulers, logos and the
background do not change, or only now and then. So the share of frames in which a pixel changes tells tissue from the
rest, and a fan (two straight edges, two arcs, cut by a box) fitted to the changing pixels adds the parts of the sector that
are too dark to change.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from echosyn.data.dicom.faults import BadDicomError
from echosyn.data.video import Frames

Mask = NDArray[np.bool_]
Array = NDArray[np.float64]

CHANGE = 3
"""Grey levels from frame to frame that count as a change: more than lossy compression adds to a still picture."""
ACTIVE = 0.05
"""Share of frames in which a pixel of tissue changes at least."""
GRID = 128
"""Longer side of the grid on which the fan is fitted."""
DARK_COST = 0.2
"""What a still pixel inside of the fan costs, against a changing one outside."""
CLOSING = 3
"""Gaps between moving pixels that count as moving, in pixels of the grid."""
MARGIN = 0.75
"""How far inside of the fitted edge the sector begins, in pixels of the grid: the fit is about a third too large at
`DARK_COST`, and the rest keeps away from text that touches the edge."""
STRAIGHT_CUT = 0.5
"""Share of changing pixels along a side of the box if it cuts the fan."""
SMALLEST = 0.03
"""Part of the picture that a sector covers at least."""
AGREEMENT = 0.75
"""Overlap (IoU) of the fan with the convex hull of the changing pixels; below, it is no fan."""


def activity(frames: Frames, overlay: Mask | None = None) -> Array:
    """Share of the frames in which each pixel changes: ``(T, H, W)`` -> ``(H, W)``.

    Args:
        frames: Grey.
        overlay: ``(T, H, W)``: pixels that are not tissue; a change from or to them does not count.
    """
    count = np.zeros(frames.shape[1:])
    for t in range(1, len(frames)):
        change = np.abs(frames[t].astype(np.int16) - frames[t - 1]) >= CHANGE
        if overlay is not None:
            change &= ~(overlay[t] | overlay[t - 1])
        count += change
    return count / (len(frames) - 1)


def find(active: Array, *, alone: bool) -> tuple[Mask, Mask]:
    """The sector ``(H, W)`` from `activity`, and the part of it that is seen to move.

    Args:
        active: Of the picture, or of the tissue region that the file's tags name.
        alone: Whether it is such a region, with little else in it: then the fan may go on into its dark corners.

    Raises:
        BadDicomError: Nothing in the picture is as large and moves as much as a heart's sector.
    """
    seed = _seed(active)
    if seed.mean() < SMALLEST:
        raise BadDicomError("no sector found", "too little of the picture moves")
    step = max(1, round(max(seed.shape) / GRID))
    coarse = _coarse(seed, step)
    hull = _hull(coarse > 0.5)
    fan = _fitted(coarse, hull)
    fan = _uncut(fan, coarse) if alone else fan
    rows, columns = np.mgrid[: seed.shape[0], : seed.shape[1]]
    mask = fan.depth((columns + 0.5) / step - 0.5, (rows + 0.5) / step - 0.5) > MARGIN
    if _iou(_coarse(mask, step) > 0.5, hull) < AGREEMENT:
        raise BadDicomError("no sector found", "what moves has not the shape of a sector")
    moving = mask & ndimage.binary_closing(seed, np.ones((CLOSING * step,) * 2))
    return mask, np.asarray(moving)


def _seed(active: Array) -> Mask:
    """The largest patch of changing pixels, without what is as thin as letters and lines."""
    thickness = max(2, round(max(active.shape) / 100))
    patch = ndimage.binary_opening(active > ACTIVE, np.ones((thickness, thickness)))
    labels, count = ndimage.label(patch)
    if count == 0:
        return np.asarray(patch)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax())


_Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class _Fan:
    """A fan in pixels of the grid, cut by a box."""

    apex_x: float
    apex_y: float
    left: float
    """Angle of the left edge from the vertical, radians, positive to the right."""
    right: float
    near: float
    far: float
    box: _Box
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


def _fan(values: Array, box: _Box) -> _Fan:
    """A fan from its six numbers in a row."""
    apex_x, apex_y, left, right, near, far = (float(value) for value in values)
    return _Fan(apex_x, apex_y, left, right, near, far, box)


def _fitted(coarse: Array, hull: Mask) -> _Fan:
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


def _uncut(fan: _Fan, coarse: Array) -> _Fan:
    """Let go of the sides of the box that cut through dark tissue: where a scanner cuts its fan, it changes up to the cut.

    The top stays: there the probe begins, and above it there is no tissue.
    """
    y, x = np.mgrid[: coarse.shape[0], : coarse.shape[1]].astype(np.float64)
    free = (-np.inf, fan.box[1], np.inf, np.inf)
    whole = replace(fan, box=free).depth(x, y) > 0
    sides = (x - fan.box[0], y - fan.box[1], fan.box[2] - x, fan.box[3] - y)
    kept = []
    for side, inward, none in zip(fan.box, sides, free, strict=True):
        cut = whole & (inward > 0) & (inward < 2)
        kept.append(side if coarse[cut].sum() > STRAIGHT_CUT * cut.sum() else none)
    return replace(fan, box=(kept[0], kept[1], kept[2], kept[3]))


def _starts(box: _Box) -> list[Array]:
    """Fans of two opening angles whose apex is at the top of the box, or above it."""
    x0, y0, x1, y1 = box
    middle, height = (x0 + x1) / 2, y1 - y0
    return [
        np.array([middle, y0 - above * height, -angle, angle, above * height, (1 + above) * height])
        for angle, above in ((0.7, 0.0), (0.5, 0.15))
    ]


def _hull(mask: Mask) -> Mask:
    """The convex hull of a mask, by half-planes: a point is inside if no direction puts it before all of the mask."""
    rows, columns = np.nonzero(mask)
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    inside = np.ones(mask.shape, bool)
    for angle in np.arange(0, 2 * np.pi, np.pi / 36):
        limit = (columns * np.cos(angle) + rows * np.sin(angle)).max(initial=-np.inf)
        inside &= x * np.cos(angle) + y * np.sin(angle) <= limit + 1e-9
    return inside


def _coarse(mask: Mask, step: int) -> Array:
    """Share of a mask in blocks of ``step`` pixels; the picture is continued with nothing."""
    height, width = (-(-side // step) * step for side in mask.shape)
    padded = np.zeros((height, width))
    padded[: mask.shape[0], : mask.shape[1]] = mask
    return np.asarray(padded.reshape(height // step, step, width // step, step).mean(axis=(1, 3)))


def _iou(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))
