"""The bound is below the epsilon of a mechanism that is known, and near it where guesses are many."""

import math

import numpy as np
import pytest

from echosyn.errors import DataError
from echosyn.privacy.one_run import SHARES, bound, epsilon_at_least, p_value, paired


def guesses(epsilon: float, num: int, draws: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Coins, and scores of randomized response about each: right with a chance of e^eps / (1 + e^eps), which is epsilon-DP."""
    coins = draws.random(num) < 0.5
    right = draws.random(num) < 1 / (1 + math.exp(-epsilon))
    return np.where(right == coins, 1.0, -1.0) + 1e-3 * draws.normal(size=num), coins


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 2.0])
def test_a_known_epsilon_is_exceeded_in_at_most_a_twentieth(epsilon: float) -> None:
    draws = np.random.default_rng(0)
    found = [bound(*guesses(epsilon, 200, draws), 0.0).epsilon for _ in range(300)]
    assert np.mean(np.array(found) > epsilon) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 300)


@pytest.mark.parametrize("epsilon", [1.0, 3.0])
def test_many_guesses_come_near_a_known_epsilon(epsilon: float) -> None:
    found = bound(*guesses(epsilon, 5000, np.random.default_rng(1)), 1e-7)
    assert 0.8 * epsilon < found.epsilon <= epsilon
    assert found.guesses in [round(5000 * share) for share in SHARES]


def test_who_is_surest_of_a_few_shows_more_by_guessing_those_alone() -> None:
    """Twenty of 200 canaries are given away with certainty, of the others nothing is."""
    draws, coins = np.random.default_rng(2), np.arange(200) % 2 == 0
    scores = draws.normal(size=200) + np.where(np.arange(200) < 20, 100.0 * (2 * coins - 1), 0.0)
    assert bound(scores, coins, 0.0, (0.1,)).epsilon > 2 * bound(scores, coins, 0.0, (1.0,)).epsilon


def test_the_tail_without_delta_is_binomial_and_delta_only_adds() -> None:
    assert p_value(10, 10, 10, 0.0) == pytest.approx(2**-10)
    assert p_value(100, 10, 8, 0.0) == pytest.approx(56 / 1024)
    q = 1 / (1 + math.exp(-1.0))
    by_hand = q**2 + 2 * 4 * 0.01 * max(2 * q * (1 - q), (2 * q * (1 - q) + (1 - q) ** 2) / 2)
    assert p_value(4, 2, 2, 1.0, 0.01) == pytest.approx(by_hand)
    values = [p_value(50, 40, 35, epsilon, 1e-4) for epsilon in (0.0, 0.5, 1.0, 2.0, 5.0)]
    assert values == sorted(values)
    assert epsilon_at_least(40, 40, 40) > epsilon_at_least(40, 40, 40, delta=1e-3) > 1.5
    assert epsilon_at_least(40, 40, 22) == 0.0


def test_a_random_split_has_tossed_the_coins_and_a_model_that_knows_its_patients_is_told_by_them() -> None:
    draws, found = np.random.default_rng(3), []
    for seed in range(200):
        is_train = draws.permutation(np.arange(150) < 100)
        found.append(bound(*paired(draws.normal(size=150), is_train, seed), 1e-3).epsilon)
    assert np.mean(np.array(found) > 0) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 200)
    known = bound(*paired(draws.normal(size=150) + 6 * is_train, is_train), 1e-5)
    assert (known.canaries, known.epsilon > 1.5) == (50, True)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(DataError, match="expected 0 <= right"):
        p_value(10, 11, 5, 1.0)
    with pytest.raises(DataError, match="at least one"):
        bound(np.zeros(0), np.zeros(0, bool), 0.0)
    assert bound(np.array([1.0]), np.array([True]), 0.0).epsilon == 0.0
