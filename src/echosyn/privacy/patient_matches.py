"""What synthetic videos say of each real patient, added up from blocks of videos: no table of all videos and all patients."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echosyn import rng

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

_NOBODY = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Sides:
    """As many training patients as held-out ones: the larger side is thinned at random."""

    train: tuple[int, ...]
    """Positions among all patients, ascending."""
    held_out: tuple[int, ...]

    @classmethod
    def drawn(cls, is_train: NDArray[np.bool_], *, seed: int = 0) -> "Sides":
        """Of all patients; depends on nothing that was found about them."""
        sides = [np.flatnonzero(is_train), np.flatnonzero(~is_train)]
        num = min(len(side) for side in sides)
        draws = rng.numpy_generator(seed, "singling out")
        train, held_out = (np.sort(draws.choice(side, num, replace=False)) if num else side[:0] for side in sides)
        return cls(tuple(train.tolist()), tuple(held_out.tolist()))


@dataclass(frozen=True, eq=False)
class Exposure:
    """What some of the synthetic videos, at any positions of the set, say of the patients."""

    num_videos: int
    highest: Array
    """Score of the video that is nearest to each patient, ``(patients,)``; minus infinity if there is no video."""
    nearest: Counts
    """That video's position in the set; of equal ones the lowest."""
    close: Counts
    """Videos at or above the threshold, of each patient."""
    singled_out: NDArray[np.bool_]
    """Whether some video is so close to this patient and to no other one of the same of the `Sides`, ``(patients,)``."""

    @classmethod
    def of(cls, scores: Array, sides: Sides, threshold: float, *, first: int = 0) -> "Exposure":
        """Of videos that lie side by side in the set.

        Args:
            scores: ``(videos, patients)``, see `echosyn.privacy.screen.Screen.by_patient`.
            sides: Whom a video may single out.
            threshold: Of the screen.
            first: Position of the first video in the set.
        """
        close = scores >= threshold
        single = np.zeros(scores.shape[1], bool)
        for side in (list(sides.train), list(sides.held_out)):
            fits = close[:, side]
            single[side] = fits[fits.sum(axis=1) == 1].any(axis=0)
        if len(scores):
            highest, nearest = scores.max(axis=0), first + scores.argmax(axis=0)
        else:
            highest, nearest = np.full(scores.shape[1], -np.inf), np.full(scores.shape[1], _NOBODY)
        return cls(len(scores), highest, nearest, close.sum(axis=0), single)

    def joined(self, other: "Exposure") -> "Exposure":
        """What these and other videos say together; in whatever order parts are joined, the whole is the same."""
        better = (other.highest > self.highest) | ((other.highest == self.highest) & (other.nearest < self.nearest))
        return Exposure(
            self.num_videos + other.num_videos,
            np.where(better, other.highest, self.highest),
            np.where(better, other.nearest, self.nearest),
            self.close + other.close,
            self.singled_out | other.singled_out,
        )
