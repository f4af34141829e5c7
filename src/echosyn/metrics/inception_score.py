"""Inception score: are the classes that a classifier sees sure in each image and many over all? In any classifier's classes."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from echosyn.errors import DataError
from echosyn.metrics.moments import Array, checked


@dataclass(eq=False)
class InceptionScore:
    """``exp E_x KL(p(y|x) | p(y))`` (Salimans et al. 2016, section 4), in one pass and in float64.

    The score is biased upwards at small n and says nothing of real images: a set may beat the real one.
    """

    count: int = 0
    """Images seen."""
    _sure: float = 0.0
    _classes: Array | None = field(default=None)

    def update(self, logits: ArrayLike) -> None:
        """Add a batch of logits, shape ``(n, classes)``.

        Raises:
            DataError: Not two-dimensional, not finite, or another number of classes than before.
        """
        x = checked(logits)
        if len(x) == 0:
            return
        log_p = _log_softmax(x)
        p = np.exp(log_p)
        if self._classes is not None and self._classes.shape != p.shape[1:]:
            raise DataError(f"logits of {p.shape[1]} classes, expected {len(self._classes)} as before")
        total = p.sum(axis=0)
        self._classes = total if self._classes is None else self._classes + total
        self._sure += float((p * log_p).sum())
        self.count += len(x)

    def merge(self, other: "InceptionScore") -> None:
        """Add all images that ``other`` has seen."""
        if other._classes is not None:
            self._classes = other._classes + (0.0 if self._classes is None else self._classes)
            self._sure += other._sure
            self.count += other.count

    @property
    def score(self) -> float:
        """At least 1, at most the number of classes.

        Raises:
            DataError: No image was seen.
        """
        if self._classes is None:
            raise DataError("no logits were given: an inception score needs at least one image")
        marginal = self._classes / self.count
        # a class that nobody saw has p = 0, and p log p is 0 there
        surprise = float((marginal * np.log(np.where(marginal > 0, marginal, 1.0))).sum())
        return float(np.exp(self._sure / self.count - surprise))


def _log_softmax(x: Array) -> Array:
    shifted = x - x.max(axis=1, keepdims=True)
    result: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
