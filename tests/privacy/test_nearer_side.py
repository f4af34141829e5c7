"""Which side samples are nearer to: learning by heart is seen, chance is not mistaken for it."""

import numpy as np

from echosyn.privacy.nearer_side import nearer_side


def test_copies_of_one_side_are_seen() -> None:
    draws = np.random.default_rng(0)
    taught, unseen = draws.normal(size=(2, 30, 40))
    found = nearer_side(taught[draws.integers(30, size=100)] + 0.1 * draws.normal(size=(100, 40)), taught, unseen)
    assert found.share > 0.99
    assert found.p_value < 0.001
    assert 0.3 < found.low < 0.5 < found.high < 0.7


def test_strangers_are_seldom_mistaken_though_few_patients_are_the_nearest_of_all() -> None:
    draws = np.random.default_rng(1)
    mistaken, binomial = 0, 0
    for _ in range(200):
        patients = draws.normal(size=(30, 60)) * draws.uniform(
            0.6, 1.4, size=(30, 1)
        )  # near the middle: nearest of many
        found = nearer_side(draws.normal(size=(64, 60)), patients[:15], patients[15:])
        mistaken += found.p_value < 0.025
        binomial += found.share > 0.625  # what 64 independent samples exceed in 2.5 % of cases
    assert mistaken <= 12
    assert binomial > 40, "a test over samples fails here"


def test_sides_may_differ_in_size_and_the_seed_decides() -> None:
    draws = np.random.default_rng(2)
    samples, taught, unseen = draws.normal(size=(50, 8)), draws.normal(size=(40, 8)), draws.normal(size=(10, 8))
    found = nearer_side(samples, taught, unseen)
    assert found == nearer_side(samples, taught, unseen)
    assert found.low < 0.8 < found.high
