"""What a video model is told besides the still: conditions by name, each a number or one of several words."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pydantic import Field, model_validator
from torch import Tensor

from echosyn.config import Settings, near_miss
from echosyn.errors import ConfigError

RESERVED = ("latents", "mask", "still", "index")
"""What else a training item holds by name."""


class Condition(Settings):
    """One thing that a video model is told, such as the ejection fraction, the heart rate or the view."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """What it is called on the command line."""
    column: str | None = None
    """Column of ``FileList.csv`` that holds it, in any case; default the name."""
    unit: str = ""
    """Unit, shown in errors."""
    range: tuple[float, float] = (0.0, 1.0)
    """Smallest and largest value that makes sense; the network sees them as 0 and 1."""
    choices: tuple[str, ...] = ()
    """Words, for a condition that is no number; the network sees one input a word, 1 for the one that is true."""
    drop: float | None = Field(None, ge=0, lt=1)
    """Share of training items that go without it; default ``drop_conditions``."""
    null: float | None = None
    """What the network sees in its place when it is not given; default a learned embedding (-1 for the published UNet)."""

    @model_validator(mode="after")
    def _check(self) -> "Condition":
        if self.name in RESERVED:
            raise ValueError(f"{self.name} cannot be the name of a condition")
        if not self.range[0] < self.range[1]:
            raise ValueError("range: the smaller number comes first")
        if len(set(self.choices)) != len(self.choices) or len(self.choices) == 1:
            raise ValueError("choices: expected at least two different words")
        return self

    @property
    def width(self) -> int:
        """Inputs of the network."""
        return max(1, len(self.choices))

    def number(self, value: str | float | None) -> float:
        """A cell of a table or a word of the command line as a number: itself, a choice's index, NaN where unknown.

        Raises:
            ConfigError: not a number in the range, or none of the choices.
        """
        text = "" if value is None else str(value).strip()
        if not text:
            return math.nan
        if self.choices:
            if text not in self.choices:
                raise ConfigError(f"{self.name} is {text!r}{near_miss(text, self.choices)}")
            return float(self.choices.index(text))
        low, high = self.range
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise ConfigError(f"{self.name} is {text}, expected a number in {low:g}..{high:g} {self.unit}".rstrip())
        return number

    def inputs(self, numbers: Tensor) -> Tensor:
        """What `number` gave, ``(B,)`` without NaN, as the network sees it: ``(B, width)``."""
        if self.choices:
            return torch.nn.functional.one_hot(numbers.long(), self.width).float()
        low, high = self.range
        return ((numbers - low) / (high - low)).unsqueeze(1)


EF = Condition(name="ef", column="EF", unit="percent", range=(0.0, 100.0))
"""The ejection fraction; the network sees EF/100, as published."""


class Schema:
    """The conditions of a model in their order, and how a batch of them becomes the network's input.

    Args:
        conditions: what the model is told.
        drop: share of training items that go without a condition that says nothing else.
    """

    def __init__(self, conditions: Sequence[Condition], drop: float = 0.0) -> None:
        names = [c.name for c in conditions]
        if len(set(names)) != len(names):
            raise ConfigError(f"conditions: {', '.join(names)}: each name may stand once")
        self.conditions = [c if c.drop is not None else c.model_copy(update={"drop": drop}) for c in conditions]

    @property
    def width(self) -> int:
        """Numbers that the network sees."""
        return sum(c.width for c in self.conditions)

    @property
    def drop(self) -> float:
        """Share of training items that go without any condition; guidance needs it above 0."""
        return min((c.drop or 0.0 for c in self.conditions), default=0.0)

    def kept(self, uniform: Tensor) -> Tensor:
        """Which conditions items keep in training, ``(B, number of conditions)``, by one draw ``(B,)`` each in [0, 1).

        One draw decides for all conditions, so that those of equal share are dropped together, as guidance needs it.
        """
        return uniform.unsqueeze(1) >= uniform.new_tensor([c.drop or 0.0 for c in self.conditions])

    def encode(self, values: Mapping[str, Tensor], kept: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Values by name ``(B,)`` as in `Condition.number` -> the network's numbers and which are given, both ``(B, width)``.

        Args:
            values: NaN where a condition is not known.
            kept: ``(B, number of conditions)`` bool; default all.
        """
        numbers, given = [], []
        for i, condition in enumerate(self.conditions):
            value = values[condition.name].float()
            known = ~value.isnan() if kept is None else ~value.isnan() & kept[:, i]
            seen = condition.inputs(value.nan_to_num(condition.range[0] if not condition.choices else 0.0))
            if condition.null is not None:
                seen = torch.where(known.unsqueeze(1), seen, condition.null)
                known = torch.ones_like(known)
            numbers.append(seen)
            given.append(known.unsqueeze(1).expand(-1, condition.width))
        return torch.cat(numbers, dim=1), torch.cat(given, dim=1)

    def words(self, items: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
        """The further conditions of training items (all but the EF) as `requested` takes them."""

        def word(condition: Condition, number: float) -> str | float | None:
            if math.isnan(number):
                return None
            return condition.choices[int(number)] if condition.choices else number

        return {c.name: [word(c, float(i[c.name])) for i in items] for c in self.conditions if c.name != EF.name}

    def requested(self, values: Mapping[str, Any], count: int) -> dict[str, Tensor]:
        """What a user asks for, by name: one value or ``count`` of them -> ``(count,)`` each, NaN where not asked for.

        Raises:
            ConfigError: an unknown name, a value that makes no sense, or nothing for a condition that was always given.
        """
        names = [c.name for c in self.conditions]
        for name in values:
            if name not in names:
                raise ConfigError(f"the video model has no condition {name!r}{near_miss(name, names)}")
        found = {}
        for condition in self.conditions:
            value = values.get(condition.name)
            if value is None and not condition.drop:
                raise ConfigError(
                    f"the video model was not trained without {condition.name}: give --condition {condition.name}=VALUE"
                )
            many = value.tolist() if isinstance(value, Tensor) else value
            each = list(many) if isinstance(many, list | tuple) else [many] * count
            if len(each) != count:
                raise ConfigError(f"{len(each)} value(s) of {condition.name} for {count} still(s); expected one each")
            found[condition.name] = torch.tensor([condition.number(v) for v in each])
        return found
