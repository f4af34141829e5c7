import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from echosyn.errors import DataError
from echosyn.metrics.floor import halves
from echosyn.metrics.frechet import frechet_distance, frechet_distance_of, trace_of_root
from echosyn.metrics.moments import Moments, moments


def normal(n: int, d: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d)


def exactly(mean: np.ndarray, root: np.ndarray) -> Moments:
    """Moments whose mean and covariance (``root root^T``) are known exactly, up to rounding."""
    d = len(mean)
    rows = np.concatenate([root.T, -root.T]) * np.sqrt((2 * d - 1) / 2)
    return moments(rows + mean)


@given(st.lists(st.floats(0.1, 10), min_size=3, max_size=3), st.lists(st.floats(0.1, 10), min_size=3, max_size=3))
def test_commuting_gaussians_have_a_closed_form(s1, s2):
    a = exactly(np.zeros(3), np.diag(s1))
    b = exactly(np.array([1.0, -2.0, 3.0]), np.diag(s2))
    expected = 14.0 + sum((p - q) ** 2 for p, q in zip(s1, s2, strict=True))
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_it_agrees_with_torchmetrics():
    from torchmetrics.image.fid import _compute_fid

    a, b = moments(normal(500, 16, 1)), moments(normal(400, 16, 2))
    theirs = _compute_fid(*(torch.from_numpy(x) for x in (a.mean, a.cov, b.mean, b.cov)))
    assert frechet_distance(a, b) == pytest.approx(theirs.item(), rel=1e-6)


def test_it_is_a_squared_distance():
    a, b = moments(normal(300, 8, 1)), moments(normal(300, 8, 2))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-9)
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(8, 8)))[0]
    turned = [moments(normal(300, 8, s) @ turn + 5.0) for s in (1, 2)]
    assert frechet_distance(*turned) == pytest.approx(frechet_distance(a, b), rel=1e-9)


def test_singular_covariances_are_exact():
    rng = np.random.default_rng(0)
    few = rng.normal(size=(10, 64))
    scale = np.trace(moments(few).cov)
    assert frechet_distance(moments(few), moments(few)) < 1e-6 * scale
    # rank one against rank one, at 60 degrees: tr (C1 C2)^1/2 = |cos|
    u, v = np.array([1.0, 0.0]), np.array([0.5, np.sqrt(0.75)])
    assert trace_of_root(np.outer(u, u), np.outer(v, v)) == pytest.approx(0.5, abs=1e-7)
    # constant features: only the means are left
    assert frechet_distance(moments(np.zeros((5, 3))), moments(np.ones((5, 3)))) == pytest.approx(3.0)


def test_the_floor_splits_patients_not_features():
    # Each patient is one point: were its clips on both sides, the floor would be much lower.
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(size=(20, 3)), 30, axis=0)

    def floor(patients: list[str], seed: int = 0, n: int | None = None) -> float:
        splits = [halves(patients, seed, repeat, n) for repeat in range(20)]
        return float(np.mean([frechet_distance_of(x[left], x[right]) for left, right in splits]))

    patients, clips = [str(i // 30) for i in range(600)], [str(i) for i in range(600)]
    assert floor(patients) > 5 * floor(clips)
    assert 0 < floor(clips) < floor(clips, n=10)
    assert floor(clips) == floor(clips) != floor(clips, seed=1)


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="4 and 3 dimensions"):
        frechet_distance(moments(normal(9, 4, 0)), moments(normal(9, 3, 0)))
    with pytest.raises(DataError, match="halves of 1 patients"):
        halves(["a"] * 4, 0, 0)
    with pytest.raises(DataError, match="smaller n"):
        halves(list("abcdefgh"), 0, 0, n=5)


@pytest.mark.parametrize(("n", "m", "d"), [(300, 200, 8), (20, 30, 64), (5, 200, 16)])
def test_both_ways_to_compute_it_agree(n, m, d):
    x, y = normal(n, d, 1), normal(m, d, 2)
    # of singular covariances eigenvalues that are zero come out as rounding, whose roots are 1e-8
    singular = min(n, m) <= d
    expected = frechet_distance(moments(x), moments(y))
    assert frechet_distance_of(x, y) == pytest.approx(expected, rel=1e-6 if singular else 1e-9)
    assert frechet_distance_of(x, x) == pytest.approx(0, abs=1e-9 * np.trace(moments(x).cov))


def test_population_covariances_scale_the_spread_only():
    x, y = normal(20, 3, 1), normal(20, 3, 2)
    shift = ((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum()
    unbiased = frechet_distance(moments(x), moments(y)) - shift
    assert frechet_distance(moments(x), moments(y), population=True) - shift == pytest.approx(unbiased * 19 / 20)
