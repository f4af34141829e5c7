"""Groups for which a threshold is wrong are named, and groups that differ by chance are not."""

import numpy as np

from echosyn.privacy.calibration import threshold_value
from echosyn.privacy.rejections import POOLED, GroupRate, by_group

SITES = ("North",) * 80 + ("South",) * 80 + ("East",) * 40


def rates(scores: np.ndarray, sites: tuple[str, ...] = SITES, each: int = 1) -> list[GroupRate]:
    patients = [f"p{i:03d}" for i in range(len(sites))]
    owners = np.repeat(np.arange(len(sites)), each)
    rejected = scores >= threshold_value(scores, owners, 0.05)
    return by_group(
        rejected, scores, [patients[i] for i in owners], 0.05, {"site": dict(zip(patients, sites, strict=True))}
    )


def test_a_site_whose_recordings_look_alike_is_named_in_nearly_every_calibration() -> None:
    """East is two standard deviations nearer to the training set: a quarter of it is rejected."""
    draws, shift = np.random.default_rng(0), 2.0 * (np.array(SITES) == "East")
    named = [{g.group for g in rates(draws.normal(size=200) + shift) if g.differs} for _ in range(40)]
    assert sum("East" in groups for groups in named) >= 38


def test_alike_sites_are_named_in_at_most_a_twentieth_of_calibrations_also_with_several_videos_a_patient() -> None:
    draws = np.random.default_rng(1)
    for each, num in ((1, 400), (10, 100)):
        wrong = 0
        for _ in range(num):
            heart = np.repeat(draws.normal(size=200), each)
            wrong += any(g.differs for g in rates(heart + 0.5 * draws.normal(size=200 * each), each=each))
        assert wrong <= 0.07 * num, "5 %, and 1.8 standard errors of 400"


def test_small_groups_are_pooled_and_nothing_is_said_of_too_few() -> None:
    draws = np.random.default_rng(2)
    pooled = rates(draws.normal(size=100), ("North",) * 70 + ("A",) * 15 + ("B",) * 15)
    assert [(g.group, g.patients) for g in pooled] == [("North", 70), (POOLED, 30)]
    few = rates(draws.normal(size=100), ("North",) * 95 + ("A",) * 5)
    assert [(g.group, g.rate is None, g.differs) for g in few] == [("North", False, False), ("A", True, False)]
    assert "too few, 5 patients" in str(few[1])
    assert rates(draws.normal(size=100), ("North",) * 100) == [], "one group is no comparison"
