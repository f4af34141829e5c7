"""How many items of patients with several of them reach a tail."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from echosyn.privacy.clustered import Clusters


def drawn(num: int, size: int, correlation: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Normal scores, and whose each is."""
    draws = np.random.default_rng(seed)
    shared, own = draws.normal(size=(num, 1)), draws.normal(size=(num, size))
    return (correlation**0.5 * shared + (1 - correlation) ** 0.5 * own).ravel(), np.repeat(np.arange(num), size)


@given(st.integers(1, 200), st.floats(0.001, 0.999), st.data())
def test_with_one_item_a_patient_the_law_is_binomial_and_the_rate_is_beta(num, rate, data):
    found = Clusters.of(np.arange(float(num)), np.arange(num))
    assert found.at_least(rate) == pytest.approx(stats.binom.sf(np.arange(-1, num), num, rate), abs=1e-9)
    k, probability = data.draw(st.integers(1, num)), data.draw(st.sampled_from([0.025, 0.5, 0.975]))
    assert found.rate(k / num, probability) == pytest.approx(stats.beta.ppf(probability, k, num + 1 - k), abs=1e-6)


@pytest.mark.parametrize("correlation", [0.0, 0.6, 0.95])
def test_the_law_is_what_repetition_shows(correlation):
    law = Clusters(12, 5, np.array([correlation])).at_least(0.1)
    scores = np.stack([drawn(12, 5, correlation, seed)[0] for seed in range(4000)])
    reached = (scores > stats.norm.ppf(0.9)).sum(axis=1)
    assert law[[1, 5, 12, 20]] == pytest.approx([(reached >= k).mean() for k in (1, 5, 12, 20)], abs=0.02)


@pytest.mark.parametrize(
    "transform", [lambda x: x, np.exp, lambda x: -np.exp(-x)], ids=["normal", "skewed", "skewed back"]
)
@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_the_correlation_is_found_whatever_the_scores_were_made_of(correlation, transform):
    scores, codes = drawn(100, 8, correlation)
    found = Clusters.of(transform(0.5 * scores), codes)
    assert (found.num, found.size) == (100, 8)
    assert (np.diff(found.correlations) >= 0).all()
    assert found.correlations[0] - 1e-9 <= correlation <= found.correlations[-1]
    assert found.correlations[3] == pytest.approx(correlation, abs=0.08)


@pytest.mark.parametrize("alike", [0.0, 0.5, 0.99])
def test_items_of_a_patient_count_as_far_as_they_differ(alike):
    scores, codes = drawn(300, 10, alike)
    num = Clusters.of(scores, codes).effective(0.05)
    tail = (scores > stats.norm.ppf(0.95)).reshape(300, 10)
    together = np.corrcoef(tail[:, ::2].ravel(), tail[:, 1::2].ravel())[0, 1]
    assert num == pytest.approx(300 / (together + (1 - together) / 10), rel=0.25)
    assert Clusters.of(scores[::10], np.arange(300)).effective(0.05) == 300


def test_equal_items_count_once():
    scores = np.random.default_rng(0).normal(size=40)
    once, often = (Clusters.of(np.repeat(scores, m), np.repeat(np.arange(40), m)) for m in (1, 6))
    assert often.rate(0.1, 0.975) == pytest.approx(once.rate(0.1, 0.975), rel=0.06), "0.9999 is the largest correlation"
    assert often.effective(0.05) == pytest.approx(40, rel=0.05)
    assert Clusters.of(np.ones(12), np.repeat(np.arange(4), 3)).effective(0.05) == pytest.approx(4, rel=0.05)


def test_a_patient_alone_is_one():
    assert Clusters.of(np.random.default_rng(0).normal(size=9), np.zeros(9, int)).effective(0.05) == pytest.approx(
        1, rel=0.05
    )
