"""Intervals of rates, and the risk that an attack adds to what a guess would achieve."""

import math
from dataclasses import dataclass

from scipy import special  # type: ignore[import-untyped, unused-ignore]

from echosyn.errors import DataError
from echosyn.estimate import CONFIDENCE, Z


@dataclass(frozen=True)
class Rate:
    """A share with its 95 % interval."""

    successes: int
    num: int
    value: float
    low: float
    high: float


def wilson(successes: int, num: int) -> Rate:
    """A share and its interval (Wilson 1927); without a trial it may be anything, 0..1.

    Raises:
        DataError: More successes than trials, or negative numbers.
    """
    if not 0 <= successes <= num:
        raise DataError(f"{successes} successes of {num} trials, expected 0 to {num}")
    if num == 0:
        return Rate(0, 0, 0.0, 0.0, 1.0)
    share = successes / num
    centre, half = _centre(share, num), _half(share, num)
    # at the ends the formula is exact: rounding must not leave them
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == num else min(1.0, centre + half)
    return Rate(successes, num, share, low, high)


def exact(successes: float, num: float, confidence: float = CONFIDENCE) -> Rate:
    """A share and its exact interval (Clopper & Pearson 1934), each end of which errs with at most half of what is left.

    Args:
        successes: 0 to ``num``; a fraction stands for clusters that count in part.
        num: Trials; 0 says nothing, 0..1.
        confidence: Of the interval, in 0..1.

    Raises:
        DataError: More successes than trials, or negative numbers.
    """
    if not 0 <= successes <= num:
        raise DataError(f"{successes:g} successes of {num:g} trials, expected 0 to {num:g}")
    tail = (1.0 - confidence) / 2.0
    low = 0.0 if successes == 0 else float(special.betaincinv(successes, num - successes + 1, tail))
    high = 1.0 if successes == num else float(special.betaincinv(successes + 1, num - successes, 1.0 - tail))
    return Rate(round(successes), round(num), successes / num if num else 0.0, low, high)


@dataclass(frozen=True)
class Risk:
    """What an attack learns about the people in the training set beyond what it learns about anybody."""

    main: Rate
    """Against training patients."""
    control: Rate
    """The same attack against patients whom no model saw."""
    value: float
    """``(main - control) / (1 - control)``, at least 0."""
    low: float
    high: float


def risk(main: Rate, control: Rate) -> Risk:
    """Excess success of an attack (Giomi et al. 2023, Anonymeter, eq. 4), 0 none to 1 certain.

    The rates are the centres of the Wilson intervals, as there, and their half widths propagate in quadrature. Where the
    attack succeeds on every control it shows nothing about the training set: the interval is then 0..1.
    """
    a, b = _centre(main.value, main.num), _centre(control.value, control.num)
    if main.num == 0 or control.num == 0 or control.value == 1.0:
        return Risk(main, control, 0.0, 0.0, 1.0)
    excess = (a - b) / (1 - b)
    error = math.hypot(
        _half(main.value, main.num) / (1 - b), (1 - a) * _half(control.value, control.num) / (1 - b) ** 2
    )
    plain = (main.value - control.value) / (1 - control.value)
    return Risk(main, control, max(0.0, plain), max(0.0, excess - error), min(1.0, max(0.0, excess + error)))


def _centre(share: float, num: int) -> float:
    return (share + Z**2 / (2 * num)) / (1 + Z**2 / num) if num else 0.5


def _half(share: float, num: int) -> float:
    return Z * math.sqrt(share * (1 - share) / num + Z**2 / (4 * num**2)) / (1 + Z**2 / num) if num else 0.5
