"""The nearest real frame of every query: exact best Pearson correlation of embeddings, block by block."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from echosyn.errors import DataError
from echosyn.privacy.owners import Owners

QUERIES_AT_ONCE = 1024
PAIRS_AT_ONCE = 8192
_CONSTANT = 1e-6


@dataclass(frozen=True, eq=False)
class Matches:
    """The best match of each query, on the CPU."""

    similarity: Tensor
    """Pearson correlation with it, float32 ``(n,)``, -1..1."""
    index: Tensor
    """Its row among the references, int64 ``(n,)``; of equal ones the lowest."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """References that were looked at once, for many calls of `nearest`."""

    rows: Tensor
    norm: Tensor
    """Of each row less its mean, float32 ``(m,)``."""
    largest: float
    """Length of a row over ``norm``, at most: how much of float32 a large mean takes away."""
    file: Path | None = None
    """Where they are, if that is a file of `echosyn.privacy.vectors`."""


@torch.no_grad()
def prepared(references: Tensor, *, block: int = 8192, what: str = "reference", first: int = 0) -> Prepared:
    """Look at references ``(m, d)``; takes no memory to speak of besides them.

    Args:
        references: Embeddings.
        block: Rows at a time.
        what: Name of a row in messages.
        first: Number of the first row in messages.

    Raises:
        DataError: NaN or infinity, or a constant row.
    """
    norms, largest = [], 1.0
    for start in range(0, len(references), block):
        x = references[start : start + block]
        x = (x.cpu() if x.device.type == "mps" else x).double()
        norm = _checked_norm(x, x - x.mean(dim=1, keepdim=True), what, first + start)
        largest = max(largest, float((x.norm(dim=1) / norm[:, 0]).max()))
        norms.append(norm[:, 0].float())
    return Prepared(references, torch.cat(norms) if norms else torch.zeros(0), largest)


@torch.no_grad()
def nearest(
    queries: Tensor,
    references: Tensor | Prepared,
    *,
    block: int = 8192,
    query_groups: Sequence[str] | None = None,
    reference_groups: Sequence[str] | None = None,
) -> Matches:
    """The reference with the highest Pearson correlation to each query.

    Memory beyond the inputs is bounded by ``block`` (``12 * 1024 * block`` bytes of scores), not by the number of
    references. The result does not depend on ``block`` nor on the other queries; the order of the references shows only
    in ``index``.

    Args:
        queries: Embeddings, float ``(n, d)``, on any device.
        references: Embeddings, float ``(m, d)``, ``m >= 1``; `prepared` ones if there are several calls.
        block: References compared at a time.
        query_groups: The patient of each query; with ``reference_groups``, matches within a patient are skipped (a real
            frame against real frames).
        reference_groups: The patient of each reference.

    Raises:
        DataError: Shapes that do not fit, NaN or infinity, a constant row (its correlation is undefined), or a query
            whose patient owns every reference.
    """
    rows_of = references.rows if isinstance(references, Prepared) else references
    check_shapes(queries, rows_of, block)
    known = references if isinstance(references, Prepared) else prepared(references, block=block)
    own, theirs = _group_codes(query_groups, reference_groups, len(queries), len(rows_of))
    similarity = torch.full((len(queries),), -torch.inf)
    index = torch.full((len(queries),), -1, dtype=torch.int64)
    for first in range(0, len(queries), QUERIES_AT_ONCE):
        rows = slice(first, first + QUERIES_AT_ONCE)
        q = standardized(queries[rows], "query", first)
        find = _first_best if q.device.type == "cpu" else _all_compared
        for start in range(0, len(rows_of), block):
            columns = slice(start, start + block)
            same = None
            if own is not None and theirs is not None:
                same = (own[rows, None] == theirs[None, columns]).to(q.device)
            part = Prepared(rows_of[columns], known.norm[columns], known.largest)
            best, where = find(q, part, same, similarity[rows])
            better = best > similarity[rows]
            similarity[rows] = torch.where(better, best, similarity[rows])
            index[rows] = torch.where(better, where + start, index[rows])
    _check_all_matched(index)
    return Matches(similarity.clamp(-1.0, 1.0), index)


def margin(dimensions: int, largest: float) -> float:
    """By how much products of standardized queries with references in float32 may be apart and yet be equal in truth.

    As queries are centred, the mean of a reference adds nothing but error: a float32 sum of ``d`` products is off by at most
    ``d * 2**-23`` of the vectors' lengths, and here are two.
    """
    return 2 * (dimensions + 4) * 2.0**-23 * largest


def standardized(rows: Tensor, what: str = "embedding", first: int = 0) -> Tensor:
    """Rows centred and scaled to unit norm in float64, so that a dot product is a Pearson correlation.

    Args:
        rows: Float ``(k, d)``. Returned on its device, except from MPS, which lacks float64: on the CPU.
        what: Name of a row in messages.
        first: Number of the first row in messages.

    Raises:
        DataError: NaN or infinity, or a constant row.
    """
    x = (rows.cpu() if rows.device.type == "mps" else rows).double()
    centred = x - x.mean(dim=1, keepdim=True)
    unit: Tensor = centred / _checked_norm(x, centred, what, first)
    return unit


def _checked_norm(x: Tensor, centred: Tensor, what: str, first: int) -> Tensor:
    """Norms ``(k, 1)`` of centred rows."""
    finite = torch.isfinite(x).all(dim=1)
    if not finite.all():
        raise DataError(f"{what} embedding {first + _first_false(finite)} holds NaN or infinity")
    norm: Tensor = centred.norm(dim=1, keepdim=True)
    differ = norm[:, 0] > _CONSTANT * x.norm(dim=1)
    if not differ.all():
        raise DataError(
            f"{what} embedding {first + _first_false(differ)} is constant: its correlation is undefined; "
            "a blank frame or a collapsed Re-ID model gives such an embedding"
        )
    return norm


def varied(rows: Tensor) -> Tensor:
    """Rows ``(k, d)`` without the constant ones, whose correlation is undefined; broken ones (NaN) stay, to be refused."""
    x = rows.double()
    norm = (x - x.mean(dim=1, keepdim=True)).norm(dim=1)
    return rows[~(norm <= _CONSTANT * x.norm(dim=1))]


def _first_best(q: Tensor, r: Prepared, same: Tensor | None, known: Tensor) -> tuple[Tensor, Tensor]:
    """The best score of each query that is better than a ``known`` one, and the lowest column that attains it.

    A product in float32 finds what may be the best; only that is put on one scale and summed in float64 and rounded to
    float32, so that a pair scores the same in every block, and copies tie.
    """
    rough = (q.float() @ r.rows.cpu().float().T) / r.norm
    if same is not None:
        rough.masked_fill_(same, -torch.inf)
    error = margin(q.shape[1], r.largest)
    top = rough.max(dim=1).values
    rows = ((top >= known - error) & (top > -torch.inf)).nonzero()[:, 0]
    best, where = torch.full((len(q),), -torch.inf), torch.full((len(q),), len(r.rows))
    near, columns = (rough[rows] >= top[rows, None] - error).nonzero(as_tuple=True)
    near = rows[near]
    parts = zip(near.split(PAIRS_AT_ONCE), columns.split(PAIRS_AT_ONCE), strict=True)
    exact = [(q[a] * standardized(r.rows[b])).sum(dim=1).float() for a, b in parts]
    if exact:
        scores = torch.cat(exact)
        best.scatter_reduce_(0, near, scores, "amax")
        winning = scores == best[near]
        where.scatter_reduce_(0, near[winning], columns[winning], "amin")
    return best, where


def _all_compared(q: Tensor, r: Prepared, same: Tensor | None, known: Tensor) -> tuple[Tensor, Tensor]:
    """As `_first_best` for other devices, where a product of float32 may be less exact than that; on the CPU."""
    scores = (q @ standardized(r.rows).to(q.device).T).float()
    if same is not None:
        scores.masked_fill_(same, -torch.inf)
    best, first = scores.max(dim=1)  # torch promises the first
    return best.cpu(), first.cpu()


def _first_false(mask: Tensor) -> int:
    return int((~mask).nonzero()[0, 0])


def check_shapes(queries: Tensor, references: Tensor, block: int) -> None:
    """Raise `DataError` unless vectors ``(n, d)`` can be compared with ``(m, d)``."""
    if queries.ndim != 2 or references.ndim != 2 or queries.shape[1] != references.shape[1] or queries.shape[1] < 2:
        raise DataError(
            f"embeddings of shapes {tuple(queries.shape)} and {tuple(references.shape)}, expected (n, d) and (m, d) "
            "with the same d of at least 2: do both come from the same Re-ID model?"
        )
    if len(references) == 0:
        raise DataError("there is no reference embedding, expected at least one")
    if block < 1:
        raise DataError(f"block is {block}, expected at least 1")


def _group_codes(
    query_groups: Sequence[str] | None, reference_groups: Sequence[str] | None, n: int, m: int
) -> tuple[Tensor | None, Tensor | None]:
    if query_groups is None or reference_groups is None:
        if query_groups is not None or reference_groups is not None:
            raise DataError("patients are given for one side only, expected for queries and references or for neither")
        return None, None
    if len(query_groups) != n or len(reference_groups) != m:
        raise DataError(
            f"{len(query_groups)} and {len(reference_groups)} patients for {n} queries and {m} references, expected "
            "one each"
        )
    owners = Owners.of(reference_groups)
    return torch.from_numpy(owners.numbers(query_groups)), torch.from_numpy(owners.codes)


def _check_all_matched(index: Tensor) -> None:
    if (index < 0).any():
        raise DataError(
            f"query {int((index < 0).nonzero()[0, 0])} has no reference of another patient, expected at least one"
        )
