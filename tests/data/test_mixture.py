"""Several streams as one: exact shares, each stream in its own order, and item g depends on (seed, g) alone."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import Dataset

from echosyn.data.mixture import BLOCK, Mixture


class Named(Dataset[dict[str, Any]]):
    def __init__(self, name: str) -> None:
        self.name = name

    def __getitem__(self, g: int) -> dict[str, Any]:
        return {"of": self.name, "position": g, "index": g}


def mixture(*weights: float, seed: int = 0) -> Mixture:
    return Mixture([Named(letter) for letter in "abc"[: len(weights)]], weights, seed)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=3))
@settings(max_examples=20, deadline=None)
def test_a_thousand_items_hold_each_stream_by_its_weight(weights: list[float]) -> None:
    mixed = mixture(*weights)
    streams = [mixed.place(g)[0] for g in range(BLOCK)]
    for i, weight in enumerate(weights):
        assert streams.count(i) == pytest.approx(max(1, BLOCK * weight / sum(weights)), abs=len(weights))


def test_each_stream_gives_its_items_in_order_and_none_twice():
    mixed = mixture(3, 1)
    for stream in (0, 1):
        positions = [p for s, p in map(mixed.place, range(2 * BLOCK)) if s == stream]
        assert positions == list(range(len(positions)))


def test_an_item_does_not_depend_on_those_asked_before():
    mixed, wanted = mixture(1, 2, 3), [1500, 3, 999, 2000, 3]
    assert [mixed[g] for g in wanted] == [mixture(1, 2, 3)[g] for g in wanted]
    assert [mixed[g]["index"] for g in wanted] == wanted


def test_another_seed_is_another_order():
    assert [mixture(1, 1)[g]["of"] for g in range(50)] != [mixture(1, 1, seed=1)[g]["of"] for g in range(50)]


def test_streams_take_turns_within_a_block():
    firsts = {mixture(1, 1)[g]["of"] for g in range(20)}
    assert firsts == {"a", "b"}
