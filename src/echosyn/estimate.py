"""A number with its 95 % interval, and what intervals over patients are made of. What does not depend on the metric."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

CONFIDENCE = 0.95
"""Of every interval."""
Z = 1.959963984540054
"""Standard normal quantile of a two-sided interval of this confidence."""
MIN_PATIENTS = 3
"""With fewer there is no interval."""


@dataclass(frozen=True)
class Estimate:
    """A number with its interval. What cannot be computed is ``None``, and ``reason`` says why."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None

    def to_json(self) -> dict[str, float | str | None]:
        """``{"value", "low", "high"}``, and ``"reason"`` if there is one."""
        numbers: dict[str, float | str | None] = {"value": self.value, "low": self.low, "high": self.high}
        return numbers | ({"reason": self.reason} if self.reason else {})


def percentiles(draws: ArrayLike) -> tuple[float, float]:
    """Low and high end of the percentile interval of resampled values, ``(num,)``."""
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.quantile(np.asarray(draws), [tail, 1.0 - tail])
    return float(low), float(high)


def patients_drawn(generator: np.random.Generator, num_patients: int, num: int | None = None) -> NDArray[np.int64]:
    """How often each patient is drawn when as many are drawn with replacement, ``(num_patients,)`` or ``(num, num_patients)``."""
    counts: NDArray[np.int64] = generator.multinomial(num_patients, np.full(num_patients, 1.0 / num_patients), size=num)
    return counts
