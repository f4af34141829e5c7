"""Intervals of distances between two sets: the delete-a-group jackknife over patients.

A bootstrap draws patients twice, which makes a set look less diverse than it is and a Fréchet distance larger (measured in
``docs/adr/0030-jackknife.md``). Leaving out one group of patients after the other has no such bias, needs ten evaluations a side
and streams.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special  # type: ignore[import-untyped, unused-ignore]

from echosyn.estimate import CONFIDENCE, Estimate
from echosyn.rng import numpy_generator

GROUPS = 10

Mask = NDArray[np.bool_]


def groups_of(patients: Sequence[int] | NDArray[np.int64], seed: int, num_groups: int = GROUPS) -> NDArray[np.int64]:
    """The jackknife group of each item, ``(n,)``: all items of a patient are in one, groups have equally many patients.

    Args:
        patients: a code of each item's patient; codes 0, 1, ... in an order that does not depend on names.
        seed: of the assignment.
        num_groups: fewer if there are fewer patients.
    """
    codes = np.unique(np.asarray(patients, dtype=np.int64), return_inverse=True)[1]
    count = int(codes.max(initial=-1)) + 1
    order = numpy_generator(seed, "jackknife groups").permutation(count)
    group_of_patient = np.empty(count, dtype=np.int64)
    group_of_patient[order] = np.arange(count) % max(1, min(num_groups, count))
    result: NDArray[np.int64] = group_of_patient[codes]
    return result


def jackknife(value: float, without: Sequence[Sequence[float]], lowest: float | None = 0.0) -> Estimate:
    """Interval of a statistic of independent sets from its values with a group of one set left out.

    ``variance = sum over sets of (G - 1) / G * sum_g (value_g - mean)^2`` (Quenouille, Tukey; Shao & Tu 1995, section 1.2.4),
    and Student's quantile.

    Args:
        value: with all groups.
        without: for each set, the values with one of its groups left out.
        lowest: the interval ends here (None: nowhere).
    """
    parts = [np.asarray(values, dtype=np.float64) for values in without if len(values) > 2]
    if len(parts) < len(without) or not parts:
        return Estimate(value)
    variance = sum((len(v) - 1) / len(v) * float(((v - v.mean()) ** 2).sum()) for v in parts)
    freedom = sum(len(v) - 1 for v in parts)
    reach = float(special.stdtrit(freedom, 0.5 + CONFIDENCE / 2)) * variance**0.5
    return Estimate(value, value - reach if lowest is None else max(lowest, value - reach), value + reach)


def leave_one_out(groups: NDArray[np.int64], statistic: Callable[[Mask], float]) -> list[float]:
    """``statistic(mask of the items kept)`` with each group left out in turn."""
    return [statistic(groups != g) for g in range(int(groups.max(initial=-1)) + 1)]
