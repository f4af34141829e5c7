"""Conditions by name: what a table or a user says becomes what the network sees, and what is dropped is not seen."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import binom

from echosyn.diffusion.conditions import EF, Condition, Schema
from echosyn.errors import ConfigError

RATE = Condition(name="heart_rate", column="HeartRate", unit="beats/min", range=(30, 230), drop=0.3)
VIEW = Condition(name="view", choices=("A4C", "PSAX", "PLAX"))


@given(st.floats(0, 100))
def test_the_ef_is_seen_as_a_fraction(percent: float) -> None:
    numbers, given_ = Schema([EF]).encode({"ef": torch.tensor([percent])})
    assert torch.equal(numbers, torch.tensor([[percent]]) / 100)
    assert given_.all()


@given(st.floats(30, 230))
def test_a_range_is_seen_as_zero_to_one(rate: float) -> None:
    seen = RATE.inputs(torch.tensor([30.0, rate, 230.0]))[:, 0]
    assert torch.allclose(seen * 200 + 30, torch.tensor([30.0, rate, 230.0]), atol=1e-3)


def test_a_word_is_one_of_several_inputs():
    numbers, given_ = Schema([EF, VIEW]).encode(
        {"ef": torch.tensor([50.0, 60.0]), "view": torch.tensor([2.0, math.nan])}
    )
    assert numbers[0].tolist() == [0.5, 0, 0, 1]
    assert given_.tolist() == [[True] * 4, [True, False, False, False]]


def test_a_null_takes_the_place_of_what_is_not_given_and_differs_from_zero():
    schema = Schema([EF.model_copy(update={"null": -1.0})])
    values = {"ef": torch.tensor([0.0, 40.0, math.nan])}
    numbers, given_ = schema.encode(values, torch.tensor([[True], [False], [True]]))
    assert numbers[:, 0].tolist() == [0.0, -1.0, -1.0]
    assert given_.all()  # the network need not know another null


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_each_condition_is_dropped_in_its_share_of_items(share: float) -> None:
    schema = Schema([EF, RATE, VIEW], drop=share)
    uniform = torch.rand(20_000, generator=torch.Generator().manual_seed(0))
    dropped = (~schema.kept(uniform)).sum(0).tolist()
    for count, expected in zip(dropped, [share, 0.3, share], strict=True):
        low, high = binom.interval(0.9999, 20_000, expected)
        assert low <= count <= high
    assert schema.drop == min(share, 0.3)
    together = (~schema.kept(uniform)).all(1).float().mean()
    assert float(together) == pytest.approx(schema.drop, abs=0.02)


@pytest.mark.parametrize(
    ("condition", "text", "message"),
    [
        (RATE, "400", "heart_rate is 400, expected a number in 30..230 beats/min"),
        (RATE, "fast", "heart_rate is fast, expected a number"),
        (EF, "nan", "ef is nan, expected a number in 0..100 percent"),
        (VIEW, "A4", "view is 'A4'; did you mean 'A4C'"),
    ],
)
def test_values_that_make_no_sense_are_named(condition: Condition, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        condition.number(text)


def test_an_empty_cell_is_unknown():
    assert all(math.isnan(VIEW.number(empty)) for empty in ("", None, "  "))


def test_what_is_asked_for_is_known_and_complete():
    schema = Schema([EF, RATE, VIEW])
    asked = schema.requested({"ef": [20.0, 30.0], "view": "PSAX"}, 2)
    assert asked["view"].tolist() == [1, 1]
    assert asked["heart_rate"].isnan().all()
    with pytest.raises(ConfigError, match="no condition 'veiw'; did you mean 'view'"):
        schema.requested({"ef": [1.0], "veiw": "A4C"}, 1)
    with pytest.raises(ConfigError, match="not trained without view: give --condition view=VALUE"):
        schema.requested({"ef": [1.0]}, 1)
    with pytest.raises(ConfigError, match=r"2 value\(s\) of ef for 3 still\(s\)"):
        schema.requested({"ef": [1.0, 2.0], "view": "A4C"}, 3)


@pytest.mark.parametrize(
    "settings",
    [{"name": "latents"}, {"name": "Heart rate"}, {"name": "x", "range": (1, 1)}, {"name": "x", "choices": ("a",)}],
)
def test_conditions_that_cannot_be_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Condition.model_validate(settings)


def test_a_name_stands_once():
    with pytest.raises(ConfigError, match="each name may stand once"):
        Schema([EF, EF])
