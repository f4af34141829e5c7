import numpy as np
import pytest

from echosyn.errors import DataError
from echosyn.metrics.inception_score import InceptionScore, inception_score


def test_sure_and_even_is_the_number_of_classes_and_unsure_is_one():
    sure = np.eye(5).repeat(4, axis=0) * 1000
    assert inception_score(sure)[0] == pytest.approx(5)
    assert inception_score(np.zeros((20, 5)))[0] == pytest.approx(1)
    assert inception_score(sure[:4])[0] == pytest.approx(1)


def test_two_images_by_hand():
    p = np.array([[0.9, 0.1], [0.2, 0.8]])
    q = p.mean(axis=0)
    expected = np.exp((p * np.log(p / q)).sum(axis=1).mean())
    assert inception_score(np.log(p))[0] == pytest.approx(expected, rel=1e-12)
    assert inception_score(np.log(p) + 7)[0] == pytest.approx(expected, rel=1e-12)


def test_batches_change_nothing_and_splits_follow_the_order():
    x = np.random.default_rng(0).normal(size=(101, 7)) * 3
    streamed = InceptionScore()
    for part in np.array_split(x, 6):
        streamed.update(part)
    assert streamed.score == pytest.approx(inception_score(x)[0], rel=1e-12)
    parts = [inception_score(x[i * 101 // 10 : (i + 1) * 101 // 10])[0] for i in range(10)]
    assert inception_score(x, 10) == (pytest.approx(np.mean(parts)), pytest.approx(np.std(parts)))


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="at least one in each"):
        inception_score(np.zeros((3, 2)), 4)
    with pytest.raises(DataError, match="at least one image"):
        _ = InceptionScore().score
    streamed = InceptionScore()
    streamed.update(np.zeros((2, 3)))
    with pytest.raises(DataError, match="4 classes, expected 3"):
        streamed.update(np.zeros((2, 4)))
