"""Running mean and covariance of features: what a Fréchet distance needs, in one pass and in little memory."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from echosyn.errors import DataError

Array = NDArray[np.float64]


@dataclass(eq=False)
class Moments:
    """Mean and covariance of all rows seen so far, in float64.

    The size and the order of the batches do not matter (to about 1e-12): batches are joined by the pairwise update of
    Chan, Golub & LeVeque (1979), which keeps centred sums and so does not cancel for features far from zero.
    """

    count: int = 0
    """Number of rows seen."""
    _mean: Array | None = None
    _scatter: Array | None = None

    def update(self, features: ArrayLike) -> None:
        """Add a batch of features.

        Args:
            features: Shape ``(n, d)``, finite; anything NumPy converts, a CPU tensor included. ``n`` may be 0.

        Raises:
            DataError: Not two-dimensional, not finite, or another ``d`` than before.
        """
        x = checked(features)
        if len(x) == 0:
            return
        mean = x.mean(axis=0)
        centred = x - mean
        self._join(len(x), mean, centred.T @ centred)

    def merge(self, other: "Moments") -> None:
        """Add all that ``other`` has seen, as if its batches had been given to this one.

        Raises:
            DataError: ``other`` has another number of dimensions.
        """
        if other._mean is not None and other._scatter is not None:
            self._join(other.count, other._mean, other._scatter)

    def scaled(self, factors: ArrayLike) -> "Moments":
        """The moments that the features would have, had each dimension been multiplied by its factor; shape ``(d,)``."""
        if self._mean is None or self._scatter is None:
            return Moments()
        by = np.asarray(factors, dtype=np.float64)
        return Moments(self.count, self._mean * by, self._scatter * np.outer(by, by))

    @property
    def dim(self) -> int:
        """Number of dimensions ``d``; 0 before the first row."""
        return 0 if self._mean is None else len(self._mean)

    @property
    def mean(self) -> Array:
        """Mean, shape ``(d,)``.

        Raises:
            DataError: No row was seen.
        """
        if self._mean is None:
            raise DataError("no features were given: a mean needs at least one")
        return self._mean.copy()

    @property
    def cov(self) -> Array:
        """Unbiased covariance (divided by ``count - 1``), shape ``(d, d)``, exactly symmetric.

        Raises:
            DataError: Fewer than two rows were seen.
        """
        if self._scatter is None or self.count < 2:
            raise DataError(f"{self.count} feature(s) were given: a covariance needs at least two")
        cov: Array = (self._scatter + self._scatter.T) / (2.0 * (self.count - 1))
        return cov

    @property
    def population_cov(self) -> Array:
        """Covariance divided by ``count``, as StyleGAN's programs take it; shape ``(d, d)``."""
        scaled: Array = self.cov * ((self.count - 1) / self.count)
        return scaled

    def _join(self, count: int, mean: Array, scatter: Array) -> None:
        if self._mean is None or self._scatter is None:
            self.count, self._mean, self._scatter = count, mean.copy(), scatter.copy()
            return
        if mean.shape != self._mean.shape:
            raise DataError(f"features have {len(mean)} dimensions, expected {self.dim} as before")
        total = self.count + count
        delta = mean - self._mean
        self._scatter = self._scatter + scatter + np.outer(delta, delta) * (self.count * count / total)
        self._mean = self._mean + delta * (count / total)
        self.count = total


def moments(features: ArrayLike) -> Moments:
    """The `Moments` of one array of shape ``(n, d)``."""
    result = Moments()
    result.update(features)
    return result


def checked(features: Any) -> Array:
    """Features as float64 of shape ``(n, d)``, or a `DataError` if they are not of two dimensions or not finite."""
    x = np.asarray(features, dtype=np.float64)
    if x.ndim != 2:
        raise DataError(f"features have shape {x.shape}, expected (n, d)")
    if not np.isfinite(x).all():
        raise DataError(f"{int((~np.isfinite(x)).any(axis=1).sum())} feature row(s) hold NaN or infinity")
    return x
