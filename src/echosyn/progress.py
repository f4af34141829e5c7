"""How a verb tells how far it is, without knowing whether anybody looks."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""``(what, done, total)``."""


def silent(what: str, done: int, total: int) -> None:
    """Nobody looks."""
