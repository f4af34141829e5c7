"""Some videos of one side in one feature space, as features or as moments."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from echosyn.metrics.jackknife import groups_of
from echosyn.metrics.moments import Array, Moments
from echosyn.pipeline.evaluate.fidelity.extraction import Features
from echosyn.rng import numpy_generator

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Side:
    """Some videos of one side in one feature space."""

    features: Features
    key: str
    chosen: Indices
    """Numbers of the videos."""
    scale: Array | None = None
    """What each dimension is divided by."""

    @property
    def counts(self) -> Indices:
        """Rows of each chosen video."""
        return self.features.counts[self.key][self.chosen]

    @property
    def num_rows(self) -> int:
        """Rows of all chosen videos."""
        return int(self.counts.sum())

    @property
    def patients(self) -> Indices:
        """The patient of each chosen video."""
        return self.features.videos.patients[self.chosen]

    @cached_property
    def dim(self) -> int:
        """Dimensions of a feature."""
        return int(next(rows for _, rows in self.features.stream(self.key)).shape[1])

    def of(self, chosen: Indices) -> "Side":
        """Other videos of the same side."""
        return Side(self.features, self.key, chosen, self.scale)

    @property
    def unscaled(self) -> "Side":
        """The same videos in the features' own units."""
        return Side(self.features, self.key, self.chosen)

    @cached_property
    def rows(self) -> Array:
        """All features, ``(rows, d)``."""
        rows = self.features.rows(self.key, self.chosen)
        return rows if self.scale is None else rows / self.scale

    def per_row(self, of_videos: Indices) -> Indices:
        """What is known of each video, for each of its rows."""
        return np.repeat(of_videos, self.counts)

    def moments(self, groups: Indices | None = None) -> list[Moments]:
        """Moments of each group of videos, without loading all of them."""
        labels = np.full(len(self.features.videos.items), -1, dtype=np.int64)
        labels[self.chosen] = 0 if groups is None else groups
        found = self.features.moments(self.key, labels)
        return found if self.scale is None else [m.scaled(1 / self.scale) for m in found]

    def groups(self, seed: int) -> Indices:
        """The jackknife group of each chosen video."""
        return groups_of(self.patients, seed)


def drawn(side: Side, n: int, seed: int, name: str) -> Side:
    """N of a side's videos, drawn by the seed."""
    order = numpy_generator(seed, f"videos of {name}").permutation(len(side.chosen))
    return side.of(np.sort(side.chosen[order[:n]]))


def scale_of(side: Side) -> Array:
    """Standard deviation of each dimension over a side, at least a thousandth of its mean; 1 where both are 0."""
    moments = side.moments()[0]
    deviation = np.maximum(np.sqrt(np.diag(moments.cov)), np.abs(moments.mean) / 1000)
    result: Array = np.where(deviation > 1e-9, deviation, 1.0)
    return result
