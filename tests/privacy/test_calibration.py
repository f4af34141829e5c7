import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from echosyn.errors import DataError
from echosyn.privacy.calibration import needed_patients, threshold_from_scores, threshold_value
from echosyn.privacy.matching import nearest


def people(num: int, seed: int, d: int = 8) -> torch.Tensor:
    return torch.randn(num, d, generator=torch.Generator().manual_seed(seed))


def names(num: int) -> list[str]:
    return [str(i) for i in range(num)]


@given(st.integers(1, 300), st.sampled_from([0.01, 0.05, 0.1, 0.2, 0.5]), st.integers(0, 3))
def test_with_one_frame_a_patient_it_is_the_conformal_order_statistic(n, rate, seed):
    scores = np.random.default_rng(seed).permutation(n).astype(float)
    threshold = threshold_from_scores(scores, names(n), false_rejection_rate=rate)
    k = math.ceil((n + 1) * (1 - rate) - 1e-9)
    assert threshold.enough == (n >= needed_patients(rate))
    assert threshold.value == min(k, n) - 1
    assert threshold.claimed_rate == pytest.approx((n + 1 - min(k, n)) / (n + 1))
    assert (threshold.claimed_rate <= rate + 1e-9) == (k <= n) == (threshold.achievable_rate <= rate + 1e-9)
    law = stats.beta(n + 1 - min(k, n), min(k, n))
    assert (threshold.rate_low, threshold.rate_high) == pytest.approx(law.ppf([0.025, 0.975]))


def test_innocents_are_rejected_at_the_configured_rate():
    """I.i.d. people, 500 in training and 200 held out: the mean over worlds is the rate."""
    rates = []
    for world in range(40):
        train, held_out, strangers = people(900, world).split([500, 200, 200])
        scores = nearest(held_out, train).similarity.double().numpy()
        threshold = threshold_from_scores(scores, names(200))
        assert threshold.enough
        assert threshold.claimed_rate <= 0.05
        rates.append((nearest(strangers, train).similarity.double() >= threshold.value).double().mean())
    assert np.mean(rates) == pytest.approx(0.05, abs=0.01)


def test_several_frames_of_a_patient_keep_the_rate():
    """Patients with many, strongly alike frames: the promise is for a random frame of a random unseen patient."""
    rates = []
    rng = np.random.default_rng(0)
    for world in range(300):
        level, frames = rng.normal(size=61), rng.integers(1, 12, size=61)
        # patients with long videos look more like the training set
        scores = [level[i] + 0.2 * frames[i] + 0.3 * rng.normal(size=frames[i]) for i in range(61)]
        patients = [str(i) for i in range(60) for _ in range(frames[i])]
        seen = np.concatenate(scores[:60])
        value = threshold_value(seen, np.array(patients, dtype=int), 0.1)
        if world < 3:
            assert value == threshold_from_scores(seen, patients, false_rejection_rate=0.1).value
        rates.append((scores[60] >= value).mean())
    assert np.mean(rates) == pytest.approx(0.1, abs=0.035)


def test_repeating_a_patients_frames_changes_nothing():
    scores = np.random.default_rng(0).normal(size=50)
    once = threshold_from_scores(scores, names(50))
    often = threshold_from_scores(np.concatenate([scores, np.repeat(scores[:1], 500)]), [*names(50), *["0"] * 500])
    assert once.value == often.value
    assert (often.num_patients, often.num_frames) == (50, 550)
    assert (often.rate_low, often.rate_high) == pytest.approx((once.rate_low, once.rate_high))


@given(st.lists(st.integers(1, 40), min_size=2, max_size=30), st.integers(0, 3))
def test_patients_with_few_and_with_many_frames_have_an_interval_around_the_claim(counts, seed):
    owners = np.repeat(np.arange(len(counts)), counts)
    draws = np.random.default_rng(seed)
    found = threshold_from_scores(
        draws.normal(size=len(counts))[owners] + draws.normal(size=len(owners)), owners.astype(str)
    )
    assert 0 < found.rate_low < found.rate_high < 1
    assert found.rate_low <= found.claimed_rate
    assert found.high is None or found.low <= found.high


