"""A part of a job that other machines do the rest of, without talking to one another: ``--shard 2/5``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from echosyn.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """One of ``count`` parts, the first is number 1."""

    number: int = 1
    count: int = 1

    def has(self, position: int) -> bool:
        """Whether the thing at a position, from 0 on, is of this part: every ``count``-th is."""
        return position % self.count == self.number - 1

    def of(self, things: Sequence[T]) -> list[T]:
        """Its part of some things."""
        return list(things[self.number - 1 :: self.count])

    def described(self) -> dict[str, int]:
        """What provenance says."""
        return {"number": self.number, "count": self.count}


WHOLE = Shard()


def part(text: str | None) -> Shard:
    """``2/5`` -> the second of five parts; None is the whole.

    Raises:
        ConfigError: it is no such thing.
    """
    if text is None:
        return WHOLE
    number, slash, count = text.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise ConfigError(f"--shard {text}: expected K/N with K from 1 to N, such as 2/5")
    return Shard(int(number), int(count))
