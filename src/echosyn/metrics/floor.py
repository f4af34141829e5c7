"""Real against real: two disjoint halves of the real patients, on which a distance has its floor and a score its ceiling."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from echosyn.errors import DataError
from echosyn.rng import numpy_generator

Indices = NDArray[np.int64]


def halves(
    patients: Sequence[Any] | NDArray[Any], seed: int, repeat: int, n: int | None = None
) -> tuple[Indices, Indices]:
    """Indices of items of one random half of the patients and of the other, in random order and equally many.

    Patients, not items, are split: two clips of one patient on both sides would make the floor too low.

    Args:
        patients: The patient of each item.
        seed: Of the split.
        repeat: Number of this split.
        n: So many items a side; by default all of the smaller half.

    Raises:
        DataError: There are not as many, or fewer than two.
    """
    codes = np.unique(np.asarray(patients), return_inverse=True)[1]
    num_patients = int(codes.max(initial=-1)) + 1
    rng = numpy_generator(seed, "frechet floor", repeat)
    in_left = np.zeros(num_patients, dtype=bool)
    in_left[rng.permutation(num_patients)[: num_patients // 2]] = True
    order = rng.permutation(len(codes))
    left, right = order[in_left[codes[order]]], order[~in_left[codes[order]]]
    size = min(len(left), len(right)) if n is None else n
    if min(len(left), len(right)) < size or size < 2:
        raise DataError(
            f"{len(left)} and {len(right)} real features in two halves of {num_patients} patients, "
            f"expected at least {max(size, 2)} in each: give more real videos or a smaller n"
        )
    return left[:size], right[:size]
