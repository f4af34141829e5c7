"""How often the tests and intervals of an audit err, on scores drawn at random: no video, no model. Prints JSON.

    OMP_NUM_THREADS=1 python benchmarks/exact_tests.py --repetitions 20000 --power 2000 --coverage 4000

- *size*: innocent scores of two attacks, 300 training patients and n held-out ones; share of sets that fail any test.
  The floor of 0.05 under an area is left out, so that it is the size of the tests and not that of the line, which is smaller.
- *power*: the same where one attack tells training patients from others, or knows a few by heart.
- *coverage*: how often the 95 % intervals of a false rejection rate, and of the threshold's score, hold the truth.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from echosyn import rng
from echosyn.pipeline.audit.criteria import SIZE, TAIL_WEIGHTS
from echosyn.privacy import permutation
from echosyn.privacy.calibration import threshold_from_scores
from echosyn.privacy.intervals import exact
from echosyn.privacy.permutation import area_p_value, holm, tail_p_value

MEMBERS, ATTACKS = 300, 2
HELD_OUT = (19, 20, 30, 38, 50, 60, 100, 200, 400)
PATIENTS = (20, 30, 38, 60, 100, 200, 500, 2000)
VIDEOS = ((1, 0.0), (10, 0.0), (10, 0.3), (10, 0.6), (10, 0.9))
"""Of a patient, and the correlation of their scores."""
Array = NDArray[np.float64]
Plant = Callable[[Array], Array]
"""Scores ``(attacks, members)`` -> what an attack sees of them."""


@dataclass(frozen=True, eq=False)
class Ranks:
    """Rank sums of groups drawn at random. Without ties their law is the same for all scores: one draw serves all sets."""

    sums: Array

    @classmethod
    @cache
    def drawn(cls, members: int, others: int) -> "Ranks":
        """With the permutations of an audit's default seed."""
        num = members + others
        total = max(permutation.LEAST, min(permutation.MOST, permutation.NUMBERS // num))
        at_once = max(1, permutation._AT_ONCE // num)
        draws = rng.numpy_generator(0, "permutations of patients")
        ranks = np.arange(1, num + 1) - (num + 1) / 2
        order = np.concatenate(
            [
                np.argsort(draws.random((min(at_once, total - first), num), dtype=np.float32), axis=1)[:, :members]
                for first in range(0, total, at_once)
            ]
        )
        return cls(np.sort(np.abs(ranks[order].sum(axis=1))))

    def p_value(self, scores: Array, members: int) -> float:
        """As `area_p_value`, of scores whose first ones are the members'."""
        found = abs(float((stats.rankdata(scores)[:members] - (len(scores) + 1) / 2).sum()))
        as_far = len(self.sums) - int(np.searchsorted(self.sums, found - 1e-6))
        return (1 + as_far) / (1 + len(self.sums))


def fails(scores: Array, members: int, ranks: Ranks) -> bool:
    """Whether any test of a set's attacks ``(attacks, patients)`` is significant, as `criteria.checked` weighs them."""
    is_member = np.arange(scores.shape[1]) < members
    share = (1 - sum(TAIL_WEIGHTS.values())) / len(scores)
    tests = {str(i): (ranks.p_value(one, members), share) for i, one in enumerate(scores)}
    apart = scores - np.median(scores, axis=1, keepdims=True)
    strongest = (apart / np.median(np.abs(apart), axis=1, keepdims=True)).max(axis=0)
    tests |= {f"tail {k}": (tail_p_value(strongest, is_member, k), weight) for k, weight in TAIL_WEIGHTS.items()}
    return any(holm(tests, SIZE).values())


def share(members: int, others: int, repetitions: int, plant: Plant = lambda scores: scores) -> dict[str, Any]:
    """Of random sets, those that fail, with the exact interval."""
    ranks, found = Ranks.drawn(members, others), 0
    draws = np.random.default_rng([members, others])
    for i in range(repetitions):
        scores = draws.normal(size=(ATTACKS, members + others))
        scores[:, :members] = plant(scores[:, :members])
        if i < 2:
            is_member = np.arange(members + others) < members
            assert abs(ranks.p_value(scores[0], members) - area_p_value(scores[0], is_member)) < 0.03
        found += fails(scores, members, ranks)
    return asdict(exact(found, repetitions))


def shifted(area: float) -> Plant:
    """The first attack's scores have that true area under the curve."""
    by = np.array([[2**0.5 * stats.norm.ppf(area)]] + [[0.0]] * (ATTACKS - 1))
    return lambda scores: scores + by


def by_heart(part: float) -> Plant:
    """The first attack is certain of a part of the members."""

    def plant(scores: Array) -> Array:
        scores[0, : round(part * scores.shape[1])] += 12
        return scores

    return plant


def covered(num: int, videos: int, correlation: float, repetitions: int) -> dict[str, Any]:
    """How often the intervals of the rate and of the threshold's score hold the truth, of normal scores."""
    draws = np.random.default_rng([num, videos, int(10 * correlation)])
    patients, truth = np.repeat([str(i) for i in range(num)], videos).tolist(), stats.norm.ppf(0.95)
    rates = scores_held = 0
    for _ in range(repetitions):
        noise = draws.normal(size=(num, videos)) * (1 - correlation) ** 0.5
        scores = draws.normal(size=(num, 1)) * correlation**0.5 + noise
        found = threshold_from_scores(scores.ravel(), patients)
        rates += bool(found.rate_low <= stats.norm.sf(found.value) <= found.rate_high)
        scores_held += bool(found.low <= truth and (found.high is None or truth <= found.high))
    return {"rate": asdict(exact(rates, repetitions)), "score": asdict(exact(scores_held, repetitions))}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=20_000)
    parser.add_argument("--power", type=int, default=2_000)
    parser.add_argument("--coverage", type=int, default=4_000)
    parser.add_argument("--patients", type=int, nargs="*", default=PATIENTS, help="of the coverage")
    args = parser.parse_args()
    leaks = {f"AUC {area:g}": shifted(area) for area in (0.55, 0.6, 0.65, 0.35)}
    leaks |= {f"{part:.0%} by heart": by_heart(part) for part in (0.05, 0.02, 0.01)}
    result = {
        "size": {num: share(MEMBERS, num, args.repetitions) for num in HELD_OUT},
        "power": {
            f"{members}/{others}": {name: share(members, others, args.power, plant) for name, plant in leaks.items()}
            for members, others in ((500, 200), (300, 100))
        },
        "coverage": {
            f"{num} patients, {videos} videos, correlation {c:g}": covered(num, videos, c, args.coverage)
            for num in args.patients
            for videos, c in VIDEOS
        },
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
