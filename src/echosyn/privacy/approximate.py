"""Nearest frames among more references than can be compared one by one: an index that misses a few, and says how many."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from echosyn.errors import DataError
from echosyn.extras import require
from echosyn.privacy.matching import Matches, nearest, standardized

WORTH_IT = 10_000_000
"""References from which on an index pays; below, `nearest` is exact and fast enough."""
RECALL_QUERIES = 200
_PART = 65_536


@dataclass(frozen=True, eq=False)
class Approximate:
    """Matches of an index, and what it missed where that was checked."""

    matches: Matches
    recall: float
    """Share of the checked queries whose exact best similarity was found (to 1e-4)."""
    checked: int


def nearest_approximate(
    queries: Tensor, references: Tensor, *, num_lists: int | None = None, num_probes: int = 16, seed: int = 0
) -> Approximate:
    """`nearest` with an inverted-file index of faiss (Johnson et al. 2019); its recall is measured on evenly chosen queries.

    What it misses is a copy that stays: the recall belongs beside every result, and where the exact search is affordable
    it is the one to use.

    Args:
        queries: Embeddings, float ``(n, d)``.
        references: Embeddings, float ``(m, d)``.
        num_lists: Cells of the index; default ``4 sqrt(m)``.
        num_probes: Cells that are searched for each query.
        seed: Of the clustering.

    Raises:
        MissingExtraError: faiss is not installed.
        DataError: What `nearest` refuses.
    """
    faiss = require("faiss", extra="faiss")
    if len(references) == 0 or len(queries) == 0:
        raise DataError(f"{len(queries)} queries and {len(references)} references, expected at least one of each")
    num_lists = num_lists or max(1, min(int(4 * len(references) ** 0.5), len(references) // 39))
    size = references.shape[1]
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(size), size, num_lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed, index.cp.niter, index.nprobe = seed, 10, min(num_probes, num_lists)
    parts = [slice(i, i + _PART) for i in range(0, len(references), _PART)]
    sample = references[:: max(1, len(references) // (64 * num_lists))]
    index.train(_rows(sample))
    for part in parts:
        index.add(_rows(references[part]))
    similarity, rows = index.search(_rows(queries), 1)
    matches = Matches(torch.from_numpy(similarity[:, 0]).clamp(-1, 1), torch.from_numpy(rows[:, 0]))
    checked = torch.linspace(0, len(queries) - 1, min(RECALL_QUERIES, len(queries))).round().long()
    exact = nearest(queries[checked], references).similarity
    found = matches.similarity[checked] >= exact - 1e-4
    return Approximate(matches, float(found.float().mean()), len(checked))


def _rows(x: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    rows: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = standardized(x).float().cpu().numpy()
    return rows
