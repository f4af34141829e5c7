"""Kernel distance between two sets of features (the K of KID): unbiased, near 0 for equal distributions at any n."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from echosyn.errors import DataError
from echosyn.metrics.moments import Array, checked

DEGREE = 3
BLOCK = 1024


def kernel_distance(a: ArrayLike, b: ArrayLike) -> float:
    """Unbiased squared maximum mean discrepancy under the cubic kernel (Bińkowski et al. 2018, KID; Gretton et al. 2012, eq. 3).

    ``k(x, y) = (x . y / d + 1)^3``. All pairs are used at once: no random subsets. It may be slightly negative.

    Args:
        a: Shape ``(n, d)``, at least two rows.
        b: Shape ``(m, d)``, at least two rows.

    Raises:
        DataError: Too few rows, unequal ``d``, NaN or infinity.
    """
    x, y = pair(a, b, at_least=2)
    n, m = len(x), len(y)
    within_x = (_sum(x, x) - _diagonal(x)) / (n * (n - 1))
    within_y = (_sum(y, y) - _diagonal(y)) / (m * (m - 1))
    return float(within_x + within_y - 2.0 * _sum(x, y) / (n * m))


def kernel_distances_without(
    a: ArrayLike, groups_a: NDArray[np.int64], b: ArrayLike, groups_b: NDArray[np.int64]
) -> tuple[list[float], list[float]]:
    """`kernel_distance` with each group of rows left out in turn, of ``a`` and then of ``b``; every pair is looked at once.

    Args:
        a: Shape ``(n, d)``.
        groups_a: The group 0, 1, ... of each row.
        b: Shape ``(m, d)``.
        groups_b: Likewise.
    """
    x, y = pair(a, b, at_least=2)
    xx, yy, xy = _sums(x, groups_a, x, groups_a), _sums(y, groups_b, y, groups_b), _sums(x, groups_a, y, groups_b)
    for sums, rows, groups in ((xx, x, groups_a), (yy, y, groups_b)):
        own = _kernel((rows * rows).sum(axis=1), rows.shape[1])
        sums[np.diag_indices(len(sums))] -= np.bincount(groups, own, minlength=len(sums))
    sizes = [np.bincount(groups) for groups in (groups_a, groups_b)]

    def value(keep_x: NDArray[np.bool_], keep_y: NDArray[np.bool_]) -> float:
        n, m = int(sizes[0][keep_x].sum()), int(sizes[1][keep_y].sum())
        within = xx[keep_x][:, keep_x].sum() / (n * (n - 1)) + yy[keep_y][:, keep_y].sum() / (m * (m - 1))
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


def _sums(x: Array, groups_x: NDArray[np.int64], y: Array, groups_y: NDArray[np.int64]) -> Array:
    """Sums of the kernel over the pairs of each group of x with each group of y."""
    member_x, member_y = (np.eye(int(g.max()) + 1)[g] for g in (groups_x, groups_y))
    total = np.zeros((member_x.shape[1], member_y.shape[1]))
    for i in range(0, len(x), BLOCK):
        total += member_x[i : i + BLOCK].T @ _kernel(x[i : i + BLOCK] @ y.T, x.shape[1]) @ member_y
    return total


def _diagonal(x: Array) -> float:
    return float(_kernel((x * x).sum(axis=1), x.shape[1]).sum())
