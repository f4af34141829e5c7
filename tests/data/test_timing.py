"""Laws of the one time base: no time is gained or lost, and a constant rate stays as it is."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echosyn.data.timing import StampsError, steady
from echosyn.data.video import Times

MILLISECOND = Fraction(1, 1000)


def at(*intervals: int) -> list[int]:
    return [0, *np.cumsum(intervals).tolist()]


@given(rate=st.fractions(5, 200, max_denominator=1001), count=st.integers(2, 300), half=st.sampled_from([0, 0.5]))
def test_a_constant_rate_rounded_to_ticks_is_taken_as_said(rate: Fraction, count: int, half: float) -> None:
    stamps = [int(1000 * i / rate + half) for i in range(count)]
    assert steady(stamps, round(1000 / rate), MILLISECOND, [rate]) == Times(float(rate))


@given(
    st.lists(st.integers(1, 4), min_size=2, max_size=60).filter(lambda steps: 1 in steps),
    st.sampled_from([Fraction(1, 100), MILLISECOND, Fraction(1, 90_000)]),
)
def test_held_frames_last_as_long_as_their_stamps(steps: list[int], tick: Fraction) -> None:
    interval = int(Fraction(1, 10) / tick)
    found = steady(at(*(interval * n for n in steps[:-1])), interval * steps[-1], tick, [])
    assert found is not None
    repeats = found.repeats or (1,) * len(steps)
    least = min(steps[:-1])
    if all(n % least == 0 for n in steps):
        assert repeats == tuple(n // least for n in steps)
        assert found.fps == pytest.approx(10 / least)
    assert sum(repeats) / found.fps == pytest.approx(sum(steps) / 10, abs=1 / found.fps)


@given(st.lists(st.integers(15, 90), min_size=2, max_size=200))
def test_any_rate_keeps_its_time(intervals: list[int]) -> None:
    found = steady(at(*intervals[:-1]), intervals[-1], MILLISECOND, [])
    assert found is not None
    count = len(intervals) if found.repeats is None else sum(found.repeats)
    exact = sum(intervals) / 1000
    # What only jitters keeps the mean rate, up to half a frame about it and the last one's length.
    assert abs(count / found.fps - exact) <= (0.5 if found.variable else 2.0) * max(1 / found.fps, 0.09)


def test_a_variable_rate_takes_the_highest_that_holds() -> None:
    found = steady(at(*[20] * 50, *[59, 61, 60, 58, 62] * 4), 60, MILLISECOND, [Fraction(349, 10)])
    assert found is not None
    assert (found.fps, found.variable) == (50, True)
    assert found.repeats is not None
    assert found.repeats[:50] == (1,) * 50
    assert sum(found.repeats) == 50 + 60 + 3


def test_one_short_interval_is_no_rate() -> None:
    found = steady(at(*[40] * 20, 3, *[61] * 20), 61, MILLISECOND, [])
    assert found is not None
    assert found.fps < 32


def test_jitter_is_no_variable_rate() -> None:
    found = steady(at(30, 37, 33, 31, 36, 33, 34, 32), 33, MILLISECOND, [])
    assert found is not None
    assert found.repeats is None


def test_frames_move_with_their_stamps() -> None:
    times = Times(25.0, (1, 3, 0, 2))
    assert [times.place(i) for i in range(4)] == [0, 1, 4, 4]
    assert times.hold(np.arange(4, dtype=np.uint8)).tolist() == [0, 1, 1, 1, 3, 3]
    assert Times(25.0).place(7) == 7


@pytest.mark.parametrize("stamps", [at(20, 20, 2**31), at(*[0] * 20, 5), at(*[20, 33] * 8, 10**9)])
def test_absurd_stamps_are_refused(stamps: list[int]) -> None:
    with pytest.raises(StampsError):
        steady(stamps, 20, MILLISECOND, [])


def test_one_frame_has_the_rate_that_is_said() -> None:
    assert steady([0], 40, MILLISECOND, [Fraction(25)]) == Times(25.0)
    assert steady([0], 40, MILLISECOND, []) is None
