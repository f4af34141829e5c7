"""How much a single training run leaks, at the least: a lower bound of epsilon (Steinke, Nasr & Jagielski 2023)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special  # type: ignore[import-untyped, unused-ignore]

from echosyn.errors import DataError
from echosyn.estimate import CONFIDENCE
from echosyn.privacy.patient_matches import Array
from echosyn.privacy.permutation import Mask
from echosyn.rng import numpy_generator

SHARES = (1.0, 0.5, 0.2)
"""Of canaries that are guessed: all, or those of which the attacker is surest. Each has its part of the error (Bonferroni)."""
LARGEST = 30.0
"""Epsilon beyond which nothing is searched."""
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Bound:
    """A lower bound of epsilon with 95 % confidence."""

    epsilon: float
    """0 says that nothing was shown."""
    delta: float
    canaries: int
    guesses: int
    correct: int


def bound(scores: Array, included: Mask, delta: float, shares: Sequence[float] = SHARES) -> Bound:
    """The largest epsilon that guesses by scores refute: the highest are guessed in, as many of the lowest out.

    Args:
        scores: Of each canary ``(m,)``, higher where it is likelier in. They must depend on the coins through the model alone.
        included: Whether a fair coin put it in ``(m,)``.
        delta: Of the guarantee, 0..1.
        shares: Of canaries that are guessed; the best counts.

    Raises:
        DataError: No canary, or NaN.
    """
    num = len(scores)
    if num == 0 or not np.isfinite(scores).all():
        raise DataError(f"{num} canaries, expected at least one, with finite scores")
    order = np.argsort(scores, kind="stable")
    found = []
    for share in shares:
        each = max(1, round(num * share / 2)) if num > 1 else 0
        out, within = order[:each], order[num - each :]
        correct = int((~included[out]).sum() + included[within].sum())
        epsilon = epsilon_at_least(num, 2 * each, correct, delta, 1 - (1 - CONFIDENCE) / len(shares))
        found.append(Bound(epsilon, delta, num, 2 * each, correct))
    return max(found, key=lambda b: b.epsilon)


def paired(scores: Array, is_train: Mask, seed: int = 0) -> tuple[Array, Mask]:
    """Coins that a random split has tossed: each training patient beside a held-out one, which of the two was in?

    Given a split at random, the answers are fair coins. A pair differs by the replacement of a patient, whose epsilon is at most
    twice the one of adding a patient.

    Args:
        scores: One a patient ``(n,)``, higher for those that are in.
        is_train: Of each.
        seed: Of pairs and their order.

    Returns:
        Score of the first less that of the second, and whether the first was in, ``(pairs,)``.
    """
    draws = numpy_generator(seed, "pairs of patients")
    sides = [draws.permutation(np.flatnonzero(side)) for side in (is_train, ~is_train)]
    num = min(len(side) for side in sides)
    first = draws.random(num) < 0.5
    gap = scores[sides[0][:num]] - scores[sides[1][:num]]
    return np.where(first, gap, -gap), first


def epsilon_at_least(
    canaries: int, guesses: int, correct: int, delta: float = 0.0, confidence: float = CONFIDENCE
) -> float:
    """The epsilon below which so many correct guesses have a p-value of at most ``1 - confidence``; 0 if there is none."""
    if p_value(canaries, guesses, correct, 0.0, delta) > 1 - confidence:
        return 0.0
    low, high = 0.0, LARGEST
    while high - low > _TOLERANCE:
        middle = (low + high) / 2
        if p_value(canaries, guesses, correct, middle, delta) <= 1 - confidence:
            low = middle
        else:
            high = middle
    return low


def p_value(canaries: int, guesses: int, correct: int, epsilon: float, delta: float = 0.0) -> float:
    """The chance of so many correct guesses about a mechanism that is (epsilon, delta)-private (theorem 5.2).

    Each guess is right with a chance of at most ``e^eps / (1 + e^eps)``; delta adds, over all canaries m,
    ``2 m delta max_i P(correct - i <= W < correct) / i`` for the binomial number W of right guesses.

    Args:
        canaries: m, each included by a fair coin of its own.
        guesses: Of them, the others being abstained from.
        correct: Right guesses.
        epsilon: From 0.
        delta: 0..1.

    Raises:
        DataError: Not ``0 <= correct <= guesses <= canaries``.
    """
    if not 0 <= correct <= guesses <= canaries:
        raise DataError(
            f"{correct} of {guesses} guesses right about {canaries} canaries, expected 0 <= right <= guesses <= canaries"
        )
    if correct == 0:
        return 1.0
    i = np.arange(1, correct + 1 if delta > 0 else 1)
    below = special.bdtr(np.append(correct - 1, correct - 1 - i), guesses, special.expit(epsilon))
    below = np.nan_to_num(below)  # NaN below 0
    tail = 1.0 - float(below[0]) + 2 * canaries * delta * float(((below[0] - below[1:]) / i).max(initial=0.0))
    return min(1.0, tail)
