"""The cells of a row as values: what counts as empty, and words for what does not fit."""

import math
import re
from collections.abc import Callable, Sequence

from echosyn.data import table
from echosyn.data.records import UNKNOWN

LARGEST_FRACTION = 1.0
"""No heart lives with an ejection fraction of 1 % or less: such a number is a fraction of one, or a mistake."""

_UNKNOWN_CODES = frozenset([-1.0, -9.0, -99.0, -999.0, 999.0, 9999.0])
_NUMBER = r"\d+(?:\.\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\s*%?\s*(?:-|–|\.\.|to)\s*({_NUMBER})\s*%?")  # noqa: RUF001
_BOUND = re.compile(rf"(?:[<>≤≥~]=?|ca\.?|about)\s*({_NUMBER})\s*%?")
_COMMA = re.compile(r"\d+,\d+\s*%?")
_PERCENT = re.compile(rf"({_NUMBER})\s*%")


def text(row: table.Row, column: str) -> str:
    """The cell of a column without blanks around it; nothing where it holds a word for unknown, such as ``nan``."""
    cell = row.cells.get(column.casefold(), "").strip()
    return "" if cell.casefold() in UNKNOWN else cell


class Fields:
    """The cells of one row as values; what does not fit is noted in ``problems`` and read as None."""

    def __init__(self, row: table.Row) -> None:
        self.row = row
        self.problems = [row.problem] if row.problem else []

    def name(self, column: str) -> str:
        """The cell as it is, without blanks around it: a video may be called ``NA``."""
        return self.row.cells.get(column.casefold(), "").strip()

    def text(self, column: str) -> str:
        """The cell; empty where it is unknown."""
        return text(self.row, column)

    def number(self, column: str, expected: str, low: float, high: float = math.inf) -> float | None:
        """A finite number in ``low..high``."""
        return self._value(column, expected, float, lambda value: math.isfinite(value) and low <= value <= high)

    def integer(self, column: str, expected: str, low: int) -> int | None:
        """A whole number of at least ``low``, perhaps written as a float."""
        value = self._value(column, expected, float, lambda value: value.is_integer() and value >= low)
        return None if value is None else int(value)

    def percentage(self, column: str) -> float | None:
        """A percentage in 0..100, with or without the sign; what people write instead is named."""
        cell = self.text(column)
        plain = _PERCENT.fullmatch(cell)
        try:
            value = float(plain[1] if plain else cell or "nan")
        except ValueError:
            self.problems.append(f"{column} is {cell!r}, {_instead(cell)}")
            return None
        if cell and not 0 <= value <= 100:
            unknown = "; it looks like a code for unknown: leave the cell empty" if value in _UNKNOWN_CODES else ""
            self.problems.append(f"{column} is {cell}, expected a percentage in 0..100{unknown}")
            return None
        return value if cell else None

    def complain(self, column: str, expected: str) -> None:
        """Note what a cell should have been."""
        self.problems.append(f"{column} is {self.name(column)!r}, expected {expected}".replace("is ''", "is empty"))

    def _value(
        self, column: str, expected: str, read: Callable[[str], float], fits: Callable[[float], bool]
    ) -> float | None:
        cell = self.text(column)
        if not cell:
            return None
        try:
            value = read(cell)
        except ValueError:
            self.complain(column, expected)
            return None
        if not fits(value):
            self.problems.append(f"{column} is {cell}, expected {expected}")
            return None
        return value


def are_fractions(values: Sequence[float]) -> bool:
    """Whether a column of percentages holds fractions of one: none is above 1, and not all are 0."""
    return bool(values) and max(values) <= LARGEST_FRACTION and max(values) > 0


def _instead(cell: str) -> str:
    if found := _RANGE.fullmatch(cell):
        middle = (float(found[1]) + float(found[2])) / 2
        return f"a range, expected one percentage in 0..100: write its middle ({middle:g}) or leave the cell empty"
    if _BOUND.fullmatch(cell):
        return "a bound, expected one percentage in 0..100: write the measured number or leave the cell empty"
    if _COMMA.fullmatch(cell):
        return f"a decimal comma, expected a percentage in 0..100 with a point: write {cell.replace(',', '.')}"
    return "expected a percentage in 0..100: leave the cell empty where it is unknown"
