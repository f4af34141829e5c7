"""Is one video another one whose halves or quarters were swapped, moved or inverted, each in its own way?

The picture of a video (`echosyn.privacy.registration.picture`) is compared quarter by quarter: each is laid on every place of a
real picture and keeps its best one, by the partial correlation of registration, blind to gain and to inversion. What counts is
the mean of the four. Mean and deviation over time do not depend on phase, speed or direction.
"""

from collections.abc import Iterator, Sequence
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from echosyn.privacy.matching import Matches, Prepared
from echosyn.privacy.owners import Owners
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
    owners = None if reference_groups is None else Owners.of(reference_groups)
    own = None if owners is None or query_groups is None else torch.from_numpy(owners.numbers(query_groups))
    best, index = torch.full((len(queries),), -1.0), torch.zeros(len(queries), dtype=torch.int64)
    for start, found in likeness(queries, references.rows):
        if own is not None and owners is not None:
            found[own[:, None] == torch.from_numpy(owners.codes[start : start + found.shape[1]])] = -1.0
        value, place = found.max(dim=1)
        index = torch.where(value > best, place + start, index)
        best = best.maximum(value)
    return Matches(best, index)


def parted_of_each(
    items: Sequence[Tensor], references: Prepared, reference_groups: Sequence[str]
) -> tuple[list[str], Tensor]:
    """As `echosyn.privacy.by_patient.nearest_of_each`."""
    owners = Owners.of(reference_groups).present()
    of_row = torch.from_numpy(owners.codes).long()
    best = torch.full((len(items), len(owners.names)), -1.0)
    whose = torch.tensor([i for i, item in enumerate(items) for _ in item], dtype=torch.int64)
    if len(whose):
        for start, found in likeness(torch.cat(list(items)), references.rows):
            of = of_row[start : start + found.shape[1]]
            for i, row in zip(whose.tolist(), found, strict=True):
                best[i].scatter_reduce_(0, of, row, "amax")
    return list(owners.names), best


@torch.no_grad()
def likeness(queries: Tensor, rows: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Of pictures to some real ones ``(n, k)`` in -1..1, and the number of the first of these.

    Args:
        queries: Of `echosyn.privacy.registration.query`, all with the same mean real picture, ``(n, 4 side^2)``.
        rows: Of `echosyn.privacy.registration.reference`, ``(m, 2 side^2)``.
    """
    pictures, centres = queries.float().cpu().unflatten(1, (2, -1)).unbind(dim=1)
    seen, centre = _coarse(pictures), _coarse(centres[:1])
    for start in range(0, len(rows), REFERENCES_AT_ONCE):
        real = _coarse(rows[start : start + REFERENCES_AT_ONCE].float().cpu())
        yield start, _compared(seen, centre, real)


def _compared(pictures: Tensor, centre: Tensor, real: Tensor) -> Tensor:
    """Of pictures ``(n, 2, side, side)`` and real ones ``(m, 2, side, side)``, beside the mean real one: ``(n, m)``.

    Pictures are multiplied one by one: what is found of one does not depend on those beside it, to the last bit.
    """
    quarters = torch.stack([_part(pictures, place) for place in _QUARTERS], dim=1)
    best = torch.full((*quarters.shape[:2], len(real)), -1.0)
    for place in _places():
        shared = _part(centre, place)
        there = _left(_part(real, place), shared)
        for i, quarter in enumerate(quarters):
            still, motion = (_left(quarter, shared)[:, channel] @ there[:, channel].T for channel in range(2))
            best[i] = best[i].maximum(still.abs_().add_(motion).div_(2))
    return best.mean(dim=1).clamp(-1.0, 1.0)


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