def test_the_interval_holds_the_value_and_shrinks_with_patients():
    rng = np.random.default_rng(0)
    wide, narrow = (threshold_from_scores(rng.normal(size=n), names(n)) for n in (80, 2000))
    for threshold in (wide, narrow):
        assert threshold.low <= threshold.value <= threshold.high
        assert threshold.rate_low <= threshold.claimed_rate <= threshold.rate_high
    assert narrow.high - narrow.low < 0.5 * (wide.high - wide.low)
    assert narrow.low <= 1.645 <= narrow.high


def covered(num: int, videos: int, correlation: float, repetitions: int) -> tuple[float, float]:
    """How often the intervals of the rate and of the score hold the truth, of normal scores."""
    rng, hits = np.random.default_rng([num, videos, int(10 * correlation)]), []
    patients, truth = np.repeat(names(num), videos).tolist(), stats.norm.ppf(0.95)
    for _ in range(repetitions):
        noise = rng.normal(size=(num, videos)) * (1 - correlation) ** 0.5
        scores = rng.normal(size=(num, 1)) * correlation**0.5 + noise
        found = threshold_from_scores(scores.ravel(), patients)
        rate = stats.norm.sf(found.value)
        held = found.low <= truth and (found.high is None or truth <= found.high)
        hits.append((found.rate_low <= rate <= found.rate_high, held))
    return tuple(np.mean(hits, axis=0).tolist())


@pytest.mark.parametrize(("num", "videos", "correlation"), [(20, 1, 0.0), (60, 10, 0.6), (200, 1, 0.0)])
def test_intervals_hold_the_truth_as_often_as_they_say(num, videos, correlation):
    assert covered(num, videos, correlation, 600 if videos == 1 else 200) == pytest.approx((0.95, 0.95), abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("num", [20, 38, 60, 100, 200, 500, 2000])
@pytest.mark.parametrize(("videos", "correlation"), [(1, 0.0), (10, 0.0), (10, 0.3), (10, 0.6), (10, 0.9)])
def test_intervals_hold_the_truth_for_few_and_many_patients_with_one_and_ten_videos(num, videos, correlation):
    found = covered(num, videos, correlation, 3000 if num <= 200 else 1000)
    assert found == pytest.approx((0.95, 0.95), abs=0.03)


def test_too_few_held_out_patients_are_said_not_hidden():
    threshold = threshold_from_scores(np.array([0.3, 0.9, 0.5]), ["a", "b", "c"])
    assert not threshold.enough
    assert threshold.value == 0.9
    assert threshold.achievable_rate == threshold.claimed_rate == 0.25
    assert threshold.high is None
    assert "expected at least 100" in threshold.message
    assert "25.0% on average" in threshold.message
    assert threshold_from_scores(np.arange(100.0), names(100)).enough
    assert not threshold_from_scores(np.arange(99.0), names(99)).enough
    json.dumps(threshold.to_json(), allow_nan=False)


def test_ties_at_the_threshold_raise_the_claim_not_lower_it():
    threshold = threshold_from_scores(np.array([0.1] * 10 + [0.8] * 30), names(40))
    assert threshold.value == 0.8
    assert threshold.claimed_rate == pytest.approx(1 / 41)


def test_bad_settings_are_refused():
    for rate in (0.0, 1.0, -0.1):
        with pytest.raises(DataError, match="rate"):
            threshold_from_scores(np.zeros(3), names(3), false_rejection_rate=rate)
    with pytest.raises(DataError, match="at least one"):
        threshold_from_scores(np.zeros(0), [])
    with pytest.raises(DataError, match="as many"):
        threshold_from_scores(np.zeros(3), ["a"])
