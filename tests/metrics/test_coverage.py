import numpy as np
import pytest

from echosyn.errors import DataError
from echosyn.metrics.coverage import coverage, nearest


def normal(n: int, seed: int, d: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def test_on_a_line_by_hand():
    # k = 1: real balls of radius 1 around 0, 1 and of 9 around 10; synthetic ones of radius 1 around 2, 3 and 47 around 50
    found = coverage([[0.0], [1.0], [10.0]], [[2.0], [3.0], [50.0]], neighbours=1)
    assert found.precise.tolist() == [1, 1, 0]
    assert found.dense.tolist() == [2, 1, 0]
    assert found.recalled.tolist() == [0, 1, 1]
    assert found.covered.tolist() == [0, 1, 1]
    assert (found.precision, found.density) == (pytest.approx(2 / 3), pytest.approx(1.0))


def test_a_set_against_itself_is_perfect():
    x = normal(100, 0)
    found = coverage(x, x)
    assert (found.precision, found.recall, found.coverage) == (1.0, 1.0, 1.0)
    assert found.density >= 1.0


def test_a_collapsed_generator_is_precise_and_recalls_little():
    real = normal(600, 0)
    collapsed = real[:3].repeat(200, axis=0) + 0.01 * normal(600, 1)
    found = coverage(real, collapsed)
    assert found.precision > 0.95
    assert found.recall < 0.05
    assert found.coverage < 0.1


def test_noise_is_neither():
    found = coverage(normal(300, 0), 50 + normal(300, 1))
    assert (found.precision, found.recall, found.density, found.coverage) == (0, 0, 0, 0)


def test_more_than_a_block_and_unequal_sizes():
    real, synthetic = normal(1100, 0, 3), normal(700, 1, 3)
    whole = coverage(real, synthetic)
    order = np.random.default_rng(2).permutation(1100)
    assert coverage(real[order], synthetic).recall == whole.recall
    assert (coverage(real[order], synthetic).dense == whole.dense).all()
    assert (nearest(real, real) == np.arange(1100)).all()


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="at least 4"):
        coverage(normal(3, 0), normal(9, 1))
    with pytest.raises(DataError, match="at least 1"):
        coverage(normal(9, 0), normal(9, 1), neighbours=0)
