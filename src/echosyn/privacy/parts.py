"""Is one video another one whose halves or quarters were swapped, moved or inverted, each in its own way?

The picture of a video (`echosyn.privacy.registration.picture`) is compared quarter by quarter: each is laid on every place of a
real picture and keeps its best one, by the partial correlation of registration, blind to gain and to inversion. What counts is
the mean of the four. Mean and deviation over time do not depend on phase, speed or direction.
"""

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from echosyn.privacy.matching import Matches, Prepared
from echosyn.privacy.owners import Owners
from echosyn.privacy.registration import likest, likest_of_each
from echosyn.privacy.video_digests import THUMBNAIL

SPACE = "parts"
REFERENCES_AT_ONCE = 2048
_SIDE = THUMBNAIL // 2
_PART = _SIDE // 2
_QUARTERS = [(0, 0), (0, _PART), (_PART, 0), (_PART, _PART)]
_LEAST = 1e-3


def parted(
    queries: Tensor,
    references: Prepared,
    *,
    query_groups: Sequence[str] | None = None,
    reference_groups: Sequence[str] | None = None,
) -> Matches:
    """The reference that each picture is likest to, quarter by quarter; see `echosyn.privacy.matching.nearest`."""
    return likest(compared, queries, references, query_groups, reference_groups)


def parted_of_each(
    items: Sequence[Tensor], references: Prepared, reference_groups: Sequence[str]
) -> tuple[list[str], Tensor]:
    """As `echosyn.privacy.by_patient.nearest_of_each`."""
    return likest_of_each(compared, items, references, reference_groups)


@torch.no_grad()
def compared(
    queries: Tensor, references: Prepared, own: NDArray[np.int32] | None = None, owners: Owners | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """As `echosyn.privacy.registration.aligned`, with all references of other patients."""
    pictures, centres = queries.float().cpu().unflatten(1, (2, -1)).unbind(dim=1)
    seen, centre = _coarse(pictures), _coarse(centres[:1])
    blocks = references.rows.split(REFERENCES_AT_ONCE)
    found = torch.cat([_compared(seen, centre, _coarse(block.float().cpu())) for block in blocks], dim=1)
    every = torch.arange(found.shape[1])
    for i, one in enumerate(found):
        rows = every if own is None or owners is None else every[torch.from_numpy(owners.codes != own[i])]
        yield rows, one[rows]


def _compared(pictures: Tensor, centre: Tensor, real: Tensor) -> Tensor:
    """Of pictures ``(n, 2, side, side)`` and real ones ``(m, 2, side, side)``, beside the mean real one: ``(n, m)``.

    Pictures are multiplied one by one: what is found of one does not depend on those beside it, to the last bit.
    """
    quarters = torch.stack([_part(pictures, place) for place in _QUARTERS], dim=1)
    best = torch.full((*quarters.shape[:2], len(real)), -2.0)
    for place in _places():
        shared = _part(centre, place)
        there = _left(_part(real, place), shared).unbind(dim=1)
        for quarter, most in zip(quarters, best, strict=True):
            here = _left(quarter, shared).unbind(dim=1)
            still, motion = (x @ y.T for x, y in zip(here, there, strict=True))
            torch.maximum(most, still.abs_().add_(motion), out=most)
    return best.div_(2).mean(dim=1).clamp(-1.0, 1.0)


@cache
def _places() -> list[tuple[int, int]]:
    """Of a quarter on a picture."""
    return [(y, x) for y in range(_SIDE - _PART + 1) for x in range(_SIDE - _PART + 1)]


def _coarse(rows: Tensor) -> Tensor:
    return avg_pool2d(rows.view(-1, 2, THUMBNAIL, THUMBNAIL), 2)


def _part(pictures: Tensor, place: tuple[int, int]) -> Tensor:
    """A quarter of pictures ``(n, 2, side, side)`` at a place: ``(n, 2, pixels)``."""
    y, x = place
    return pictures[..., y : y + _PART, x : x + _PART].flatten(2)


def _left(parts: Tensor, shared: Tensor) -> Tensor:
    """Parts ``(n, 2, pixels)`` less what a constant and the shared ones ``(1, 2, pixels)`` explain, of unit length or 0."""
    shared = shared - shared.mean(dim=-1, keepdim=True)
    shared = shared / shared.norm(dim=-1, keepdim=True).clamp(min=_LEAST)
    parts = parts - parts.mean(dim=-1, keepdim=True)
    parts = parts - (parts * shared).sum(dim=-1, keepdim=True) * shared
    norm = parts.norm(dim=-1, keepdim=True)
    return torch.where(norm > _LEAST, parts / norm.clamp(min=_LEAST), 0.0)
