import numpy as np
import pytest

from echosyn.errors import DataError
from echosyn.metrics.two_sample import INVERSE_PENALTY, _fitted, classifier_auc, classifier_auc_with_interval


def sides(shift: float, patients: int = 40, rows: int = 2, dim: int = 6, seed: int = 0) -> tuple:
    """Two Gaussian sets; rows of one patient are near copies of one another."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(2, patients, 1, dim)) + shift * np.arange(2)[:, None, None, None]
    x = (means + 0.05 * rng.normal(size=(2, patients, rows, dim))).reshape(2, -1, dim)
    owners = np.repeat(np.arange(patients), rows)
    return x[0], x[1], owners, owners


def test_sets_from_one_source_cannot_be_told_apart_though_frames_of_a_patient_are_alike():
    values = [classifier_auc(*sides(0.0, seed=s), seed=s) for s in range(12)]
    assert 0.42 < np.mean(values) < 0.54


def test_the_area_is_that_of_the_best_line():
    # the best line between two Gaussians of unit variance that are d apart has the area Phi(d / 2^½)
    values = [classifier_auc(*sides(1 / 6**0.5, patients=150, seed=s), seed=s) for s in range(4)]
    assert np.mean(values) == pytest.approx(0.760, abs=0.04)
    assert classifier_auc(*sides(5.0), seed=0) == 1.0


def test_units_of_the_features_and_the_order_of_the_sides_do_not_matter():
    x, y, a, b = sides(0.4)
    scale = 10.0 ** np.arange(-3, 3)
    value = classifier_auc(x, y, a, b, 1)
    assert classifier_auc(x * scale + 7, y * scale + 7, a, b, 1) == pytest.approx(value, abs=1e-3)
    assert classifier_auc(y, x, b, a, 1) == pytest.approx(value, abs=1e-9)


def test_the_interval_is_of_patients_not_of_frames():
    few, many = (classifier_auc_with_interval(*sides(0.4, rows=rows), seed=0) for rows in (1, 8))
    assert few.low is not None
    assert many.low is not None
    assert few.low < few.value < few.high
    assert many.high - many.low > 0.7 * (few.high - few.low), "eight near copies are not eight patients"


def test_nine_intervals_of_ten_hold_the_mean():
    found = [classifier_auc_with_interval(*sides(0.4, seed=s), seed=s, num_bootstrap=100) for s in range(30)]
    mean = np.mean([e.value for e in found])
    assert sum(e.low <= mean <= e.high for e in found) >= 24


def test_two_patients_a_side_are_the_least():
    x, y, a, b = sides(0.4, patients=2)
    assert 0 <= classifier_auc(x, y, a, b, 0) <= 1
    with pytest.raises(DataError, match="1 real and 2 synthetic patients"):
        classifier_auc(x, y, 0 * a, b, 0)
    with pytest.raises(DataError, match="6 and 5 dimensions"):
        classifier_auc(x, y[:, :5], a, b, 0)


@pytest.mark.parametrize(("rows", "dim"), [(80, 6), (60, 100)])
def test_the_line_is_that_of_scikit_learn(rows: int, dim: int):
    linear, preprocessing = (pytest.importorskip(f"sklearn.{name}") for name in ("linear_model", "preprocessing"))
    random = np.random.default_rng(0)
    x, is_synthetic = random.normal(size=(rows, dim)), np.arange(rows) < rows // 4
    x[is_synthetic] += 0.3
    x[:, -1] = 0.1  # a constant feature says nothing
    z = preprocessing.StandardScaler().fit_transform(x)
    theirs = linear.LogisticRegression(C=INVERSE_PENALTY, class_weight="balanced", tol=1e-10).fit(z, is_synthetic)
    assert _fitted(x, is_synthetic)(x) == pytest.approx(theirs.decision_function(z), abs=1e-4)
