"""Fidelity and diversity apart: are synthetic features where real ones are, and are real ones where synthetic ones are?

A set's manifold is the union of balls, one around each feature, out to the k-th nearest *other patient* of the same set. All four
figures are means of one value a feature, so that intervals over patients follow from `Coverage.per_synthetic` and
`Coverage.per_real`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from echosyn.errors import DataError
from echosyn.metrics.kernel import Codes, Patients, codes, pair
from echosyn.metrics.moments import Array

NEIGHBOURS = 3
BLOCK = 512


@dataclass(frozen=True, eq=False)
class Coverage:
    """Precision and recall (Kynkäänniemi et al. 2019, eq. 1-3), density and coverage (Naeem et al. 2020, eq. 5-6)."""

    precise: Array
    """1 for each synthetic feature inside of the real manifold, else 0: ``(n_synthetic,)``."""
    dense: Array
    """Real balls around each synthetic feature over k: ``(n_synthetic,)``."""
    recalled: Array
    """1 for each real feature inside of the synthetic manifold, else 0: ``(n_real,)``."""
    covered: Array
    """1 for each real feature whose ball holds a synthetic feature, else 0: ``(n_real,)``."""

    @property
    def precision(self) -> float:
        """Share of synthetic features that look real: a few good ones, repeated, score high."""
        return float(self.precise.mean())

    @property
    def recall(self) -> float:
        """Share of real features that the synthetic set could have held: a collapsed generator scores low."""
        return float(self.recalled.mean())

    @property
    def density(self) -> float:
        """As precision, but outliers among the real features count for little; near 1 for equal sets, may exceed it."""
        return float(self.dense.mean())

    @property
    def coverage(self) -> float:
        """As recall, but outliers among the synthetic features win nothing."""
        return float(self.covered.mean())

    @property
    def per_synthetic(self) -> dict[str, Array]:
        """What precision and density are the means of."""
        return {"precision": self.precise, "density": self.dense}

    @property
    def per_real(self) -> dict[str, Array]:
        """What recall and coverage are the means of."""
        return {"recall": self.recalled, "coverage": self.covered}


def coverage(
    real: ArrayLike,
    synthetic: ArrayLike,
    neighbours: int = NEIGHBOURS,
    of_real: Patients = None,
    of_synthetic: Patients = None,
) -> Coverage:
    """Compare the manifolds of two sets of features, in Euclidean distance.

    Args:
        real: Shape ``(n, d)``.
        synthetic: Shape ``(m, d)``.
        neighbours: k of the balls' radii; 3 as in Kynkäänniemi et al.
        of_real: A code of each real feature's patient; a patient's features count together as one in the density.
        of_synthetic: Likewise.

    Raises:
        DataError: A side has no more than ``neighbours`` patients, unequal ``d``, NaN or infinity.
    """
    if neighbours < 1:
        raise DataError(f"neighbours is {neighbours}, expected at least 1")
    x, y = pair(real, synthetic, at_least=neighbours + 1)
    of_x, of_y = codes(of_real, len(x)), codes(of_synthetic, len(y))
    real_radii, synthetic_radii = _radii(x, neighbours, of_x), _radii(y, neighbours, of_y)
    share = 1.0 / np.bincount(of_x)[of_x]
    counts, covered, recalled = np.zeros(len(y)), np.zeros(len(x)), np.zeros(len(x))
    for i in range(0, len(x), BLOCK):
        rows = slice(i, i + BLOCK)
        distances = _distances(x[rows], y)
        inside_real = distances <= real_radii[rows, None]
        counts += share[rows] @ inside_real
        covered[rows] = inside_real.any(axis=1)
        recalled[rows] = (distances <= synthetic_radii[None]).any(axis=1)
    return Coverage((counts > 0).astype(np.float64), counts / neighbours, recalled, covered)


def nearest(queries: Array, references: Array) -> np.ndarray:
    """Index of the nearest reference of each query, ``(n,)``; of equal ones the first."""
    found = [_distances(queries[i : i + BLOCK], references).argmin(axis=1) for i in range(0, len(queries), BLOCK)]
    return np.concatenate(found)


def _radii(x: Array, neighbours: int, patients: Codes) -> Array:
    """Distance of each feature to the k-th nearest other patient, ``(n,)``."""
    order = np.argsort(patients, kind="stable")
    starts = np.flatnonzero(np.diff(patients[order], prepend=-1))
    if len(starts) <= neighbours:
        raise DataError(f"{len(starts)} patients on a side, expected at least {neighbours + 1}")
    radii = np.empty(len(x))
    for i in range(0, len(x), BLOCK):
        distances = np.minimum.reduceat(_distances(x[i : i + BLOCK], x)[:, order], starts, axis=1)
        distances[np.arange(len(distances)), patients[i : i + BLOCK]] = np.inf
        radii[i : i + BLOCK] = np.partition(distances, neighbours - 1, axis=1)[:, neighbours - 1]
    return radii


def _distances(x: Array, y: Array) -> Array:
    squares = (x * x).sum(axis=1)[:, None] + (y * y).sum(axis=1)[None] - 2.0 * (x @ y.T)
    result: Array = np.sqrt(squares.clip(min=0.0))
    return result
