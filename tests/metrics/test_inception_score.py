import numpy as np
import pytest

from echosyn.errors import DataError
from echosyn.metrics.inception_score import InceptionScore


def inception_score(*batches: np.ndarray) -> float:
    streamed = InceptionScore()
    for batch in batches:
        streamed.update(batch)
    return streamed.score


def test_sure_and_even_is_the_number_of_classes_and_unsure_is_one():
    sure = np.eye(5).repeat(4, axis=0) * 1000
    assert inception_score(sure) == pytest.approx(5)
    assert inception_score(np.zeros((20, 5))) == pytest.approx(1)
    assert inception_score(sure[:4]) == pytest.approx(1)


def test_two_images_by_hand():
    p = np.array([[0.9, 0.1], [0.2, 0.8]])
    q = p.mean(axis=0)
    expected = np.exp((p * np.log(p / q)).sum(axis=1).mean())
    assert inception_score(np.log(p)) == pytest.approx(expected, rel=1e-12)
    assert inception_score(np.log(p) + 7) == pytest.approx(expected, rel=1e-12)


def test_batches_change_nothing():
    x = np.random.default_rng(0).normal(size=(101, 7)) * 3
    assert inception_score(*np.array_split(x, 6)) == pytest.approx(inception_score(x), rel=1e-12)


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="at least one image"):
        _ = InceptionScore().score
    streamed = InceptionScore()
    streamed.update(np.zeros((2, 3)))
    with pytest.raises(DataError, match="4 classes, expected 3"):
        streamed.update(np.zeros((2, 4)))
