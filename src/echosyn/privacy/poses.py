"""The poses in which a picture is compared with references: where each pixel of a reference is in it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from echosyn.privacy.video_digests import THUMBNAIL

COARSE = THUMBNAIL // 2
"""Side of the pictures that are compared with all references; one of its pixels is 8 of 112."""
POSES_AT_ONCE = 147
"""So few that what they say of the references stays in a core's cache."""

_PIXEL = 2 / 112
_SHIFTS = tuple(16 / 3 * k * _PIXEL for k in range(-3, 4))
_ANGLES = tuple(math.radians(10 * k) for k in range(-2, 3))
_SCALES = tuple(0.8 ** (-k / 2) for k in range(-2, 3))
NUM_USUAL = len(_ANGLES) + len(_SCALES) - 1 + len(_ANGLES[1::2]) * len(_SCALES[1::2])
"""Turns and zooms that are tried at all shifts."""
_CORNERS = ((1 / 2, (-1 / 2, 1 / 2)), (1 / 3, (-2 / 3, 2 / 3)))
"""Scales and shifts of what is shown in a corner of another video, or in a tile."""
_NEAR = _SHIFTS[2:5]
_FAR_SCALES, _FAR_SHIFTS = (0.5, 0.63, 1.6, 2.0), _SHIFTS[1:6]
_SQUEEZED = 0.6
STEP = (4 * _PIXEL, 4 * _PIXEL, math.radians(5), 0.05, 0.0)
"""Of a pose, by which the alignment begins to change it; a squeeze stays as it is."""
SIDES = torch.tensor([
    [[1.0, 0], [0, 1]], [[-1, 0], [0, 1]],  # as it is, mirrored
    [[1, 0], [0, -1]], [[-1, 0], [0, -1]], [[0, 1], [1, 0]], [[0, 1], [-1, 0]], [[0, -1], [1, 0]], [[0, -1], [-1, 0]],
])  # fmt: skip
"""The flips and quarter turns of a square. The first two are tried in all poses, the others in a few."""


@cache
def poses() -> Tensor:
    """``(poses, 5)``: shifts in half sides, angle, scale, and by what the scale along x exceeds and along y falls short of it.

    Turned, zoomed, or a little of both, each at all shifts. Then, at fewer shifts: zoomed a lot, in a corner, squeezed along x or
    y, and last those that are tried on all `SIDES`: as it is, and turned by 45 degrees.
    """
    near = [(angle, 1.0, 1.0) for angle in _ANGLES] + [(0.0, scale, 1.0) for scale in _SCALES if scale != 1]
    near += [(angle, scale, 1.0) for angle in _ANGLES[1::2] for scale in _SCALES[1::2]]
    far = [(0.0, scale, 1.0) for scale in _FAR_SCALES]
    thin = math.sqrt(_SQUEEZED)
    squeezed = [(0.0, scale, aspect) for scale in (thin, 1 / thin) for aspect in (thin, 1 / thin)]
    turned = [(0.0, 1.0, 1.0), (math.radians(45), 1.0, 1.0)]
    corners = [([(0.0, scale, 1.0)], shifts) for scale, shifts in _CORNERS]
    groups = (near, _SHIFTS), (far, _FAR_SHIFTS), *corners, (squeezed, _NEAR), (turned, _NEAR)
    return torch.tensor([(x, y, *how) for some, shifts in groups for how in some for y in shifts for x in shifts])


@dataclass(frozen=True)
class Trials:
    """What is tried on coarse pixels: ``n`` poses, each on a side."""

    pose: Tensor
    """Number of the pose ``(n,)``."""
    side: Tensor
    """Number of the side ``(n,)``."""
    grid: Tensor
    """Where each pixel of a reference is in a picture ``(n, COARSE, COARSE, 2)``."""
    shown: Tensor
    """Which are in it, whatever the side, ``(poses, COARSE^2)``."""
    usual: Sequence[tuple[slice, slice | Tensor]]
    """At most `POSES_AT_ONCE` of them and their poses, a slice where it can be, which copies nothing: those at all shifts."""
    others: Sequence[tuple[slice, slice | Tensor]]
    """Likewise, the rest. They show little of a reference, so chance makes them alike; they must not displace the usual ones."""


@cache
def trials() -> Trials:
    """In every pose as it is and mirrored; in the last of them on all sides."""
    known = poses()
    every, few = torch.arange(len(known)), torch.arange(len(known) - 2 * len(_NEAR) ** 2, len(known))
    pose = torch.cat([every, every, few.repeat(len(SIDES) - 2)])
    side = torch.cat([every * 0, every * 0 + 1, torch.arange(2, len(SIDES)).repeat_interleave(len(few))])
    num_usual = len(_SHIFTS) ** 2 * NUM_USUAL
    usual, others = (_blocks(part, len(every)) for part in (range(num_usual), range(num_usual, len(every))))
    others.append((slice(2 * len(every), len(pose)), pose[2 * len(every) :]))
    grid = grid_of(known[pose], SIDES[side], COARSE)
    return Trials(pose, side, grid, within(grid[: len(every)]).flatten(1), usual, others)


def _blocks(part: range, num: int) -> list[tuple[slice, slice | Tensor]]:
    """Some of ``num`` poses, as they are and mirrored, in blocks."""
    ends = [(i, min(i + POSES_AT_ONCE, part.stop)) for i in range(part.start, part.stop, POSES_AT_ONCE)]
    return [(slice(half + i, half + j), slice(i, j)) for half in (0, num) for i, j in ends]


def grid_of(poses: Tensor, sides: Tensor, size: int) -> Tensor:
    """Where each pixel of a reference is in the picture, -1..1: ``(n, size, size, 2)``.

    Args:
        poses: As `poses`, ``(n, 5)``.
        sides: As `SIDES`, ``(n, 2, 2)``.
        size: Pixels of a side of the reference.
    """
    right, down, angle, scale, aspect = poses.unbind(dim=1)
    x, y, cos, sin = scale * aspect, scale / aspect, angle.cos(), angle.sin()
    rows = torch.stack([x * cos, -x * sin, right, y * sin, y * cos, down], dim=1)
    affine, centres = sides @ rows.view(-1, 2, 3), (2 * torch.arange(size) + 1) / size - 1
    along_x, along_y, constant = affine[..., None, None].unbind(dim=2)
    return (along_x * centres + (along_y * centres[:, None] + constant)).movedim(1, -1)


def within(grid: Tensor) -> Tensor:
    """1 where a place of a grid ``(..., 2)`` is in the picture, else 0."""
    x, y = grid.abs().unbind(dim=-1)
    return x.maximum(y).le(1.0).float()
