import numpy as np
import pytest

from echosyn.metrics.curves import Curve

POWER = Curve(slice(1, 5), (1.0, 2.0, 3.0, 4.0), "Hz", {"low": slice(0, 2), "high": slice(2, 4)}, "ratio")


def rows(scale: list[float], seed: int, patients: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of powers of two clips of each patient, beside a number that belongs to no curve."""
    power = np.random.default_rng(seed).gamma(20, 1 / 20, (2 * patients, 4)) * scale
    return np.concatenate([np.full((2 * patients, 1), 9.0), np.log(power)], axis=1), np.repeat(np.arange(patients), 2)


def test_the_ratio_of_each_band_is_found_within_its_interval():
    real = POWER.of_patients(*rows([1, 1, 1, 1], 0))
    synthetic = POWER.of_patients(*rows([1, 1, 0.1, 0.3], 1))
    low, high = POWER.with_intervals(real, synthetic, seed=0)
    assert low.low < 1 < low.high
    assert high.low < 0.2 < high.high
    assert high.value == pytest.approx(0.2, rel=0.1)
    assert POWER.worst(np.array([low.value, high.value])) == 1
    assert POWER.worst(np.array([4.0, 0.3])) == 0, "four times too much is further off than a third"


def test_every_patient_counts_once():
    x = np.log(np.array([[1.0, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 4, 4, 4, 4]]))
    assert POWER.of_patients(x, np.array([0, 0, 1])).mean(axis=0) == pytest.approx(2.5)


def test_differences_are_synthetic_less_real_and_two_patients_have_no_interval():
    curve = Curve(slice(-2, None), (1.0, 2.0), "frames later", {"1": slice(0, 1), "2": slice(1, 2)}, "difference")
    found = curve.with_intervals(np.full((2, 2), 0.9), np.array([[0.8, 0.2]] * 2), seed=0)
    assert [e.value for e in found] == pytest.approx([-0.1, -0.7])
    assert [e.low for e in found] == [None, None]
    assert curve.worst(np.array([-0.1, -0.7])) == 1
