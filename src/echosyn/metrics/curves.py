"""Curves of two sets, such as power over frequency, compared band by band."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from echosyn.estimate import MIN_PATIENTS, Estimate, patients_drawn, percentiles
from echosyn.metrics.moments import Array
from echosyn.rng import numpy_generator


@dataclass(frozen=True)
class Curve:
    """A part of a feature vector that is a curve."""

    columns: slice
    """Where in the vector; natural logarithms if it is compared by ratio."""
    at: tuple[float, ...]
    """Where each point lies."""
    unit: str
    bands: Mapping[str, slice]
    """Points of the curve whose means are compared, by name."""
    by: Literal["ratio", "difference"]
    """Synthetic over real, or less real."""

    def of_patients(self, rows: Array, patients: NDArray[np.int64]) -> Array:
        """The mean curve of each patient: features ``(n, d)`` and their patients ``(n,)`` -> ``(patients, len(at))``."""
        values = rows[:, self.columns]
        values = np.exp(values) if self.by == "ratio" else values
        codes, counts = np.unique(patients, return_inverse=True, return_counts=True)[1:]
        sums = np.zeros((len(counts), values.shape[1]))
        np.add.at(sums, codes, values)
        found: Array = sums / counts[:, None]
        return found

    def compared(self, real: Array, synthetic: Array) -> Array:
        """Each band of two mean curves ``(..., len(at))``, ratio or difference: ``(..., bands)``."""
        x, y = (
            np.stack([side[..., band].mean(axis=-1) for band in self.bands.values()], axis=-1)
            for side in (real, synthetic)
        )
        found: Array = y / x if self.by == "ratio" else y - x
        return found

    def with_intervals(self, real: Array, synthetic: Array, seed: int, num_bootstrap: int = 1000) -> list[Estimate]:
        """Each band with its 95 % interval; patients of both sides are drawn with replacement; without below three.

        Args:
            real: A curve a patient, ``(n, len(at))``.
            synthetic: Likewise, ``(m, len(at))``.
            seed: Of the draws.
            num_bootstrap: How many.
        """
        values = self.compared(real.mean(axis=0), synthetic.mean(axis=0))
        if min(len(real), len(synthetic)) < MIN_PATIENTS:
            return [Estimate(float(value)) for value in values]
        draws = numpy_generator(seed, "curve bootstrap")
        # the share of each patient in each draw
        weights = [patients_drawn(draws, n, num_bootstrap) / n for n in (len(real), len(synthetic))]
        drawn = self.compared(weights[0] @ real, weights[1] @ synthetic)
        return [Estimate(float(v), *percentiles(band)) for v, band in zip(values, drawn.T, strict=True)]

    def worst(self, values: Array) -> int:
        """Number of the band that is furthest from equality."""
        return int(np.abs(np.log(np.maximum(values, 1e-9)) if self.by == "ratio" else values).argmax())
