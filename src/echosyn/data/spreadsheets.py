"""Names of files that a spreadsheet or pandas took for numbers or dates: which file was meant."""

import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SPREADSHEETS_DIGITS = 15
"""Significant digits that a spreadsheet keeps."""
_SHOWN_DIGITS = range(1, 7)
"""Digits before the exponent of what it shows for large numbers."""
_DAYS = 31


@dataclass(frozen=True)
class Meant:
    """The one file that a changed name can stand for."""

    name: str
    exact: bool
    """Whether both are the same number: only zeros were lost, so the file can be taken. Dates and rounded numbers
    have lost more: the file is only named."""


def meant(listed: Iterable[str], there: Iterable[str]) -> Mapping[str, Meant]:
    """Which files names without a file stand for; only pairs of which neither side has a second candidate.

    Args:
        listed: Names of a list (no extensions) that have no file.
        there: Names of files (no extensions) that no row names.
    """
    wanted, files = _by_key(listed, _written), _by_key(there, _becomes)
    pairs: dict[str, set[str]] = {}
    for key, names in wanted.items():
        for name in names:
            pairs.setdefault(name, set()).update(files.get(key, set()))
    taken: dict[str, int] = {}
    for candidates in pairs.values():
        for name in candidates:
            taken[name] = taken.get(name, 0) + 1
    single = {name: next(iter(found)) for name, found in pairs.items() if len(found) == 1}
    return {name: Meant(file, _same(name, file)) for name, file in single.items() if taken[file] == 1}


def _by_key(names: Iterable[str], keys: "Keys") -> dict[Hashable, set[str]]:
    found: dict[Hashable, set[str]] = {}
    for name in names:
        for key in keys(name):
            found.setdefault(key, set()).add(name)
    return found


class Keys:
    """``(name) -> keys``; a changed name and its file have one in common."""

    def __init__(self, becomes: bool) -> None:
        self.becomes = becomes

    def __call__(self, name: str) -> set[Hashable]:
        """The keys of a name; none if it is neither number nor date."""
        if _NUMBER.fullmatch(name):
            return self._of_number(name)
        date = _date(name, guess=self.becomes)
        return {("date", *day) for day in date}

    def _of_number(self, name: str) -> set[Hashable]:
        value = Decimal(name)
        if self.becomes:
            shown = {(digits, _rounded(value, digits)) for digits in _SHOWN_DIGITS}
            return {("number", _rounded(value, _SPREADSHEETS_DIGITS)), *(("shown", *one) for one in shown)}
        mantissa, exponent, _ = name.lower().partition("e")
        digits = sum(letter.isdigit() for letter in mantissa)
        if exponent and digits in _SHOWN_DIGITS:
            return {("shown", digits, _rounded(value, digits))}
        return {("number", _rounded(value, _SPREADSHEETS_DIGITS))}


_written, _becomes = Keys(becomes=False), Keys(becomes=True)


def _rounded(value: Decimal, digits: int) -> Decimal:
    return Decimal(f"{value:.{digits - 1}e}").normalize()


def _same(name: str, file: str) -> bool:
    return bool(_NUMBER.fullmatch(name) and _NUMBER.fullmatch(file)) and Decimal(name) == Decimal(file)


def _date(name: str, *, guess: bool) -> set[tuple[int, int]]:
    """Days ``(month, day)`` that a name stands for; with ``guess`` also those that a spreadsheet would see in it."""
    parts = [part for part in re.split(r"[-_ ./]|(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])", name.lower()) if part]
    months = [_MONTHS.index(part[:3]) + 1 for part in parts if part[:3] in _MONTHS and part.isalpha()]
    numbers = [int(part) for part in parts if part.isdigit() and len(part) <= 2]
    if len(parts) == 2 and len(months) == 1 and len(numbers) == 1:
        return {(months[0], numbers[0])} if 1 <= numbers[0] <= _DAYS else set()
    if guess and len(parts) == len(numbers) == 2:
        orders = (tuple(numbers), tuple(reversed(numbers)))
        return {(m, d) for m, d in orders if 1 <= m <= len(_MONTHS) and 1 <= d <= _DAYS}
    return set()
