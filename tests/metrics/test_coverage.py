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


def test_videos_of_one_patient_are_not_one_anothers_neighbours():
    """Equal laws: the figures of 30 patients with four videos are those of 30 patients with one, not 0."""

    def figures(x, y, *patients) -> np.ndarray:
        found = coverage(x, y, 3, *patients)
        return np.array([found.precision, found.recall, found.density, found.coverage])

    once, often, plain = [], [], []
    patients = np.repeat(np.arange(30), 4)
    for seed in range(20):
        x, y = normal(30, 2 * seed), normal(30, 2 * seed + 1)
        several = [np.repeat(side, 4, axis=0) + 0.01 * normal(120, 70 + seed) for side in (x, y)]
        once.append(figures(x, y))
        often.append(figures(*several, patients, patients))
        plain.append(figures(*several))
    assert np.mean(often, axis=0) == pytest.approx(np.mean(once, axis=0), abs=0.04)
    assert np.mean(plain, axis=0)[0] < 0.05
    with pytest.raises(DataError, match="2 patients"):
        coverage(x, y, 3, np.arange(30) % 2)
