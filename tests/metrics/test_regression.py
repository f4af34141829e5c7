import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as theirs

from echosyn.errors import DataError
from echosyn.metrics.regression import FIGURES, regression_report


def pairs(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    target = rng.uniform(20, 80, n)
    return 0.8 * target + 8 + rng.normal(0, 4, n), target


@given(st.integers(3, 200), st.integers(0, 50))
def test_figures_agree_with_scikit_learn_and_numpy(n, seed):
    p, t = pairs(n, seed)
    report = regression_report(p, t, num_bootstrap=0)
    assert report.r2.value == pytest.approx(theirs.r2_score(t, p))
    assert report.mae.value == pytest.approx(theirs.mean_absolute_error(t, p))
    assert report.rmse.value == pytest.approx(theirs.root_mean_squared_error(t, p))
    assert report.bias.value == pytest.approx((p - t).mean())
    assert report.pearson.value == pytest.approx(np.corrcoef(p, t)[0, 1])
    assert report.slope.value == pytest.approx(np.polyfit(t, p, 1)[0])


def test_perfect_predictions():
    _, t = pairs(50)
    report = regression_report(t, t)
    for name, best in (("r2", 1), ("pearson", 1), ("slope", 1), ("mae", 0), ("rmse", 0), ("bias", 0)):
        estimate = getattr(report, name)
        assert [estimate.value, estimate.low, estimate.high] == pytest.approx([best] * 3)
    assert report.reason is None


def test_intervals_cover_the_truth_about_95_percent_of_the_time():
    covered = 0
    for seed in range(200):
        mae = regression_report(*pairs(80, seed), num_bootstrap=200).bias
        covered += mae.low <= -2.0 <= mae.high  # E[0.8 t + 8 - t] = 8 - 0.2 * 50
    assert 0.88 <= covered / 200 <= 0.99


def test_copies_of_a_patient_are_no_evidence():
    p, t = pairs(40)
    patients = [str(i) for i in range(40)]
    alone = regression_report(p, t, groups=patients)
    tenfold = regression_report(np.tile(p, 10), np.tile(t, 10), groups=patients * 10)
    naive = regression_report(np.tile(p, 10), np.tile(t, 10))
    assert tenfold.mae.low == pytest.approx(alone.mae.low)
    assert tenfold.mae.high == pytest.approx(alone.mae.high)
    assert naive.mae.high - naive.mae.low < 0.5 * (alone.mae.high - alone.mae.low)
    assert (tenfold.n, tenfold.num_patients) == (400, 40)


def test_the_seed_decides_the_interval_and_nothing_else():
    p, t = pairs(30)
    assert regression_report(p, t, seed=1) == regression_report(p, t, seed=1)
    assert regression_report(p, t, seed=1).r2.low != regression_report(p, t, seed=2).r2.low
    assert regression_report(p, t, seed=1).r2.value == regression_report(p, t, seed=2).r2.value


def test_what_cannot_be_computed_says_why():
    few = regression_report([50.0, 60.0], [50.0, 55.0])
    assert all(getattr(few, name).value is None for name in FIGURES)
    assert few.reason == "n = 2, at least 3 values are needed"
    assert regression_report([], []).n == 0

    constant = regression_report([50.1, 60.0, 70.0, 20.0], [55.1] * 4)
    assert constant.mae.value is not None
    assert [constant.r2.value, constant.pearson.value, constant.slope.value] == [None] * 3
    assert constant.reason == "all targets are equal"

    flat = regression_report([0.1] * 20, pairs(20)[1])
    assert flat.pearson.value is None
    assert flat.pearson.reason == "all predictions are equal"
    assert flat.slope.value == pytest.approx(0, abs=1e-9)

    one_patient = regression_report(*pairs(20), groups=["a"] * 20)
    assert one_patient.mae.value is not None
    assert one_patient.mae.low is None
    assert "1 patient(s)" in str(one_patient.reason)


def test_it_is_json():
    report = regression_report([0.1] * 20, pairs(20)[1]).to_json()
    again = json.loads(json.dumps(report, allow_nan=False))
    assert again == report
    assert set(again["r2"]) == {"value", "low", "high"}
    assert again["pearson"]["reason"]


def test_bad_values_are_refused():
    with pytest.raises(DataError, match="one each"):
        regression_report([1.0, 2.0, 3.0], [1.0, 2.0])
    with pytest.raises(DataError, match="1 of 3 values"):
        regression_report([1.0, np.nan, 3.0], [1.0, 2.0, 3.0])
    with pytest.raises(DataError, match=r"expected \(n,\)"):
        regression_report(np.zeros((3, 1)), np.zeros(3))
