"""Fréchet distance between two sets of features (the F of FID and FVD)."""

import numpy as np
from numpy.typing import ArrayLike

from echosyn.errors import DataError
from echosyn.metrics.moments import Array, Moments, checked


def frechet_distance(a: Moments, b: Moments, *, population: bool = False) -> float:
    """Squared Fréchet (2-Wasserstein) distance of two Gaussians (Dowson & Landau 1982; FID: Heusel et al. 2017, eq. 6).

    ``|m1 - m2|^2 + tr C1 + tr C2 - 2 tr (C1^1/2 C2 C1^1/2)^1/2``, at least 0.

    Args:
        a: One side.
        b: The other.
        population: Divide the covariances by n instead of n - 1, as StyleGAN's and StyleGAN-V's programs do.

    Raises:
        DataError: Different dimensions, or fewer than two features on a side.
    """
    if a.dim != b.dim:
        raise DataError(f"the two sets of features have {a.dim} and {b.dim} dimensions, expected equal ones")
    difference = a.mean - b.mean
    c1, c2 = (a.population_cov, b.population_cov) if population else (a.cov, b.cov)
    distance = difference @ difference + np.trace(c1) + np.trace(c2) - 2.0 * trace_of_root(c1, c2)
    return max(float(distance), 0.0)


def frechet_distance_of(a: ArrayLike, b: ArrayLike) -> float:
    """`frechet_distance` of two arrays of features ``(n, d)`` and ``(m, d)``, cheap where n and m are small and d is large.

    With centred features X and Y, ``tr (C1 C2)^1/2`` is the sum of the singular values of ``X Y^T`` over
    ``((n - 1)(m - 1))^1/2``: a matrix of n by m, however many dimensions there are.

    Raises:
        DataError: Different dimensions, or fewer than two features on a side.
    """
    x, y = checked(a), checked(b)
    if x.shape[1] != y.shape[1]:
        raise DataError(f"the two sets of features have {x.shape[1]} and {y.shape[1]} dimensions, expected equal ones")
    if min(len(x), len(y)) < 2:
        raise DataError(f"{len(x)} and {len(y)} feature(s) were given: a covariance needs at least two on each side")
    difference = x.mean(axis=0) - y.mean(axis=0)
    x, y = (side - side.mean(axis=0) for side in (x, y))
    n, m = len(x) - 1, len(y) - 1
    cross = np.linalg.svd(x @ y.T, compute_uv=False).sum() / np.sqrt(n * m)
    distance = difference @ difference + (x * x).sum() / n + (y * y).sum() / m - 2.0 * cross
    return max(float(distance), 0.0)


def trace_of_root(c1: Array, c2: Array) -> float:
    """``tr (C1 C2)^1/2`` of two covariances, singular ones included."""
    # C1 C2 is similar to S C2 S with S = C1^1/2, which is symmetric and positive semi-definite: real eigenvalues, no
    # matrix square root of a product, no epsilon on the diagonal. What is negative is rounding.
    values, vectors = np.linalg.eigh(c1)
    s = (vectors * np.sqrt(values.clip(min=0.0))) @ vectors.T
    product = s @ c2 @ s
    eigenvalues = np.linalg.eigvalsh((product + product.T) / 2.0)
    return float(np.sqrt(eigenvalues.clip(min=0.0)).sum())
