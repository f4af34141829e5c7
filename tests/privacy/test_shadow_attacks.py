"""What a model learned shows against shadow models, even where patients differ a thousand times more in difficulty."""

import numpy as np
import pytest

from echosyn.errors import ConfigError
from echosyn.privacy.permutation import area_p_value
from echosyn.privacy.shadow_attacks import calibrated, drawn, lira, refuse_odd, rmia

NUM, IS_TRAIN = 200, np.arange(200) < 120


def area(scores: np.ndarray) -> float:
    difference = scores[IS_TRAIN][:, None] - scores[~IS_TRAIN][None]
    return float(np.where(difference == 0, 0.5, difference > 0).mean())


def models(draws: np.random.Generator, learned: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Losses of a model and of eight shadow models at half of its strength; logarithms fall by so much for whom a model saw."""
    difficulty, inside = 2.0 * draws.normal(size=NUM), drawn(8, NUM, int(draws.integers(1000)))
    noise = 0.2 * draws.normal(size=(9, NUM))
    target = np.exp(difficulty - learned * IS_TRAIN + noise[0] - 1.0)
    return target, np.exp(difficulty - 0.5 * max(learned, 0.4) * inside + noise[1:]), inside


def attacks(target: np.ndarray, shadows: np.ndarray, inside: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "calibrated": calibrated(target, shadows, inside),
        "LiRA": lira(target, shadows, inside),
        "RMIA": rmia(target, shadows),
    }


def test_what_the_loss_alone_does_not_show_is_found() -> None:
    found = models(np.random.default_rng(0), 0.6)
    assert area(-found[0]) < 0.65
    for name, scores in attacks(*found).items():
        assert area(scores) > 0.85, name


@pytest.mark.slow
def test_a_model_that_saw_none_of_the_patients_is_convicted_at_the_rate_of_the_test() -> None:
    draws, p_values = np.random.default_rng(1), []
    for seed in range(60):
        p_values += [area_p_value(scores, IS_TRAIN, seed) for scores in attacks(*models(draws, 0.0)).values()]
    assert np.mean(np.array(p_values) < 0.05) <= 0.09, "180 tests, of which three at a time are alike"


def test_each_patient_is_in_half_of_the_shadow_models_and_not_by_split() -> None:
    inside = drawn(6, NUM)
    assert (inside.sum(axis=0) == 3).all()
    assert (inside.sum(axis=1) == NUM // 2).all()
    assert abs(inside[0][IS_TRAIN].mean() - 0.5) < 0.15
    assert (inside != drawn(6, NUM, 1)).any()


@pytest.mark.parametrize("num", [-2, 1, 2, 5])
def test_numbers_that_cannot_halve_every_patient_are_refused(num: int) -> None:
    with pytest.raises(ConfigError, match="an even number from 4"):
        refuse_odd(num)
    refuse_odd(0)


def test_rmia_is_the_share_of_others_that_are_surpassed() -> None:
    target, shadows, _ = models(np.random.default_rng(2), 0.6)
    assert sorted(rmia(target, shadows)) == pytest.approx(np.arange(NUM) / NUM)
    assert rmia(target, shadows, gamma=2.0).mean() < rmia(target, shadows).mean()
