"""Means over patients and their intervals."""

import numpy as np
import pytest

from echosyn.metrics.bootstrap import mean_with_interval
from echosyn.rng import numpy_generator


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    held = 0
    for i in range(300):
        _, interval = mean_with_interval(numpy_generator(0, "patients", i).normal(3.0, 1.0, 30).tolist(), seed=i)
        assert interval is not None
        held += interval[0] <= 3.0 <= interval[1]
    assert 0.88 <= held / 300 <= 0.98


def test_more_patients_a_narrower_interval() -> None:
    few, many = (mean_with_interval(np.arange(float(n)) % 5)[1] for n in (10, 1000))
    assert few is not None
    assert many is not None
    assert many[1] - many[0] < 0.2 * (few[1] - few[0])


@pytest.mark.parametrize("values", [[2.0], [1.0, 3.0]])
def test_one_or_two_patients_have_a_mean_and_no_interval(values: list[float]) -> None:
    assert mean_with_interval(values) == (2.0, None)


def test_the_draws_are_the_seeds() -> None:
    values = numpy_generator(0, "values").normal(size=12).tolist()
    assert mean_with_interval(values) == mean_with_interval(values)
    assert mean_with_interval(values, seed=1) != mean_with_interval(values)
