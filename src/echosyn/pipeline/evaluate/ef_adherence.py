"""Agreement of measured with requested or known EF: by a regressor or by the tracked cavity, whole or for parts of the videos."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from echosyn.data.records import Record
from echosyn.errors import DataError
from echosyn.estimate import Estimate
from echosyn.metrics.moments import Array
from echosyn.metrics.regression import regression_report
from echosyn.metrics.roc import area_with_interval
from echosyn.pipeline.tracking.measure import Measured, measure_all
from echosyn.pipeline.workers.compute import HERE, Compute

THRESHOLDS = (35.0, 40.0, 45.0, 50.0)
"""EFs in percent below which a ventricle counts as weak, severe to mild."""
EF_BANDS = (0.0, 35.0, 45.0, 55.0, 65.0, 100.0)
RATE_BANDS = (0.0, 60.0, 80.0, 100.0, 300.0)
HEART_RATE = "HeartRate"
MIN_GROUP = 10
"""Videos; of fewer no figure is given."""
MAX_VALUES = 8
"""A column of words with more different values is no grouping."""
NUM_BOOTSTRAP = 500
_NO_GROUPS = frozenset({"patientid", "source", "file", "seed", "efmeasured", "heartratemeasured", "flags"})


def agreement(predicted: Array, records: Sequence[Record], seed: int, *, details: bool = False) -> dict[str, Any]:
    """Agreement of predicted EFs with the labels of the same videos, where there are any.

    Args:
        predicted: percent, ``(n,)``; NaN where nothing was measured, which leaves the video out.
        records: whose videos, ``(n,)``.
        seed: of the bootstrap over patients.
        details: with ``auc`` and ``groups``.

    Returns:
        As `echosyn.metrics.regression.RegressionReport.to_json`; with details also ``auc`` (by threshold) and ``groups``.
    """
    known = [i for i, r in enumerate(records) if r.ef is not None and np.isfinite(predicted[i])]
    kept, values = [records[i] for i in known], np.asarray(predicted, np.float64)[known]
    target = np.array([r.ef for r in kept], np.float64)
    patients = [r.patient for r in kept]
    found: dict[str, Any] = regression_report(values, target, seed=seed, groups=patients).to_json()
    if details:
        found["auc"] = {f"{t:g}": auc(values, target, t, patients, seed).to_json() for t in THRESHOLDS}
        found["groups"] = list(_groups(values, target, kept, seed))
    return found


def by_area(dataset: Path, records: Sequence[Record], seed: int, compute: Compute = HERE) -> dict[str, Any]:
    """Agreement of the labels with the EF read off the tracked cavity: no network that flicker could fool is involved.

    On real videos it says how good the measurement is.
    """
    return of_rows(measure_all(dataset, records, compute), records, seed)


def of_rows(rows: Sequence[Measured], records: Sequence[Record], seed: int) -> dict[str, Any]:
    """The same from videos that were measured already; ``unmeasured`` counts those in which no cavity was found."""
    measured = np.array([np.nan if row.ef_by_area is None else row.ef_by_area for row in rows], np.float64)
    return agreement(measured, records, seed) | {"unmeasured": int(np.isnan(measured).sum())}


def auc(predicted: Array, target: Array, threshold: float, patients: Sequence[str], seed: int) -> Estimate:
    """How well the predicted EF tells EFs below the threshold from the others: area under the ROC curve."""
    try:
        return area_with_interval(-predicted, target < threshold, patients, num_bootstrap=NUM_BOOTSTRAP, seed=seed)
    except DataError:
        low = int((target < threshold).sum())
        return Estimate(None, reason=f"{low} of {len(target)} videos have an EF below {threshold:g} %")


def _groups(predicted: Array, target: Array, records: Sequence[Record], seed: int) -> Iterator[dict[str, Any]]:
    for column, label, chosen in groups(records):
        if chosen.sum() < MIN_GROUP:
            continue
        patients = [r.patient for r, inside in zip(records, chosen, strict=True) if inside]
        report = regression_report(
            predicted[chosen], target[chosen], seed=seed, groups=patients, num_bootstrap=NUM_BOOTSTRAP
        ).to_json()
        yield {"column": column, "group": label} | {k: report[k] for k in ("n", "mae", "bias", "rmse", "r2")}


def groups(records: Sequence[Record]) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Parts of the videos as (column, group, which): EF bands, heart rate bands, and every further column of the file list.

    Columns of words group by value (unless there are more than `MAX_VALUES`), columns of numbers by thirds.
    """
    yield from _bands("EF", np.array([np.nan if r.ef is None else r.ef for r in records], np.float64), EF_BANDS)
    for column in dict.fromkeys(name for r in records for name in r.extra):
        if column.casefold() in _NO_GROUPS:
            continue
        cells = [r.extra.get(column, "") for r in records]
        numbers = np.array([_number(cell) for cell in cells], np.float64)
        if column == HEART_RATE:
            yield from _bands(column, numbers, RATE_BANDS)
        elif np.isfinite(numbers).sum() > 0.5 * len(cells) and len(set(cells)) > MAX_VALUES:
            thirds = np.unique(np.nanquantile(numbers, [0, 1 / 3, 2 / 3, 1]))
            yield from _bands(column, numbers, [*thirds[:-1].tolist(), float(np.nextafter(thirds[-1], np.inf))])
        elif 1 < len(values := sorted(set(cells))) <= MAX_VALUES:
            yield from ((column, value or "empty", np.array([c == value for c in cells])) for value in values)


def _bands(column: str, numbers: Array, edges: Sequence[float]) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    for low, high in itertools.pairwise(edges):
        inside = (numbers >= low) & ((numbers < high) | ((high == edges[-1]) & (numbers == high)))
        if inside.any() and not inside.all():
            yield column, f"{low:.4g} to {high:.4g}", inside


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
