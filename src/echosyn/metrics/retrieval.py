"""How much of the training set's diversity a generator reaches: the image retrieval score (Dombrowski et al. 2025).

Every query retrieves its nearest training feature. Were ``K`` of the ``N`` training features equally likely to be retrieved,
``n`` queries would hit ``K (1 - (1 - 1/K)^n)`` different ones; the score is the ``K / N`` that explains the count. Real held-out
queries do not reach 1 either, so the adjusted score is the quotient of the two.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from echosyn.errors import DataError
from echosyn.estimate import Z
from echosyn.metrics.coverage import nearest
from echosyn.metrics.kernel import pair


@dataclass(frozen=True)
class Retrieval:
    """Share of the training set that is within reach, 0..1."""

    score: float
    low: float
    """Ends of the 95 % interval: every K under which the count is no surprise (normal approximation of its law)."""
    high: float
    num_queries: int
    num_retrieved: int
    """Different training features that were retrieved."""
    num_train: int


def retrieval(train: ArrayLike, queries: ArrayLike) -> Retrieval:
    """Let every query retrieve its nearest training feature and infer the share within reach.

    Args:
        train: Shape ``(n, d)``, what the generator learned from.
        queries: Shape ``(m, d)``, synthetic, or held-out real for the ceiling.

    Raises:
        DataError: No features, unequal ``d``, NaN or infinity.
    """
    x, y = pair(train, queries, at_least=1)
    return from_counts(len(y), len(np.unique(nearest(y, x))), len(x))


def from_counts(num_queries: int, num_retrieved: int, num_train: int) -> Retrieval:
    """The score of ``num_retrieved`` different training features after ``num_queries`` queries.

    Raises:
        DataError: The counts contradict one another.
    """
    if not 1 <= num_retrieved <= min(num_queries, num_train):
        raise DataError(f"{num_retrieved} of {num_train} features retrieved by {num_queries} queries: not possible")
    reach = _solve(num_queries, num_train, float(num_retrieved), 0.0)
    # more were within reach than K explains when the count is high, so the ends swap
    low = _solve(num_queries, num_train, float(num_retrieved), Z)
    high = _solve(num_queries, num_train, float(num_retrieved), -Z)
    scores = [round(k) / num_train for k in (reach, low, high)]
    return Retrieval(scores[0], scores[1], scores[2], num_queries, num_retrieved, num_train)


def _solve(num_queries: int, num_train: int, count: float, z: float) -> float:
    """The K of 1..num_train whose expected count plus z standard deviations is ``count``."""
    low, high = 1.0, float(num_train)
    for _ in range(60):
        middle = (low + high) / 2
        mean, variance = _occupancy(num_queries, middle)
        low, high = (middle, high) if mean + z * variance**0.5 < count else (low, middle)
    return high


def _occupancy(n: int, k: float) -> tuple[float, float]:
    """Mean and variance of the number of different ones among n draws from k equally likely ones."""
    one = (1 - 1 / k) ** n
    two = max(1 - 2 / k, 0.0) ** n
    mean = k * (1 - one)
    return mean, max(k * (k - 1) * two + k * one - (k * one) ** 2, 0.0)
