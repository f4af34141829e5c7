import numpy as np
import pytest

from echosyn.metrics.frechet import frechet_distance_of
from echosyn.metrics.jackknife import groups_of, jackknife, leave_one_out


def test_of_a_mean_it_is_students_interval():
    x = np.random.default_rng(0).normal(size=10)
    found = jackknife(float(x.mean()), [leave_one_out(np.arange(10), lambda keep: float(x[keep].mean()))], lowest=None)
    reach = 2.262157 * x.std(ddof=1) / np.sqrt(10)
    assert found.high == pytest.approx(x.mean() + reach, rel=1e-6)
    assert found.low == pytest.approx(x.mean() - reach, rel=1e-6)


def test_groups_hold_whole_patients_and_are_even():
    patients = np.arange(60) // 3
    groups = groups_of(patients, seed=1, num_groups=5)
    assert all(len(set(groups[patients == p])) == 1 for p in range(20))
    assert np.bincount(groups).tolist() == [12] * 5
    assert groups_of([7, 7, 3], seed=0).max() == 1


def test_its_interval_of_a_frechet_distance_covers_what_other_samples_give():
    """95 % intervals of 60 pairs of sets, against the mean over 200 pairs: more than 80 % must hold it, at n below d."""

    def sets(seed: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        return rng.normal(size=(40, 60)), rng.normal(size=(40, 60)) * 1.2 + 0.1

    truth = np.mean([frechet_distance_of(*sets(s)) for s in range(1000, 1200)])
    inside = 0
    for seed in range(60):
        x, y = sets(seed)
        groups = groups_of(np.arange(40), seed)
        without = [
            leave_one_out(groups, lambda keep, x=x, y=y: frechet_distance_of(x[keep], y)),
            leave_one_out(groups, lambda keep, x=x, y=y: frechet_distance_of(x, y[keep])),
        ]
        found = jackknife(frechet_distance_of(x, y), without)
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= truth <= found.high
    assert inside >= 48


def test_too_few_groups_give_no_interval():
    assert jackknife(1.0, [[1.0, 2.0], [1.0, 2.0, 3.0]]).low is None
    assert jackknife(1.0, []).high is None
    assert jackknife(0.1, [[0.0, 1.0, 2.0]]).low == 0.0
