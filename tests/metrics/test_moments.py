import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from echosyn.errors import DataError
from echosyn.metrics.moments import Moments, moments


def features(n: int = 200, d: int = 7, offset: float = 0.0) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, d)) * np.arange(1, d + 1) + offset


@given(cuts=st.lists(st.integers(0, 200), max_size=8), order=st.randoms(use_true_random=False))
def test_batch_size_and_order_do_not_matter(cuts, order):
    x = features(offset=1e3)
    batches = np.split(x, sorted(cuts))
    order.shuffle(batches)
    streamed = Moments()
    for batch in batches:
        streamed.update(batch)
    assert streamed.count == 200
    np.testing.assert_allclose(streamed.mean, x.mean(axis=0), rtol=0, atol=1e-9)
    np.testing.assert_allclose(streamed.cov, np.cov(x, rowvar=False), rtol=0, atol=1e-9)


def test_merging_equals_seeing_everything():
    x = features()
    left, right = moments(x[:30]), moments(x[30:])
    left.merge(right)
    left.merge(Moments())
    np.testing.assert_allclose(left.cov, moments(x).cov, atol=1e-12)
    np.testing.assert_allclose(left.mean, moments(x).mean, atol=1e-12)
    assert (left.count, left.dim) == (200, 7)


def test_far_from_zero_the_covariance_does_not_cancel():
    x = features(offset=1e8)
    np.testing.assert_allclose(moments(x).cov, np.cov(x - 1e8, rowvar=False), rtol=1e-6)


def test_merging_leaves_the_other_alone_and_covariance_is_symmetric():
    first, other = Moments(), moments(features())
    before = other.cov
    first.merge(other)
    first.update(features() * 3)
    np.testing.assert_array_equal(other.cov, before)
    np.testing.assert_array_equal(first.cov, first.cov.T)


def test_torch_float32_is_accumulated_in_float64():
    x = torch.rand(10, 3)
    np.testing.assert_allclose(moments(x).mean, x.double().mean(0).numpy(), atol=1e-15)


def test_bad_features_are_refused():
    seen = moments(features())
    with pytest.raises(DataError, match="7 as before"):
        seen.update(np.zeros((2, 6)))
    with pytest.raises(DataError, match=r"expected \(n, d\)"):
        seen.update(np.zeros(3))
    with pytest.raises(DataError, match="1 feature row"):
        seen.update(np.array([[np.nan] * 7, [0.0] * 7]))
    with pytest.raises(DataError, match="at least two"):
        _ = moments(np.zeros((1, 3))).cov
    with pytest.raises(DataError, match="at least one"):
        _ = Moments().mean
