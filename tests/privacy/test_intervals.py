import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from echosyn.errors import DataError
from echosyn.privacy.intervals import exact, risk, wilson


@given(st.integers(1, 500), st.data())
def test_it_is_wilsons_interval(num, data):
    successes = data.draw(st.integers(0, num))
    rate = wilson(successes, num)
    expected = stats.binomtest(successes, num).proportion_ci(method="wilson")
    assert (rate.low, rate.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0 <= rate.low <= rate.value <= rate.high <= 1


def test_no_trial_says_nothing():
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)
    with pytest.raises(DataError, match="0 to 3"):
        wilson(4, 3)


@given(st.integers(0, 200), st.integers(0, 200))
def test_a_risk_is_a_share_and_no_excess_is_no_risk(main, control):
    found = risk(wilson(main, 200), wilson(control, 200))
    assert 0 <= found.low <= found.high <= 1
    if main <= control:
        assert found.value == 0
        assert found.low == 0


def test_total_success_against_training_patients_alone_is_certain():
    found = risk(wilson(200, 200), wilson(0, 200))
    assert found.value == 1
    assert found.low > 0.9


def test_an_attack_that_always_succeeds_shows_nothing():
    found = risk(wilson(50, 50), wilson(50, 50))
    assert (found.value, found.low, found.high) == (0.0, 0.0, 1.0)


def test_more_patients_narrow_the_interval():
    few, many = (risk(wilson(n // 10, n), wilson(n // 20, n)) for n in (40, 4000))
    assert many.high - many.low < 0.2 * (few.high - few.low)


@given(st.integers(1, 500), st.data())
def test_it_is_clopper_and_pearsons_interval(num, data):
    successes = data.draw(st.integers(0, num))
    rate = exact(successes, num)
    expected = stats.binomtest(successes, num).proportion_ci(method="exact")
    assert (rate.low, rate.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert (exact(0, 0).low, exact(0, 0).high) == (0.0, 1.0)
    with pytest.raises(DataError, match="0 to 3"):
        exact(4, 3)


def test_73_of_73_show_95_percent_and_20_of_20_do_not():
    assert exact(73, 73).low >= 0.95 > exact(71, 71).low
    assert exact(20, 20).low == pytest.approx(0.832, abs=0.001)


def test_a_risk_of_exactly_the_limit_is_let_through_in_one_of_forty():
    """0.09 is the share of patients who are found: an exact upper end below it errs in 2.5 % at most."""
    for num in (112, 500):
        passing = [k for k in range(num) if exact(k, num).high < 0.09]
        assert stats.binom.cdf(max(passing), num, 0.09) <= 0.025
