"""How well one number predicts another (EF mostly), each figure with its 95 % interval over patients."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from echosyn.errors import DataError
from echosyn.estimate import CONFIDENCE, MIN_PATIENTS, Estimate, patients_drawn, percentiles
from echosyn.metrics.moments import Array
from echosyn.rng import numpy_generator

MIN_VALUES = 3
FIGURES = ("r2", "mae", "rmse", "bias", "pearson", "slope")
_NEED_VARIED_TARGET = ("r2", "pearson", "slope")


@dataclass(frozen=True)
class RegressionReport:
    """Agreement of predictions with targets, in the unit of the targets."""

    r2: Estimate
    """Coefficient of determination ``1 - sum e^2 / sum (t - mean t)^2``, at most 1."""
    mae: Estimate
    """Mean absolute error."""
    rmse: Estimate
    """Root mean squared error."""
    bias: Estimate
    """Mean of predicted minus target."""
    pearson: Estimate
    """Pearson correlation, -1..1."""
    slope: Estimate
    """Slope of the least-squares line of predicted over target; below 1 the predictions are drawn to their mean."""
    n: int
    num_patients: int
    num_bootstrap: int
    reason: str | None
    """Why figures or intervals are missing; ``None`` when nothing is."""

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, strings and ``None`` under the fields' names."""
        figures = {name: getattr(self, name).to_json() for name in FIGURES}
        rest = {"n": self.n, "num_patients": self.num_patients, "num_bootstrap": self.num_bootstrap}
        return {**figures, **rest, "reason": self.reason}


def regression_report(
    predicted: ArrayLike,
    target: ArrayLike,
    *,
    seed: int = 0,
    groups: Sequence[str] | None = None,
    num_bootstrap: int = 1000,
) -> RegressionReport:
    """Compare predictions with targets.

    Intervals are percentile bootstrap: whole patients are resampled with replacement, so that several clips of one
    patient do not count as independent evidence.

    Args:
        predicted: Shape ``(n,)``, finite.
        target: Shape ``(n,)``, finite.
        seed: Of the bootstrap.
        groups: The patient of each value; by default each value is a patient of its own.
        num_bootstrap: Number of resamples; 0 leaves the intervals out.

    Raises:
        DataError: Unequal lengths, or values that are not finite.
    """
    p, t = _checked("predicted", predicted), _checked("target", target)
    names = [str(i) for i in range(len(p))] if groups is None else list(groups)
    if not len(p) == len(t) == len(names):
        raise DataError(f"{len(p)} predictions, {len(t)} targets and {len(names)} patients, expected one each")
    codes = np.unique(np.asarray(names, dtype=str), return_inverse=True)[1]
    num_patients = int(codes.max(initial=-1)) + 1
    if len(p) < MIN_VALUES:
        missing = Estimate(None, reason=f"n = {len(p)}, at least {MIN_VALUES} values are needed")
        return _report(dict.fromkeys(FIGURES, missing), len(p), num_patients, 0)
    sums = _sums_per_patient(p, t, codes, num_patients)
    values = figures_from_sums(sums.sum(axis=0, keepdims=True))
    enough = num_patients >= MIN_PATIENTS and num_bootstrap > 0
    resamples = figures_from_sums(_resampled(sums, num_bootstrap, seed)) if enough else {}
    why_no_interval = None if enough else _why_no_interval(num_patients)
    estimates = {
        name: _estimate(float(values[name][0]), resamples.get(name), _why_missing(name, t), why_no_interval)
        for name in FIGURES
    }
    return _report(estimates, len(p), num_patients, num_bootstrap if enough else 0)


def figures_from_sums(sums: Array) -> dict[str, Array]:
    """The six figures from sums over values, one row a resample; NaN where one is undefined.

    Args:
        sums: Shape ``(b, 7)``: of 1, p, t, p^2, t^2, pt and abs(p - t), with p and t shifted by the same constant.
    """
    n, p, t, pp, tt, pt, absolute = sums.T
    squared = pp + tt - 2.0 * pt
    spp, stt, spt = pp - p * p / n, tt - t * t / n, pt - p * t / n
    # a spread below rounding is none
    stt = np.where(stt > 1e-12 * np.maximum(tt, 1e-300), stt, np.nan)
    spp = np.where(spp > 1e-12 * np.maximum(pp, 1e-300), spp, np.nan)
    return {
        "r2": 1.0 - squared / stt,
        "mae": absolute / n,
        "rmse": np.sqrt((squared / n).clip(min=0.0)),
        "bias": (p - t) / n,
        "pearson": (spt / np.sqrt(spp * stt)).clip(-1.0, 1.0),
        "slope": spt / stt,
    }


def _report(estimates: dict[str, Estimate], n: int, num_patients: int, num_bootstrap: int) -> RegressionReport:
    reasons = dict.fromkeys(e.reason for e in estimates.values() if e.reason)
    return RegressionReport(
        **estimates, n=n, num_patients=num_patients, num_bootstrap=num_bootstrap, reason="; ".join(reasons) or None
    )


def _sums_per_patient(p: Array, t: Array, codes: np.ndarray, num_patients: int) -> Array:
    """Every figure is a function of seven sums, so a bootstrap of patients is a product of two small matrices."""
    shift = np.median(t)
    p, t = p - shift, t - shift
    terms = np.stack([np.ones_like(p), p, t, p * p, t * t, p * t, np.abs(p - t)], axis=1)
    sums = np.zeros((num_patients, terms.shape[1]))
    np.add.at(sums, codes, terms)
    return sums


def _resampled(sums: Array, num_bootstrap: int, seed: int) -> Array:
    product: Array = patients_drawn(numpy_generator(seed, "regression bootstrap"), len(sums), num_bootstrap) @ sums
    return product


def _estimate(value: float, resamples: Array | None, why_missing: str, why_no_interval: str | None) -> Estimate:
    if not np.isfinite(value):
        return Estimate(None, reason=why_missing)
    if resamples is None:
        return Estimate(value, reason=why_no_interval)
    defined = resamples[np.isfinite(resamples)]
    if len(defined) < CONFIDENCE * len(resamples):
        return Estimate(value, reason="too few different targets for an interval")
    return Estimate(value, *percentiles(defined))


def _why_missing(name: str, t: Array) -> str:
    constant = name in _NEED_VARIED_TARGET and np.ptp(t) <= 1e-6 * max(float(np.abs(t).max()), 1e-300)
    return "all targets are equal" if constant else "all predictions are equal"


def _why_no_interval(num_patients: int) -> str:
    if num_patients < MIN_PATIENTS:
        return f"{num_patients} patient(s): an interval needs at least {MIN_PATIENTS}"
    return "no bootstrap was asked for"


def _checked(name: str, values: Any) -> Array:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1:
        raise DataError(f"{name} has shape {x.shape}, expected (n,)")
    if not np.isfinite(x).all():
        raise DataError(f"{name}: {int((~np.isfinite(x)).sum())} of {len(x)} values are NaN or infinite")
    return x
