import numpy as np
import pytest

from echosyn.errors import DataError
from echosyn.metrics.kernel import kernel_distance, kernel_distances_without


def normal(n: int, seed: int, d: int = 4, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)) + shift


def test_two_pairs_by_hand():
    # d = 1: k(x, y) = (x y + 1)^3; within {0, 1}: 1, within {2, 2}: 125, across: 1, 1, 27, 27
    assert kernel_distance([[0.0], [1.0]], [[2.0], [2.0]]) == pytest.approx(1 + 125 - 2 * 14)


def test_it_is_unbiased_at_every_n_and_sees_a_shift():
    equal = [kernel_distance(normal(10, s), normal(10, s + 1000)) for s in range(400)]
    assert abs(np.mean(equal)) < 3 * np.std(equal) / np.sqrt(400)
    assert kernel_distance(normal(300, 0), normal(300, 1, shift=1.0)) > 10 * np.std(equal)


def test_blocks_change_nothing():
    x, y = normal(1500, 0), normal(1200, 1)
    assert kernel_distance(x, y) == pytest.approx(kernel_distance(x[::-1], y[::-1]), rel=1e-9)


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="at least 2"):
        kernel_distance(normal(1, 0), normal(5, 1))
    with pytest.raises(DataError, match="4 and 3 dimensions"):
        kernel_distance(normal(5, 0), normal(5, 1, d=3))


def test_leaving_groups_out_is_what_it_says():
    x, y = normal(30, 0), normal(24, 1, shift=0.3)
    groups_x, groups_y = np.arange(30) % 5, np.arange(24) % 3
    without_x, without_y = kernel_distances_without(x, groups_x, y, groups_y)
    assert without_x == pytest.approx([kernel_distance(x[groups_x != g], y) for g in range(5)])
    assert without_y == pytest.approx([kernel_distance(x, y[groups_y != g]) for g in range(3)])
    of_x, of_y = np.arange(30) % 10, np.arange(24) // 3 % 4 * 3 + np.arange(24) % 3  # patients within the groups
    without_x, without_y = kernel_distances_without(x, groups_x, y, groups_y, of_x, of_y)
    kept = [(groups_x != g) for g in range(5)]
    assert without_x == pytest.approx([kernel_distance(x[k], y, of_x[k], of_y) for k in kept])
    kept = [(groups_y != g) for g in range(3)]
    assert without_y == pytest.approx([kernel_distance(x, y[k], of_x, of_y[k]) for k in kept])


def test_videos_of_one_patient_are_no_independent_draws():
    """The same law on both sides, 30 patients of four videos each: near 0 as for 120 patients of one, not 0.12."""
    plain, by_patient = [], []
    for seed in range(30):
        x, y = (np.repeat(normal(30, 2 * seed + k, 16), 4, axis=0) + 0.2 * normal(120, 900 + seed, 16) for k in (0, 1))
        patients = np.repeat(np.arange(30), 4)
        plain.append(kernel_distance(x, y))
        by_patient.append(kernel_distance(x, y, patients, patients))
    assert np.mean(plain) > 0.2
    assert abs(np.mean(by_patient)) < 3 * np.std(by_patient) / np.sqrt(30)
    with pytest.raises(DataError, match="one patient"):
        kernel_distance(x, y, np.zeros(120), patients)
    with pytest.raises(DataError, match="one each"):
        kernel_distance(x, y, np.zeros(3), patients)
