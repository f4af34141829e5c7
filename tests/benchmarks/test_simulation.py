"""The simulator of dying workers agrees with what can be computed without one."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts import imported

ROOT = Path(__file__).parents[2]


s = imported(ROOT / "benchmarks" / "simulation.py")
IMMORTAL = s.Faults(worker_per_h=0, driver_per_h=0, load_s=0)
HOUR = 3600.0


def run(items: Any, workers: Any, policy: Any, faults: Any, seed: int = 0) -> Any:
    slowness = [1.0] * workers if isinstance(workers, int) else workers
    return s.Simulation(np.asarray(items, float), slowness, policy, faults, np.random.default_rng(seed))()


def pull(unit: int = 1, **options: Any) -> Any:
    return s.Policy("pull", unit, unit, **options)


def static(items: int, workers: int, durable: int) -> Any:
    return s.Policy("static", math.ceil(items / workers), durable, bound=True, driven=False)


def near(values: list[float], expected: float) -> None:
    """Within four standard errors, which are small."""
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    assert error < 0.05 * expected
    assert abs(float(np.mean(values)) - expected) < 4 * error


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 7))
@settings(deadline=None, max_examples=50)
def test_if_nobody_dies_equal_units_are_done_in_rounds(items: int, workers: int, unit: int) -> None:
    done = run([10.0] * (items * unit), workers, pull(unit), replace(IMMORTAL, load_s=3))
    assert done.end_s == pytest.approx(3 + 10 * unit * math.ceil(items / workers))
    assert done.useful_s == pytest.approx(10 * items * unit)
    idle_loads = 3 * max(0, workers - items)  # a worker that gets nothing loads nothing
    assert done.wasted_s + idle_loads == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("slow", [2.0, 3.0])
def test_workers_that_pull_share_work_by_their_speed(slow: float) -> None:
    done = run([1.0] * 5000, [1.0, 1.0, 1.0, slow], pull(), IMMORTAL)
    assert done.end_s == pytest.approx(5000 / (3 + 1 / slow), abs=slow)


def test_shards_wait_for_the_slowest_worker() -> None:
    assert run([1.0] * 400, [1.0, 1.0, 1.0, 3.0], static(400, 4, 1), IMMORTAL).end_s == pytest.approx(300)


@pytest.mark.parametrize("policy", [pull(50), static(50, 1, 50)], ids=["pull", "static"])
def test_a_unit_that_begins_anew_after_each_death_takes_what_the_formula_says(policy: Any) -> None:
    # E = (1/rate + back) (exp(rate t) - 1), of t with the loading that each try begins with
    faults = s.Faults(worker_per_h=1.0, driver_per_h=0, back_s=300, load_s=60)
    t = 60 + 50 * 72
    expected = (HOUR + 300) * (math.exp(t / HOUR) - 1)
    near([run([72.0] * 50, 1, policy, faults, seed).end_s for seed in range(3000)], expected)


@pytest.mark.parametrize("durable", [1, 5, 25])
def test_what_is_durable_is_not_done_again(durable: int) -> None:
    # without loading, stretches between durable points are independent of one another
    faults = s.Faults(worker_per_h=1.0, driver_per_h=0, back_s=120, load_s=0)
    expected = (50 / durable) * (HOUR + 120) * (math.exp(durable * 72 / HOUR) - 1)
    runs = [run([72.0] * 50, 1, static(50, 1, durable), faults, seed) for seed in range(3000)]
    near([one.end_s for one in runs], expected)
    assert all(one.end_s == pytest.approx(one.busy_s + 120 * one.deaths) for one in runs)


def test_a_life_is_spent_on_loading_first() -> None:
    simulation = s.Simulation(
        np.full(10, 30.0), [1.0], static(10, 1, 1), s.Faults(back_s=5, load_s=20), np.random.default_rng(0)
    )
    simulation.dies_at = [100.0]
    simulation._life = lambda w, per_h: 100.0
    done = simulation()
    # 20 s and two and two thirds of items, four times; then the last two
    assert done.end_s == pytest.approx(4 * (100 + 5) + 20 + 2 * 30)
    assert done.wasted_s == pytest.approx(4 * (20 + 20))


@pytest.mark.parametrize(("resumes", "t"), [(False, 50 * 72), (True, 72)])
def test_the_death_of_the_driver_costs_a_try_or_an_item(resumes: bool, t: float) -> None:
    faults = s.Faults(worker_per_h=0, driver_per_h=1.0, back_s=300, load_s=0)
    expected = 50 * 72 / t * (HOUR + 300) * (math.exp(t / HOUR) - 1)
    near([run([72.0] * 50, 1, pull(resumes=resumes), faults, seed).end_s for seed in range(3000)], expected)


@given(st.integers(0, 10_000), st.sampled_from([2, 3, 10, 30, 100]))
@settings(deadline=None, max_examples=60)
def test_safer_results_are_never_later_in_a_shard(seed: int, durable: int) -> None:
    faults = s.Faults(worker_per_h=3.0, load_s=5)
    items = np.random.default_rng(seed).lognormal(3, 0.5, 300)
    safe, late = (run(items, 3, static(300, 3, k), faults, seed) for k in (1, durable))
    assert safe.end_s <= late.end_s + 1e-6
    assert safe.wasted_s <= late.wasted_s + 1e-6


@given(st.integers(0, 10_000), st.integers(1, 30), st.booleans())
@settings(deadline=None, max_examples=60)
def test_everything_is_done_once_and_time_adds_up(seed: int, unit: int, driven: bool) -> None:
    faults = s.Faults(worker_per_h=3.0, driver_per_h=1.0, load_s=5, back_s=60)
    items = np.random.default_rng(seed).lognormal(3, 0.5, 200)
    done = run(items, 3, pull(unit, driven=driven), faults, seed)
    assert done.useful_s == pytest.approx(items.sum())
    assert done.busy_s <= 3 * done.end_s + 1e-6
    assert done.end_s >= items.sum() / 3
    assert done == run(items, 3, pull(unit, driven=driven), faults, seed)


def test_what_is_compared_covers_all_items_and_says_what_it_assumes() -> None:
    measured = {"animate_s": [1.0, 1.2], "invent_s_per_heart": [0.2]}
    for scenario in s.SCENARIOS:
        small = replace(scenario, items=640)
        found = s.simulated(small, measured, 3, 0)
        assert found["assumed"]
        for name, row in found["policies"].items():
            assert row["hours_5"] <= row["hours"] <= row["hours_95"], name
            assert row["hours"] >= 0.999 * found["ideal_h"], name
