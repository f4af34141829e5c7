"""Are samples nearer to the patients that a model learned from than to as many others?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echosyn import rng

DRAWS = 4000


@dataclass(frozen=True)
class NearerSide:
    """Of samples, those whose nearest patient is one that the model learned from."""

    share: float
    low: float
    """Ends of the range in which 95 % of shares lie if the model knows nobody in particular."""
    high: float
    p_value: float
    """Of a share at least as large, if it knows nobody in particular."""


def nearer_side(
    samples: NDArray[np.floating], taught: NDArray[np.floating], unseen: NDArray[np.floating], seed: int = 0
) -> NearerSide:
    """Compare by a permutation test over patients.

    Some patients are the nearest of many samples, as in all spaces of many dimensions (Radovanovic et al. 2010), and with few
    patients it is chance on which side these are: samples are not independent, and a binomial test over them sees learning by
    heart where there is none. If the model knows nobody in particular, the sides are exchangeable.

    Args:
        samples: vectors ``(n, d)``.
        taught: of patients that the model learned from, ``(m, d)``, one each.
        unseen: of others, ``(m, d)``.
        seed: of the permutations.
    """
    patients = np.concatenate([taught, unseen]).astype(np.float64)
    points = samples.astype(np.float64)
    squares = (patients**2).sum(1) - 2 * points @ patients.T  # without the samples' own, which change no order
    nearest = np.bincount(squares.argmin(1), minlength=len(patients))
    found = nearest[: len(taught)].sum()
    draws = rng.numpy_generator(seed, "nearer side", 0)
    order = np.argsort(draws.random((DRAWS, len(patients))), axis=1)[:, : len(taught)]
    by_chance = nearest[order].sum(1)
    low, high = np.quantile(by_chance, [0.025, 0.975]) / len(samples)
    p_value = (1 + int((by_chance >= found).sum())) / (DRAWS + 1)
    return NearerSide(float(found) / len(samples), float(low), float(high), p_value)
