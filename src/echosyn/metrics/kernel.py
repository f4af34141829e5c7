"""Kernel distance between two sets of features (the K of KID): unbiased, near 0 for equal distributions at any n."""

import numpy as np
from numpy.typing import ArrayLike

from echosyn.errors import DataError
from echosyn.metrics.moments import Array, checked
from echosyn.rng import numpy_generator

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


def subset_kernel_distance(
    a: ArrayLike, b: ArrayLike, *, num_subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Mean and standard deviation of `kernel_distance` over random subsets, as KID is usually published.

    Raises:
        DataError: As `kernel_distance`, or a side is smaller than a subset.
    """
    x, y = pair(a, b, at_least=max(2, subset_size))
    values = []
    for i in range(num_subsets):
        rng = numpy_generator(seed, "kernel subsets", i)
        left, right = (side[rng.permutation(len(side))[:subset_size]] for side in (x, y))
        values.append(kernel_distance(left, right))
    return float(np.mean(values)), float(np.std(values))


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


def _diagonal(x: Array) -> float:
    return float(_kernel((x * x).sum(axis=1), x.shape[1]).sum())
