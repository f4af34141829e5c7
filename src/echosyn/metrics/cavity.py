"""The left ventricle's outline as a few numbers: where it lies in the fan, its size and shape, and how it contracts.

Apical four-chamber (A4C): a bullet with a flat base that shrinks across its axis and, less, along it. Parasternal
short-axis (PSAX): an ellipse that keeps its shape. The typical values say where such outlines lie in a 112x112 frame.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
View = Literal["A4C", "PSAX"]
"""Apical four-chamber or parasternal short-axis."""

LONGITUDINAL = 0.26
"""Relative shortening of the long axis for a stroke volume of the whole cavity (A4C)."""
_SIDES = np.linspace(-1, 1, 41)
_BASE = np.linspace(0, 1, 12)[1:-1]
_CIRCLE = np.linspace(0, 2 * np.pi, 64, endpoint=False)
_MOST_EMPTIED = 0.93

Outline = Callable[[Array, float], Array]
"""Numbers and emptied part of the volume to the points ``(n, 2)`` of a closed line, column and row in pixels."""


@dataclass(frozen=True, eq=False)
class Family:
    """The outlines that are thought possible."""

    outline: Outline
    typical: Array
    """The numbers of an ordinary heart; the first two are column and row against the top of the fan."""
    spread: Array
    """Their standard deviations."""
    ejected: int
    """Index of the number that says which part of the volume is ejected, 0..1."""
    elongation: float
    """Height over width, about."""
    anchor: Callable[[Array], Array]
    """The outline at end-systole to a point that stays in the cavity."""
    trust: Callable[[Array], Array]
    """Angles of rays from there, clockwise from the right, to how far the edges that they meet are believed, 0..1."""


def ends(family: Family, numbers: Array) -> Array:
    """The outline at end-diastole and at end-systole: ``(2, n, 2)``."""
    return np.stack([family.outline(numbers, 0.0), family.outline(numbers, float(numbers[family.ejected]))])


def _apical(numbers: Array, emptied: float) -> Array:
    x, y, tilt, length0, elongation, widest, bluntness, narrowing, bend, _, longitudinal, descent = numbers
    emptied = min(max(emptied, -0.2), _MOST_EMPTIED)
    length = length0 * (1 - longitudinal * emptied)
    radius = length0 / (2 * elongation) * np.sqrt((1 - emptied) * length0 / length)
    s = _SIDES**2
    half = (1 - (1 - (s / widest).clip(0, 1)) ** 2) ** bluntness
    half -= narrowing * ((s - widest) / (1 - widest)).clip(0) ** 2
    across = radius * (4 * bend * s * (1 - s) + np.sign(_SIDES) * half)
    along = descent * emptied + length * s
    across = np.concatenate([across, across[-1] + (across[0] - across[-1]) * _BASE])
    along = np.concatenate([along, np.full(len(_BASE), along[-1])])
    cos, sin = np.cos(tilt), np.sin(tilt)
    return np.stack([x + cos * across + sin * along, y - sin * across + cos * along], -1)


def _short_axis(numbers: Array, emptied: float) -> Array:
    x, y, diameter, roundness, orientation, _ = numbers
    size = diameter / 2 * np.cbrt(1 - min(max(emptied, -0.2), _MOST_EMPTIED))
    across, along = size * roundness * np.cos(_CIRCLE), size * np.sin(_CIRCLE)
    cos, sin = np.cos(orientation), np.sin(orientation)
    return np.stack([x + cos * across - sin * along, y + sin * across + cos * along], -1)


def _above_the_papillary_muscles(angles: Array) -> Array:
    """The muscles lie in the lower half of the ring and look like its wall, though they are part of the cavity."""
    below: Array = 1 / (1 + np.exp((np.sin(angles) - 0.25) * 12))
    return 0.15 + 0.85 * below


def _middle(points: Array) -> Array:
    middle: Array = points.mean(axis=0)
    return middle


FAMILIES: dict[View, Family] = {
    "A4C": Family(
        _apical,
        typical=np.array([3.0, 10.5, 0.05, 62.0, 1.62, 0.61, 0.48, 0.2, 0.105, 0.45, LONGITUDINAL, 1.0]),
        spread=np.array([5.0, 5.0, 0.12, 6.0, 0.16, 0.06, 0.05, 0.07, 0.09, 0.35, 0.04, 1.0]),
        ejected=9,
        elongation=1.5,
        anchor=_middle,
        trust=np.ones_like,
    ),
    "PSAX": Family(
        _short_axis,
        typical=np.array([3.0, 51.0, 45.0, 0.925, 0.0, 0.45]),
        spread=np.array([5.0, 5.0, 6.0, 0.05, 0.5, 0.35]),
        ejected=5,
        elongation=1.0,
        anchor=_middle,
        trust=_above_the_papillary_muscles,
    ),
}


def volume_from_area(relative: Array, view: View) -> Array:
    """Volume over the largest volume, from area over the largest area.

    A4C: cross-sections shrink with the volume over the length, and the length shortens by `LONGITUDINAL` times the
    ejected part. PSAX: the ventricle keeps its shape, area to the power 3/2.
    """
    if view == "PSAX":
        power: Array = relative**1.5
        return power
    left = np.linspace(0, 1, 1001)
    volume: Array = np.interp(relative, np.sqrt(left * (1 - LONGITUDINAL * (1 - left))), left)
    return volume
