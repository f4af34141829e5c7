"""Intervals of means over patients."""

from collections.abc import Sequence

import numpy as np

from echosyn.estimate import MIN_PATIENTS, percentiles
from echosyn.rng import numpy_generator


def mean_with_interval(
    per_patient: Sequence[float], seed: int = 0, num_bootstrap: int = 2000
) -> tuple[float, tuple[float, float] | None]:
    """Mean of one number a patient and its 95 % percentile interval; patients are drawn with replacement.

    Args:
        per_patient: finite numbers, at least one.
        seed: of the draws.
        num_bootstrap: how many.

    Returns:
        The mean, and (low, high) or None below three patients.
    """
    values = np.asarray(per_patient, dtype=np.float64)
    mean = float(values.mean())
    if len(values) < MIN_PATIENTS:
        return mean, None
    draws = numpy_generator(seed, "mean bootstrap").integers(len(values), size=(num_bootstrap, len(values)))
    return mean, percentiles(values[draws].mean(axis=1))
