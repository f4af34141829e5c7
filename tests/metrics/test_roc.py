"""The area is the chance of a right order, and its interval knows that a patient's scores belong together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.metrics import roc_auc_score, roc_curve

from echosyn.errors import DataError
from echosyn.metrics.roc import area_with_interval, roc, true_positive_rate_with_interval

CASES = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=40).filter(
    lambda rows: 0 < sum(positive for _, positive in rows) < len(rows)
)


@settings(max_examples=40)
@given(CASES)
def test_the_area_is_the_chance_that_a_positive_scores_higher(rows: list[tuple[int, bool]]) -> None:
    scores, positive = (np.array(column) for column in zip(*rows, strict=True))
    differences = scores[positive][:, None] - scores[~positive][None]
    chance = ((differences > 0) + 0.5 * (differences == 0)).mean()
    assert roc(scores, positive).area == pytest.approx(chance)
    assert roc(scores, positive).area == pytest.approx(roc_auc_score(positive, scores))
    assert roc(-scores, positive).area == pytest.approx(1 - chance)
    assert roc(np.exp(scores), positive).area == pytest.approx(chance)


@settings(max_examples=40)
@given(CASES)
def test_the_curve_is_scikit_learns(rows: list[tuple[int, bool]]) -> None:
    scores, positive = (np.array(column) for column in zip(*rows, strict=True))
    fpr, tpr, _ = roc_curve(positive, scores, drop_intermediate=False)
    np.testing.assert_allclose(roc(scores, positive).false_positive_rate, fpr)
    np.testing.assert_allclose(roc(scores, positive).true_positive_rate, tpr)


def test_the_true_positive_rate_at_a_false_positive_rate_never_exceeds_it():
    curve = roc([4, 3, 3, 2, 1, 0], [True, True, False, True, False, False])
    assert curve.true_positive_rate_at(0.0) == pytest.approx(1 / 3)  # the tie at 3 cannot be split
    assert curve.true_positive_rate_at(0.33) == pytest.approx(1 / 3)
    assert curve.true_positive_rate_at(0.34) == pytest.approx(1.0)


def pairs(num_patients: int, frames: int, spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, list, list]:
    """Scores of all pairs of frames; each patient has an own bias, which all of their pairs share."""
    draws = np.random.default_rng(seed)
    patient = np.repeat(np.arange(num_patients), frames)
    bias = draws.normal(0, spread, num_patients)[patient]
    first, second = np.triu_indices(len(patient), 1)
    same = patient[first] == patient[second]
    scores = draws.normal(1.0 * same, 1.0) + bias[first] + bias[second]
    return scores, same, [str(patient[i]) for i in first], [str(patient[i]) for i in second]


def test_the_interval_holds_the_value_and_depends_on_the_seed_alone():
    case = pairs(12, 3, 0.5)
    found = area_with_interval(*case, num_bootstrap=200)
    assert found.low < found.value < found.high
    assert found == area_with_interval(*case, num_bootstrap=200)
    assert found.low != area_with_interval(*case, num_bootstrap=200, seed=1).low
    order = np.random.default_rng(0).permutation(len(case[0]))
    shuffled = [np.asarray(column)[order] for column in case]
    assert area_with_interval(*shuffled, num_bootstrap=200).low == pytest.approx(found.low)


def test_more_frames_of_the_same_patients_are_no_further_evidence():
    few, many = (area_with_interval(*pairs(10, frames, 1.0), num_bootstrap=300) for frames in (3, 9))
    assert many.high - many.low > 0.4 * (few.high - few.low)  # independent scores: about a third


def test_more_patients_are():
    few, many = (area_with_interval(*pairs(patients, 3, 1.0), num_bootstrap=300) for patients in (8, 32))
    assert many.high - many.low < 0.75 * (few.high - few.low)


def test_nine_in_ten_intervals_of_few_patients_hold_the_truth():
    true = 0.7602  # of a normal shifted by one standard deviation: Phi(1 / sqrt 2)
    cases = [pairs(20, 2, 0.0, seed) for seed in range(40)]
    found = [area_with_interval(*case, num_bootstrap=60) for case in cases]
    low, high = binom.interval(0.998, len(found), 0.92)
    assert low <= sum(f.low <= true <= f.high for f in found) <= high


def test_single_items_belong_to_one_patient():
    scores, positive = [3, 2, 1, 0, 2.5, 0.5], [True, True, False, False, True, False]
    found = area_with_interval(scores, positive, ["a", "a", "b", "b", "c", "d"])
    assert (found.value, found.low, found.high) == (1, 1, 1)


def test_two_patients_give_a_value_without_an_interval():
    found = area_with_interval([1, 0], [True, False], ["a", "b"])
    assert (found.value, found.low) == (1.0, None)
    assert found.reason


@pytest.mark.parametrize(
    ("scores", "positive", "said"),
    [
        ([1, 2], [True, True], "both classes"),
        ([1, np.nan], [True, False], "1 of 2 scores are NaN"),
        ([1, 2, 3], [True, False], r"expected \(n,\) both"),
    ],
)
def test_scores_without_a_curve_are_refused(scores: list, positive: list, said: str) -> None:
    with pytest.raises(DataError, match=said):
        roc(scores, positive)


def test_every_score_has_patients():
    with pytest.raises(DataError, match="2 scores and 1 patients"):
        area_with_interval([1, 0], [True, False], ["a"])


def test_few_false_alarms_have_an_interval_and_chance_is_about_the_rate() -> None:
    draws = np.random.default_rng(0)
    patients = [str(i) for i in range(1400)]
    positive = np.arange(1400) < 700
    chance = true_positive_rate_with_interval(draws.normal(size=1400), positive, patients)
    assert chance.low is not None
    assert chance.high is not None
    assert chance.low <= 0.01 <= chance.high
    known = true_positive_rate_with_interval(
        draws.normal(size=1400) + 5 * positive, positive, patients, num_bootstrap=50
    )
    assert known.value is not None
    assert known.value > 0.98
