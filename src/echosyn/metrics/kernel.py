"""Kernel distance between two sets of features (the K of KID): unbiased, near 0 for equal distributions at any n."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from echosyn.errors import DataError
from echosyn.metrics.moments import Array, checked

DEGREE = 3
BLOCK = 1024

Codes = NDArray[np.int64]


Patients = ArrayLike | None
"""A code of each row's patient; None: each row is a patient."""


def kernel_distance(a: ArrayLike, b: ArrayLike, of_a: Patients = None, of_b: Patients = None) -> float:
    """Unbiased squared maximum mean discrepancy under the cubic kernel (Bińkowski et al. 2018, KID; Gretton et al. 2012, eq. 3).

    ``k(x, y) = (x . y / d + 1)^3``. All pairs are used at once: no random subsets. It may be slightly negative. Pairs within a
    patient are left out, as those of a row with itself are: they are no independent draws.

    Args:
        a: Shape ``(n, d)``, rows of at least two patients.
        b: Shape ``(m, d)``, likewise.
        of_a: Of each row of ``a``.
        of_b: Of each row of ``b``.

    Raises:
        DataError: Too few rows or patients, unequal ``d``, NaN or infinity.
    """
    x, y = pair(a, b, at_least=2)
    within = 0.0
    for rows, patients in ((x, codes(of_a, len(x))), (y, codes(of_b, len(y)))):
        own, counts = _own(rows, patients), np.bincount(patients)
        if len(counts) < 2:
            raise DataError("all features are of one patient, expected at least two patients on each side")
        within += (_sum(rows, rows) - float(own.sum())) / _pairs(counts)
    return float(within - 2.0 * _sum(x, y) / (len(x) * len(y)))


def codes(patients: Patients, num: int) -> Codes:
    """The patient 0, 1, ... of each of ``num`` rows."""
    if patients is None:
        return np.arange(num)
    result: Codes = np.unique(np.asarray(patients), return_inverse=True)[1].reshape(-1)
    if len(result) != num:
        raise DataError(f"{num} features of {len(result)} named patients, expected one each")
    return result


def kernel_distances_without(
    a: ArrayLike, groups_a: Codes, b: ArrayLike, groups_b: Codes, of_a: Patients = None, of_b: Patients = None
) -> tuple[list[float], list[float]]:
    """`kernel_distance` with each group of rows left out in turn, of ``a`` and then of ``b``; every pair is looked at once.

    Args:
        a: Shape ``(n, d)``.
        groups_a: The group 0, 1, ... of each row; all rows of a patient are in one.
        b: Shape ``(m, d)``.
        groups_b: Likewise.
        of_a: The patient of each row of ``a``.
        of_b: Likewise.
    """
    x, y = pair(a, b, at_least=2)
    xx, yy, xy = _sums(x, groups_a, x, groups_a), _sums(y, groups_b, y, groups_b), _sums(x, groups_a, y, groups_b)
    sizes, pairs = [], []
    for sums, rows, groups, of in ((xx, x, groups_a, of_a), (yy, y, groups_b, of_b)):
        patients = codes(of, len(rows))
        counts, group = np.bincount(patients), np.zeros(int(patients.max()) + 1, np.int64)
        group[patients] = groups
        sums[np.diag_indices(len(sums))] -= np.bincount(group, _own(rows, patients), minlength=len(sums))
        sizes.append(np.bincount(groups))
        pairs.append(np.bincount(group, counts**2, minlength=len(sums)))

    def value(keep_x: NDArray[np.bool_], keep_y: NDArray[np.bool_]) -> float:
        n, m = int(sizes[0][keep_x].sum()), int(sizes[1][keep_y].sum())
        within = xx[keep_x][:, keep_x].sum() / (n * n - pairs[0][keep_x].sum())
        within += yy[keep_y][:, keep_y].sum() / (m * m - pairs[1][keep_y].sum())
        return float(within - 2.0 * xy[keep_x][:, keep_y].sum() / (n * m))

    all_x, all_y = (np.ones(len(s), dtype=bool) for s in sizes)
    without_x = [value(np.arange(len(all_x)) != g, all_y) for g in range(len(all_x))]
    without_y = [value(all_x, np.arange(len(all_y)) != g) for g in range(len(all_y))]
    return without_x, without_y


def pair(a: ArrayLike, b: ArrayLike, at_least: int) -> tuple[Array, Array]:
    """Both sets in float64, with equal dimensions and enough rows, or a `DataError`."""
    x, y = checked(a), checked(b)
    if x.shape[1] != y.shape[1]:
        raise DataError(f"the two sets of features have {x.shape[1]} and {y.shape[1]} dimensions, expected equal ones")
    if min(len(x), len(y)) < at_least:
        raise DataError(f"{len(x)} and {len(y)} features were given, expected at least {at_least} on each side")
    return x, y


def _kernel(products: Array, dim: int) -> Array:
    result: Array = (products / dim + 1.0) ** DEGREE
    return result


def _sum(x: Array, y: Array) -> float:
    """Sum of the kernel over all pairs, a block of rows at a time."""
    return sum(float(_kernel(x[i : i + BLOCK] @ y.T, x.shape[1]).sum()) for i in range(0, len(x), BLOCK))


def _sums(x: Array, groups_x: Codes, y: Array, groups_y: Codes) -> Array:
    """Sums of the kernel over the pairs of each group of x with each group of y."""
    member_x, member_y = (np.eye(int(g.max()) + 1)[g] for g in (groups_x, groups_y))
    total = np.zeros((member_x.shape[1], member_y.shape[1]))
    for i in range(0, len(x), BLOCK):
        total += member_x[i : i + BLOCK].T @ _kernel(x[i : i + BLOCK] @ y.T, x.shape[1]) @ member_y
    return total


def _own(x: Array, patients: Codes) -> Array:
    """Sum of the kernel over the pairs within each patient, a row with itself included."""
    own: Array = np.bincount(patients, _kernel((x * x).sum(axis=1), x.shape[1])).astype(np.float64)
    for patient in np.flatnonzero(np.bincount(patients) > 1):
        rows = x[patients == patient]
        own[patient] = _sum(rows, rows)
    return own


def _pairs(counts: Codes) -> int:
    """Ordered pairs of rows of two patients."""
    return int(counts.sum()) ** 2 - int((counts**2).sum())
