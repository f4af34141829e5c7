"""Can a classifier tell the two sets apart? Lopez-Paz & Oquab 2017, "Revisiting classifier two-sample tests"."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from echosyn.errors import DataError
from echosyn.estimate import Estimate
from echosyn.metrics.jackknife import groups_of
from echosyn.metrics.moments import Array, checked
from echosyn.metrics.roc import area_with_interval, roc

FOLDS = 5
INVERSE_PENALTY = 0.01
"""C of standardized features: weight of the loss beside half the squared weights. Fixed: a value that is tuned on the two
sets is part of the test."""

Codes = NDArray[np.int64]
Fold = tuple[Array, NDArray[np.bool_], list[str]]
"""Scores of held-out features, whether they are synthetic, and their patients."""


def classifier_auc(
    real: ArrayLike, synthetic: ArrayLike, real_patients: Codes, synthetic_patients: Codes, seed: int
) -> float:
    """How well logistic regression tells synthetic from real features of patients that it has not seen, 0..1.

    Every patient is in one of `FOLDS` folds (fewer with fewer patients), as many of each side in each. The figure is the mean
    of the folds' areas under the ROC curve: 0.5 if the sets cannot be told apart, a little less at small n (what a fold has too
    much of, the others have too little of), 1 if a line in this space separates them.

    Args:
        real: Shape ``(n, d)``.
        synthetic: Shape ``(m, d)``.
        real_patients: A number for the patient of each feature, ``(n,)``.
        synthetic_patients: Likewise, ``(m,)``; these are taken for other patients than the real ones.
        seed: Of the folds.

    Raises:
        DataError: A side has fewer than two patients, the sides differ in ``d``, or a feature is not finite.
    """
    return _mean_area(list(_scored(real, synthetic, real_patients, synthetic_patients, seed)))


def classifier_auc_with_interval(
    real: ArrayLike,
    synthetic: ArrayLike,
    real_patients: Codes,
    synthetic_patients: Codes,
    seed: int,
    num_bootstrap: int = 400,
) -> Estimate:
    """As `classifier_auc`, with a 95 % interval over patients: the held-out scores are resampled, nothing is trained again.

    The scores of each fold are replaced by their ranks among the fold's, so that folds compare.

    Args:
        real: See `classifier_auc`.
        synthetic: Likewise.
        real_patients: Likewise.
        synthetic_patients: Likewise.
        seed: Of the folds and the draws.
        num_bootstrap: Draws of patients.

    Raises:
        DataError: As `classifier_auc`.
    """
    folds = list(_scored(real, synthetic, real_patients, synthetic_patients, seed))
    value = _mean_area(folds)
    ranks = np.concatenate([np.searchsorted(np.sort(s), s, "left") / len(s) for s, _, _ in folds])
    is_synthetic = np.concatenate([fold[1] for fold in folds])
    owners = [owner for fold in folds for owner in fold[2]]
    found = area_with_interval(ranks, is_synthetic, owners, num_bootstrap=num_bootstrap, seed=seed)
    if found.value is None or found.low is None or found.high is None:
        return Estimate(value)
    shift = value - found.value
    return Estimate(value, found.low + shift, min(1.0, found.high + shift))


def _mean_area(folds: list[Fold]) -> float:
    return float(np.mean([roc(scores, is_synthetic).area for scores, is_synthetic, _ in folds]))


def _scored(
    real: ArrayLike, synthetic: ArrayLike, real_patients: Codes, synthetic_patients: Codes, seed: int
) -> Iterator[Fold]:
    """Each fold, scored by a classifier that was trained on the others."""
    x, y = checked(real), checked(synthetic)
    if x.shape[1] != y.shape[1]:
        raise DataError(f"the two sets of features have {x.shape[1]} and {y.shape[1]} dimensions, expected equal ones")
    patients = [len(np.unique(codes)) for codes in (real_patients, synthetic_patients)]
    if min(patients) < 2:
        raise DataError(f"{patients[0]} real and {patients[1]} synthetic patients, expected at least 2 each")
    num_folds = min(FOLDS, *patients)
    folds = np.concatenate([groups_of(codes, seed, num_folds) for codes in (real_patients, synthetic_patients)])
    features, is_synthetic = np.concatenate([x, y]), np.arange(len(x) + len(y)) >= len(x)
    owners = [*(f"real {code}" for code in real_patients), *(f"synthetic {code}" for code in synthetic_patients)]
    for fold in range(num_folds):
        out = folds == fold
        held_out = [owners[i] for i in np.flatnonzero(out)]
        yield _fitted(features[~out], is_synthetic[~out])(features[out]), is_synthetic[out], held_out


def _fitted(x: Array, is_synthetic: NDArray[np.bool_]) -> Callable[[Array], Array]:
    """Logistic regression with an L2 penalty on standardized features, both sides of equal weight: features to log-odds."""
    center, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(
        scale > 10 * np.finfo(np.float64).eps * np.abs(center), scale, 1.0
    )  # constant: rounding is no spread
    z, sign = (x - center) / scale, np.where(is_synthetic, 1.0, -1.0)
    share = 0.5 / np.where(is_synthetic, is_synthetic.sum(), (~is_synthetic).sum())
    penalty = 1.0 / (INVERSE_PENALTY * len(x))

    def loss(w: Array) -> tuple[float, Array]:
        margin = sign * (z @ w[:-1] + w[-1])
        pull = -share * sign * special.expit(-margin)
        gradient = np.append(pull @ z + penalty * w[:-1], pull.sum())
        return float(share @ np.logaddexp(0.0, -margin) + 0.5 * penalty * w[:-1] @ w[:-1]), gradient

    w = optimize.minimize(
        loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 1000, "gtol": 1e-6}
    ).x
    return lambda other: np.asarray((other - center) / scale @ w[:-1] + w[-1])
