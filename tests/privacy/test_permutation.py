"""Membership tests that err as seldom as they say at every number of patients, and see what they are there to see."""

import numpy as np
import pytest
from scipy import stats

from echosyn.errors import DataError
from echosyn.pipeline.audit import membership
from echosyn.pipeline.audit.criteria import SIZE, TAIL_WEIGHTS
from echosyn.privacy.permutation import area_p_value, holm, tail_p_value

MEMBERS = 300


def scored(members: int, others: int, seed: int, attacks: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Scores ``(attacks, patients)`` of nobody in particular, and who is a member."""
    return np.random.default_rng(seed).normal(size=(attacks, members + others)), np.arange(members + others) < members


def fails(scores: np.ndarray, is_member: np.ndarray, seed: int = 0) -> bool:
    """What the audit's lines conclude from the scores of some attacks, without the floor under the areas."""
    areas = {
        str(i): (area_p_value(s, is_member, seed), (1 - sum(TAIL_WEIGHTS.values())) / len(scores))
        for i, s in enumerate(scores)
    }
    names = [str(i) for i in range(len(is_member))]
    attacks = [membership.Attack("", "", *[None] * 3, 0, 0, 0.0, {}, dict(zip(names, s, strict=True))) for s in scores]  # type: ignore[arg-type]
    tails = membership.tails(attacks, dict(zip(names, is_member.tolist(), strict=True)))
    return any(holm(areas | {f"tail {k}": (p, TAIL_WEIGHTS[k]) for k, p in tails.items()}, SIZE).values())


def share(members: int, others: int, repetitions: int, plant=lambda scores, is_member: scores) -> float:
    found = []
    for seed in range(repetitions):
        scores, is_member = scored(members, others, seed)
        found.append(fails(plant(scores, is_member), is_member, seed))
    return float(np.mean(found))


def shifted(scores: np.ndarray, is_member: np.ndarray) -> np.ndarray:
    """A true area of 0.65, in one of the attacks."""
    return scores + np.array([[2**0.5 * stats.norm.ppf(0.65)], [0.0]]) * is_member


def by_heart(part: float):
    """Some members whom one attack knows with certainty."""

    def plant(scores: np.ndarray, is_member: np.ndarray) -> np.ndarray:
        scores[0, : round(part * is_member.sum())] += 12
        return scores

    return plant


def test_innocents_fail_in_at_most_one_of_twenty():
    assert share(MEMBERS, 19, 40) <= 0.05 + 2 * (0.05 * 0.95 / 40) ** 0.5


@pytest.mark.parametrize("plant", [shifted, lambda s, m: -shifted(s, m), by_heart(0.02)])
def test_what_leaks_is_seen_at_500_against_200(plant):
    assert share(500, 200, 10, plant) >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("others", [19, 38, 60, 100, 150, 200, 400])
def test_innocents_fail_in_at_most_one_of_twenty_at_every_number(others):
    assert share(MEMBERS, others, 1000) <= 0.05 + 2 * (0.05 * 0.95 / 1000) ** 0.5


def test_the_area_is_tested_exactly():
    scores, is_member = scored(12, 9, 0, 1)
    expected = stats.mannwhitneyu(scores[0][is_member], scores[0][~is_member], method="exact").pvalue
    assert area_p_value(scores[0], is_member) == pytest.approx(expected, abs=0.015)
    assert area_p_value(np.zeros(21), is_member) == 1.0
    with pytest.raises(DataError, match="some of both"):
        area_p_value(scores[0], np.ones(21, bool))


def test_the_tail_is_counted_as_by_hand():
    # three members above the only two others: 3/5 * 2/4 * 1/3
    assert tail_p_value(np.array([5.0, 4, 3, 2, 1]), np.array([1, 1, 1, 0, 0], bool)) == pytest.approx(0.1)
    assert tail_p_value(np.array([5.0, 4, 3, 9, 1]), np.array([1, 1, 1, 0, 0], bool)) == 1.0
    assert tail_p_value(np.array([5.0, 4, 3, 9, 1]), np.array([1, 1, 1, 0, 0], bool), 1) == pytest.approx(0.4)
    assert tail_p_value(np.zeros(5), np.array([1, 1, 1, 0, 0], bool)) == 1.0


def test_holm_stops_at_the_first_that_is_not_significant():
    equal = {name: (p, 1.0) for name, p in (("a", 0.01), ("b", 0.02), ("c", 0.06))}
    assert holm(equal) == {"a": True, "b": True, "c": False}
    assert holm({"a": (0.018, 1.0), "b": (0.01, 1.0), "c": (0.0001, 1.0)})["a"]
    assert not any(holm({"a": (0.02, 1.0), "b": (0.9, 1.0), "c": (0.9, 1.0)}).values())
    assert holm({"tail": (0.034, 0.7), "area": (0.5, 0.3)})["tail"]
