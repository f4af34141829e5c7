"""How close an item is to its nearest real patient: in each of several spaces, and in one score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from echosyn.privacy import parts, registration
from echosyn.privacy.fingerprints import Views
from echosyn.privacy.gallery import Gallery
from echosyn.privacy.matching import Matches, Prepared, nearest

_LARGEST = 1 - 1e-6
_LEAST_SPREAD = 0.02
ITEMS_AT_ONCE = 256
"""Items that are compared at a time: 70 MB of views of finished videos."""
UNLIKE = -1.0
"""Similarity in a space in which an item has no vector, such as the motion of a still."""


@dataclass(frozen=True, eq=False)
class Closeness:
    """Similarity of items to their nearest real patients, in each space."""

    spaces: Sequence[str]
    similarity: Tensor
    """Pearson correlation with the nearest reference, float32 ``(n, spaces)``; `UNLIKE` without a vector."""
    nearest: Sequence[Sequence[str | None]]
    """Its patient, by space and item."""


class Match(Protocol):
    """`echosyn.privacy.matching.nearest`, or others that find the same."""

    def __call__(
        self,
        queries: Tensor,
        references: Prepared,
        *,
        query_groups: Sequence[str] | None = None,
        reference_groups: Sequence[str] | None = None,
    ) -> Matches:
        """The best match of each query."""


PICTURES: Mapping[str, Match] = {registration.SPACE: registration.registered, parts.SPACE: parts.parted}
"""Spaces whose vectors are compared in a way of their own."""


def closeness(
    items: Sequence[Views], gallery: Gallery, patients: Sequence[str] | None = None, match: Match = nearest
) -> Closeness:
    """The best match of each item's views in each space.

    Args:
        items: The views of each, taken `ITEMS_AT_ONCE`.
        gallery: What they are compared with.
        patients: The patient of each item; with it, references of the same patient are skipped.
        match: Finds the best match, but for `PICTURES`.

    Raises:
        DataError: What `nearest` refuses: NaN, constant vectors, no reference of another patient.
    """
    spaces = list(gallery.references)
    similarity = np.full((len(items), len(spaces)), UNLIKE, np.float32)
    rows = np.full((len(items), len(spaces)), -1)
    for first in range(0, len(items), ITEMS_AT_ONCE):
        some = slice(first, first + ITEMS_AT_ONCE)
        views = [items[i] for i in range(*some.indices(len(items)))]
        whose = None if patients is None else patients[some]
        for s, space in enumerate(spaces):
            similarity[some, s], rows[some, s] = closest(views, space, gallery, whose, match)
    names = [
        [gallery.owners[space][i] if i >= 0 else None for i in rows[:, s].tolist()] for s, space in enumerate(spaces)
    ]
    return Closeness(spaces, torch.from_numpy(similarity), names)


def closest(
    items: Sequence[Views],
    space: str,
    gallery: Gallery,
    patients: Sequence[str] | None = None,
    match: Match = nearest,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Similarity of each item to what it is closest to in a space, and its row; `UNLIKE` and -1 without a vector.

    What is found of an item does not depend on those beside it.
    """
    views = [item[space] for item in items]
    item_of = np.repeat(np.arange(len(items)), [len(view) for view in views])
    best, row = np.full(len(items), UNLIKE, np.float32), np.full(len(items), -1)
    if len(item_of):
        found = PICTURES.get(space, match)(
            torch.cat(views),
            gallery.references[space],
            query_groups=None if patients is None else [patients[i] for i in item_of.tolist()],
            reference_groups=None if patients is None else gallery.owners[space],
        )
        value, index = found.similarity.numpy(), found.index.numpy()
        # of equal ones the lowest row: NumPy keeps the last of several assignments
        order = np.lexsort((-index, value))
        best[item_of[order]], row[item_of[order]] = value[order], index[order]
    return best, row


@dataclass(frozen=True)
class Fusion:
    """One score from several similarities: the largest, after each was put on the scale of unrelated patients.

    ``score = max over spaces of (atanh(similarity) - centre) / spread`` (Fisher's transformation), where centre and spread
    are those of *training* patients matched with other patients. The held-out patients have no part in it, so that a
    threshold calibrated on them keeps its promise.
    """

    centre: Sequence[float]
    spread: Sequence[float]

    @classmethod
    def of(cls, unrelated: Tensor) -> "Fusion":
        """From similarities ``(n, spaces)`` of training patients to others; below two, nothing is rescaled."""
        if len(unrelated) < 2:
            return cls([0.0] * unrelated.shape[1], [1.0] * unrelated.shape[1])
        z = _fisher(unrelated)
        middle = z.median(dim=0).values
        spread = (z - middle).abs().median(dim=0).values * 1.4826
        return cls(middle.tolist(), spread.clamp(min=_LEAST_SPREAD).tolist())

    def score(self, similarity: Tensor) -> Tensor:
        """Scores ``(n,)``, float64, of similarities ``(n, spaces)``: 0 is the typical unrelated patient, higher is closer."""
        return self.by_space(similarity).max(dim=1).values if len(similarity) else torch.zeros(0, dtype=torch.float64)

    def by_space(self, similarity: Tensor) -> Tensor:
        """Of each space, ``(n, spaces)``."""
        return torch.stack([self.in_space(column, s) for s, column in enumerate(similarity.unbind(dim=1))], dim=1)

    def in_space(self, similarity: Tensor, space: int) -> Tensor:
        """Scores of similarities of any shape in one of the spaces, float64: equal ones are equal, whatever is beside them."""
        return (_fisher(similarity) - self.centre[space]) / self.spread[space]


def _fisher(similarity: Tensor) -> Tensor:
    # torch rounds a number differently at the end of a tensor than in its middle; NumPy does not
    return torch.from_numpy(np.arctanh(similarity.double().clamp(-_LARGEST, _LARGEST).numpy()))
