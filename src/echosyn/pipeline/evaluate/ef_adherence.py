"""Does a video have the EF that was asked for? By the tracked cavity, which no network taught."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from echosyn.data.records import Record
from echosyn.pipeline.evaluate.agreement import agreement
from echosyn.pipeline.tracking.measure import Measured, measure_all
from echosyn.progress import Progress, silent


def by_area(dataset: Path, records: Sequence[Record], seed: int, progress: Progress = silent) -> dict[str, Any]:
    """Agreement of the labels with the EF read off the tracked cavity: no network that flicker could fool is involved.

    On real videos it says how good the measurement is.
    """
    return of_rows(measure_all(dataset, records, progress), records, seed)


def of_rows(rows: Sequence[Measured], records: Sequence[Record], seed: int) -> dict[str, Any]:
    """The same from videos that were measured already; ``unmeasured`` counts those in which no cavity was found."""
    measured = np.array([np.nan if row.ef_by_area is None else row.ef_by_area for row in rows], np.float64)
    return agreement(measured, records, seed) | {"unmeasured": int(np.isnan(measured).sum())}
