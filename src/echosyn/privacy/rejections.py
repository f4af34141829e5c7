"""How many innocents a threshold rejects: of all held-out patients, and of groups of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from echosyn.estimate import CONFIDENCE
from echosyn.privacy.clustered import Clusters
from echosyn.privacy.intervals import Rate, exact
from echosyn.privacy.patient_matches import Array, Counts
from echosyn.privacy.permutation import Mask

FEWEST = 20
"""Patients of a group; smaller ones of a kind are pooled."""
POOLED = "all smaller groups"


@dataclass(frozen=True)
class GroupRate:
    """False rejections among the held-out patients of one group."""

    kind: str
    """``site``, for example."""
    group: str
    rate: Rate | None
    """Its interval holds for all groups at once (Bonferroni); None where there are fewer than `FEWEST` patients even pooled."""
    patients: int
    differs: bool
    """The interval excludes the requested rate: the threshold is wrong for these patients."""

    def __str__(self) -> str:
        """In a line of a report."""
        words = "too few"
        if self.rate:
            words = f"{self.rate.value:.1%} rejected ({self.rate.low:.1%} to {self.rate.high:.1%})"
        return f"{self.kind} {self.group}: {words}, {self.patients} patients"


def by_group(
    rejected: Mask, scores: Array, patients: Sequence[str], rate: float, groups: Mapping[str, Mapping[str, str]]
) -> list[GroupRate]:
    """The rate in every group of at least `FEWEST` patients, by the kinds of groups.

    The threshold is the one that all held-out patients set together. Were groups alike, then the rejections in each would be
    hypergeometric, which varies less than the binomial law of the interval: the chance that any group differs is at most 5 %.

    Args:
        rejected: Of held-out items ``(n,)``.
        scores: Of the same.
        patients: The patient of each.
        rate: False rejection rate that was asked for, in 0..1.
        groups: The group of each patient of whom it is known, by kind. A kind with fewer than two groups is left out.
    """
    names, codes = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    chosen: list[tuple[str, str, Mask]] = []
    for kind, group_of in groups.items():
        of = np.array([group_of.get(name, "") for name in names.tolist()])
        sizes = {group: int((of == group).sum()) for group in np.unique(of).tolist() if group}
        if len(sizes) < 2:
            continue
        small = [group for group, size in sizes.items() if size < FEWEST]
        chosen += [(kind, group, of == group) for group in sizes if group not in small]
        if small:
            chosen.append((kind, POOLED if len(small) > 1 else small[0], np.isin(of, small)))
    tried = sum(bool(of.sum() >= FEWEST) for *_, of in chosen)
    found = []
    for kind, group, of in chosen:
        num, share_in = int(of.sum()), None
        if num >= FEWEST:
            share_in = share(rejected, scores, codes, of, rate, confidence=1 - (1 - CONFIDENCE) / tried)
        differs = share_in is not None and not share_in.low <= rate <= share_in.high
        found.append(GroupRate(kind, group, share_in, num, differs))
    return found


def share(
    rejected: Mask, scores: Array, codes: Counts, tried: Mask, rate: float, *, confidence: float = CONFIDENCE
) -> Rate:
    """Rejected share of the items of some patients, each of whom counts alike, and its interval.

    Args:
        rejected: Of items ``(n,)``.
        scores: Of the same.
        codes: The patient 0, 1, ... of each.
        tried: Of each patient, whether it counts.
        rate: Around which the share is expected.
        confidence: Of the interval.
    """
    chosen = tried[codes]
    num = Clusters.of(scores[chosen], np.unique(codes[chosen], return_inverse=True)[1]).effective(rate)
    found = exact(num * share_of(rejected, codes, tried), num, confidence)
    return replace(found, num=int(tried.sum()), successes=round(found.value * int(tried.sum())))


def share_of(rejected: Mask, codes: Counts, tried: Mask) -> float:
    """As `share`, without an interval."""
    return float((np.bincount(codes, rejected) / np.bincount(codes))[tried].mean())
