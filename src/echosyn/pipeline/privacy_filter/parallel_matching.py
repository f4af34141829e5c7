"""The nearest real frame of very many queries, by workers: each compares all queries with a part of the references."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from echosyn.errors import DataError, StoppedError
from echosyn.pipeline.workers.executors import Executor, Lost
from echosyn.privacy import vectors
from echosyn.privacy.matching import Matches, Prepared, nearest
from echosyn.privacy.owners import Owners
from echosyn.progress import Progress, silent

ROWS = 32_768
"""References of a part."""
FEW = 2_000_000_000
"""Pairs of fewer numbers than that (queries times references times dimensions) are compared here and now."""


@dataclass(frozen=True)
class Matcher:
    """`echosyn.privacy.matching.nearest` by workers, with equal results.

    Args:
        executor: who compares.
        folder: that all workers see, for the vectors; they are private and are removed afterwards.
        progress: told how many references are done.
    """

    executor: Executor
    folder: Path
    progress: Progress = silent

    def __call__(
        self,
        queries: Tensor,
        references: Prepared,
        *,
        query_groups: Sequence[str] | None = None,
        reference_groups: Sequence[str] | None = None,
    ) -> Matches:
        """See `nearest`; in memory on this side are both, and what is found."""
        rows = references.rows
        if queries.numel() * len(rows) < FEW:
            return nearest(queries, references, query_groups=query_groups, reference_groups=reference_groups)
        with TemporaryDirectory(dir=self.folder) as name:
            asked, known = Path(name) / "queries.safetensors", references.file
            vectors.write(asked, queries, query_groups, "query")
            if known is None:
                known = Path(name) / "references.safetensors"
                vectors.write(known, rows, reference_groups)
            return self.of_files(asked, known, len(queries), len(rows))

    def of_files(self, queries: Path, references: Path, num_queries: int, num_references: int) -> Matches:
        """As `nearest`, of files that `echosyn.privacy.vectors` wrote."""
        best = torch.full((num_queries,), -torch.inf)
        where = torch.full((num_queries,), num_references)
        done = 0
        parts = ((start, min(start + ROWS, num_references)) for start in range(0, num_references, ROWS))
        for (start, stop), found in self.executor.map([Compare(queries, references)], parts):
            if isinstance(found, Lost):
                raise StoppedError(
                    f"workers died on the references from {start} on, perhaps out of memory; "
                    "reduce --workers and run the same command again"
                )
            similarity, index = (torch.from_numpy(values) for values in found)
            better = (similarity > best) | ((similarity == best) & (index < where))
            best, where = torch.where(better, similarity, best), torch.where(better, index, where)
            done += stop - start
            self.progress("compare", done, num_references)
        if bool((where >= num_references).any()):
            raise DataError("a query has no reference of another patient, expected at least one")
        return Matches(best, where)


@dataclass(frozen=True)
class Compare:
    """Work: compares all queries with the references of some rows, ``(start, stop)``."""

    queries: Path
    references: Path
    device: str = "cpu"

    def start(self) -> Callable[[tuple[int, int]], tuple[NDArray[np.float32], NDArray[np.int64]]]:
        """Map the queries."""
        asking, own = vectors.read(self.queries)
        queries = asking.rows

        def run(rows: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
            references, theirs = vectors.read(self.references, rows)
            best = torch.full((len(queries),), -torch.inf)
            where = torch.full((len(queries),), torch.iinfo(torch.int64).max)
            asked, groups = torch.ones(len(queries), dtype=torch.bool), None
            if own is not None and theirs is not None:
                groups = own
                # a patient may own all references of a part, which is no mistake
                if len(mine := theirs.present().names) == 1:
                    asked = torch.from_numpy(own.codes != own.numbers(mine)[0])
                    groups = Owners(own.names, own.codes[asked.numpy()])
            if bool(asked.any()):
                owners = None if groups is None else theirs
                found = nearest(queries[asked], references, query_groups=groups, reference_groups=owners)
                best[asked], where[asked] = found.similarity, found.index + rows[0]
            return best.numpy(), where.numpy()

        return run
