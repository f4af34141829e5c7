import numpy as np
import pytest

from echosyn.errors import DataError
from echosyn.metrics.retrieval import from_counts, retrieval


def test_the_published_figures_follow_from_the_published_counts():
    """EchoNet-Synthetic in Dombrowski et al. 2025, section 4.2: 86 % [75, 100] and 12.3 % [11.9, 12.9], adjusted 14.3 %."""
    real, synthetic = from_counts(1277, 1159, 7465), from_counts(1277, 692, 7465)
    assert real.score == pytest.approx(0.86, abs=0.01)
    assert (real.low, real.high) == (pytest.approx(0.75, abs=0.02), 1.0)
    assert synthetic.score == pytest.approx(0.123, abs=0.001)
    assert (synthetic.low, synthetic.high) == (pytest.approx(0.119, abs=0.002), pytest.approx(0.129, abs=0.002))
    assert synthetic.score / real.score == pytest.approx(0.143, abs=0.001)


def test_it_infers_how_many_are_within_reach_and_its_interval_holds():
    inside = 0
    for seed in range(200):
        hits = np.random.default_rng(seed).integers(0, 300, 500)
        found = from_counts(500, len(np.unique(hits)), 2000)
        inside += found.low <= 300 / 2000 <= found.high
    assert found.score == pytest.approx(300 / 2000, rel=0.2)
    assert inside >= 180


def test_a_collapsed_generator_reaches_little():
    train = np.random.default_rng(0).normal(size=(400, 8))
    assert retrieval(train, train[:2].repeat(100, axis=0)).score == 2 / 400
    assert retrieval(train, train).score == 1.0
    assert retrieval(train, train[:1]).score <= 1.0


def test_impossible_counts_are_refused():
    with pytest.raises(DataError, match="not possible"):
        from_counts(5, 6, 10)
