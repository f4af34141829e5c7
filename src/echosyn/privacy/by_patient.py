"""The best match of every item with every patient: exact, and in memory that grows with the result alone."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from echosyn.errors import DataError
from echosyn.privacy.matching import QUERIES_AT_ONCE, Prepared, check_shapes, margin, prepared, standardized
from echosyn.privacy.owners import Owners

_NUMBERS_AT_ONCE = 2**16
"""So few that they stay in a core's cache."""
_VIEWS_AT_ONCE = 2**20


@torch.no_grad()
def nearest_of_each(
    items: Sequence[Tensor], references: Tensor | Prepared, reference_groups: Sequence[str], *, block: int = 2048
) -> tuple[list[str], Tensor]:
    """The best Pearson correlation of any view of each item with any reference of each patient.

    Equal to the bit whatever the ``block`` and the other items, and to what `echosyn.privacy.matching.nearest` finds. Memory
    beyond the inputs and the result is bounded by ``block``.

    Args:
        items: Views of each, float ``(k, d)``; ``k`` may be 0.
        references: Embeddings, float ``(m, d)``; prepared ones if there are several calls.
        reference_groups: The patient of each reference.
        block: References compared at a time.

    Returns:
        The patients in order, and float32 ``(items, patients)``, -1 for an item without a view.

    Raises:
        DataError: Shapes that do not fit, NaN or infinity, or a constant row, whose correlation is undefined.
    """
    known = references if isinstance(references, Prepared) else prepared(references)
    if len(reference_groups) != len(known.rows):
        raise DataError(f"{len(reference_groups)} patients for {len(known.rows)} references, expected one each")
    owners = Owners.of(reference_groups).present()
    names, owner = list(owners.names), torch.from_numpy(owners.codes).long()
    best = torch.full((len(items), len(names)), -torch.inf)
    first = 0
    for chosen in _together(items):
        counts = [len(items[i]) for i in chosen]
        queries = torch.cat([items[i] for i in chosen]).cpu()
        check_shapes(queries, known.rows, block)
        q = standardized(queries, "query", first)
        first += len(q)
        found = best[chosen]
        for start in range(0, len(known.rows), block):
            part = slice(start, start + block)
            _improve(found, q, counts, Prepared(known.rows[part], known.norm[part], known.largest), owner[part])
        best[chosen] = found
    return names, best.clamp_(-1.0, 1.0)


def _together(items: Sequence[Tensor]) -> Iterator[list[int]]:
    """Those with views, so many at a time that their views are `QUERIES_AT_ONCE` at most, or one."""
    chosen: list[int] = []
    views = 0
    for i, item in enumerate(items):
        if chosen and views + len(item) > QUERIES_AT_ONCE:
            yield chosen
            chosen, views = [], 0
        if len(item):
            chosen.append(i)
            views += len(item)
    if chosen:
        yield chosen


def _improve(best: Tensor, q: Tensor, counts: Sequence[int], r: Prepared, owner: Tensor) -> None:
    """Raise ``best`` ``(items, patients)`` to what these references say, in place.

    As in `nearest`, a product in float32 finds which pair may be an item's best of a patient, and only those are summed in
    float64, so that a pair scores the same in every block.
    """
    reference = r.rows.cpu()
    rough = (q.float() @ reference.float().T).div_(r.norm)
    patients, local = owner.unique(return_inverse=True)
    by_item = torch.stack([views.amax(dim=0) for views in rough.split(list(counts))])
    known = best[:, patients]
    top = torch.full_like(known, -torch.inf).scatter_reduce_(1, local.expand_as(by_item), by_item, "amax")
    least = top.maximum(known) - margin(q.shape[1], r.largest)
    item, column = (by_item >= least[:, local]).nonzero(as_tuple=True)
    size, unit = torch.tensor(counts), reference.double()
    unit = unit - unit.mean(dim=1, keepdim=True)
    unit /= unit.norm(dim=1, keepdim=True)  # as `standardized` does, which would check again what was prepared
    at_once = max(1, _VIEWS_AT_ONCE // max(counts))
    for i, c in zip(item.split(at_once), column.split(at_once), strict=True):
        view, pair = _views(rough, size.cumsum(0) - size, size, i, c, least[i, local[c]])
        scores = _exact(q, view, unit, c[pair])
        best.view(-1).scatter_reduce_(0, (i * best.shape[1] + patients[local[c]])[pair], scores, "amax")


def _exact(q: Tensor, view: Tensor, unit: Tensor, row: Tensor) -> Tensor:
    """Correlations of pairs of rows, summed one by one."""
    at_once = max(1, _NUMBERS_AT_ONCE // q.shape[1])
    scores = q.new_empty(len(view))  # small results between large temporary ones would keep those from being used again
    for start in range(0, len(view), at_once):
        part = slice(start, start + at_once)
        torch.sum(q.index_select(0, view[part]).mul_(unit.index_select(0, row[part])), dim=1, out=scores[part])
    return scores.float()


def _views(
    rough: Tensor, start: Tensor, size: Tensor, item: Tensor, column: Tensor, least: Tensor
) -> tuple[Tensor, Tensor]:
    """Which views of some pairs of an item and a reference reach ``least``: their rows, and the number of each one's pair."""
    places = torch.arange(int(size.max()))
    of = (start[item, None] + places).clamp_(max=len(rough) - 1)
    near = (rough[of, column[:, None]] >= least[:, None]) & (places < size[item, None])
    pair, place = near.nonzero(as_tuple=True)
    return of[pair, place], pair
