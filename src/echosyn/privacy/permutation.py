"""Are two groups of patients alike? Exact tests that need nothing but that the groups could be exchanged."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import stats  # type: ignore[import-untyped, unused-ignore]

from echosyn.errors import DataError
from echosyn.rng import numpy_generator

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

MOST, LEAST = 9_999, 999
"""Permutations; fewer for many patients, of whom `NUMBERS` are permuted in all."""
NUMBERS = 50_000_000
_AT_ONCE = 4_000_000


def area_p_value(scores: Array, positive: Mask, seed: int = 0) -> float:
    """Two-sided: the chance that groups drawn at random have an area under the ROC curve as far from 0.5, on either side.

    A permutation test of the rank sum (Wilcoxon 1945), valid at every n and with ties (Phipson & Smyth 2010, eq. 2).

    Args:
        scores: One a patient, ``(n,)``.
        positive: The group of each.
        seed: Of the permutations.

    Raises:
        DataError: A group is empty.
    """
    num, members = _groups(positive)
    ranks = stats.rankdata(scores) - (num + 1) / 2
    found = abs(float(ranks[positive].sum()))
    draws = numpy_generator(seed, "permutations of patients")
    total = max(LEAST, min(MOST, NUMBERS // num))
    as_far = 0
    for first in range(0, total, at_once := max(1, _AT_ONCE // num)):
        rows = min(at_once, total - first)
        order = np.argsort(draws.random((rows, num), dtype=np.float32), axis=1)[:, :members]
        as_far += int((np.abs(ranks[order].sum(axis=1)) >= found - 1e-6).sum())
    return (1 + as_far) / (1 + total)


def tail_p_value(scores: Array, positive: Mask, false_positives: int = 0) -> float:
    """One-sided: do too many of the highest scores belong to one group? A few outliers there move no area.

    The number of positives above the ``false_positives + 1``-th highest negative; among the top ``t + k`` of a random order at
    most k are negatives with the chance of the hypergeometric law: exact. Ties count for the negatives.

    Args:
        scores: One a patient, ``(n,)``.
        positive: The group of each.
        false_positives: k, negatives that may be as high.

    Raises:
        DataError: A group is empty.
    """
    num, members = _groups(positive)
    others = np.sort(scores[~positive])[::-1]
    if false_positives >= len(others):
        return 1.0
    above = int((scores[positive] > others[false_positives]).sum())
    return float(stats.hypergeom.cdf(false_positives, num, num - members, above + false_positives))


def holm(p_values: Mapping[str, tuple[float, float]], size: float = 0.05) -> dict[str, bool]:
    """Which of several tests are significant together, with at most ``size`` to err in any (Holm 1979, weighted).

    Args:
        p_values: Of each test, and its weight, above 0.
        size: Of all together.
    """
    left = sum(weight for _, weight in p_values.values())
    found = dict.fromkeys(p_values, False)
    for name, (p, weight) in sorted(p_values.items(), key=lambda item: item[1][0] / item[1][1]):
        if p > size * weight / left + 1e-12:
            break
        found[name] = True
        left -= weight
    return found


def _groups(positive: Mask) -> tuple[int, int]:
    num, members = len(positive), int(positive.sum())
    if not 0 < members < num:
        raise DataError(f"{members} of {num} patients are of the first group, expected some of both")
    return num, members
