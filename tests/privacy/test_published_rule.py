import json

import numpy as np
import pytest
import torch

from echosyn.errors import DataError
from echosyn.privacy.intervals import wilson
from echosyn.privacy.published_rule import PublishedRule, expected_false_rejection, published_threshold
from echosyn.privacy.screen import ScreeningResult


def people(num: int, seed: int, d: int = 64) -> torch.Tensor:
    return torch.randn(num, d, generator=torch.Generator().manual_seed(seed))


def judge(candidates: torch.Tensor, references: torch.Tensor, threshold: float) -> ScreeningResult:
    names = [f"p{i}" for i in range(len(references))]
    return PublishedRule(lambda x: x, references, names, threshold, wilson(0, 0), 0.0).judge(candidates)


def test_copies_of_training_frames_are_rejected_and_others_are_kept():
    train = people(50, 1)
    copies, others = train[:10] + 0.1 * people(10, 2), people(100, 3)
    verdict = judge(torch.cat([copies, others]), train, published_threshold(train, people(50, 4)))
    assert not verdict.kept[:10].any()
    assert verdict.nearest[:10] == [f"p{i}" for i in range(10)]
    assert verdict.kept[10:].float().mean() > 0.85
    assert verdict.rejection_rate == pytest.approx((~verdict.kept).sum().item() / 110)


def test_the_rule_takes_each_split_for_its_part_and_says_three_numbers_of_itself():
    """TRAIN is compared with, TEST sets the threshold, VAL tries it; whichever way the videos lie."""
    frames = people(100, 1)
    splits = ["VAL", "TRAIN", "TEST", "TRAIN", "EXTRA"] * 20
    at = {name: [i for i in range(100) if splits[i] == name] for name in ("TRAIN", "VAL", "TEST")}
    rule = PublishedRule.of(splits, [f"v{i}" for i in range(100)], frames.__getitem__, lambda x: 2 * x)
    assert rule is not None
    train, val, test = (2 * frames[at[name]] for name in ("TRAIN", "VAL", "TEST"))
    assert rule.threshold == published_threshold(train, test)
    assert rule.patients == [f"v{i}" for i in at["TRAIN"]]
    assert rule.false_rejection == wilson(int((~judge(val, train, rule.threshold).kept).sum()), 20)
    assert rule.predicted == expected_false_rejection(40, 20)
    assert rule.judge(frames[[at["TRAIN"][7]]]).nearest == [f"v{at['TRAIN'][7]}"]
    assert list(json.loads(json.dumps(rule.to_json()))) == ["threshold", "false_rejection", "predicted"]
    without = ["TRAIN" if split == "VAL" else split for split in splits]
    assert PublishedRule.of(without, splits, frames.__getitem__, lambda x: x) is None


def test_the_published_rule_rejects_innocents_as_predicted():
    """95th percentile of maxima over 125 references, applied to maxima over 500: 1 - 0.95^4 = 18.5 %, not 5 %."""
    rates = []
    for world in range(40):
        train, test, strangers = people(825, world, 8).split([500, 125, 200])
        rates.append(judge(strangers, train, published_threshold(train, test)).rejection_rate)
    assert np.mean(rates) == pytest.approx(expected_false_rejection(500, 125), abs=0.03)
    assert expected_false_rejection(7465, 1277) == pytest.approx(0.259, abs=1e-3)
    assert expected_false_rejection(500, 500) == pytest.approx(0.05)


def test_order_of_references_changes_no_decision():
    train, candidates = people(80, 1), people(60, 2)
    order = torch.randperm(80, generator=torch.Generator().manual_seed(0))
    one, other = judge(candidates, train, 0.3), judge(candidates, train[order], 0.3)
    assert torch.equal(one.kept, other.kept)
    assert torch.equal(one.score, other.score)
    assert one.nearest == [f"p{order[int(name[1:])]}" for name in other.nearest]


def test_more_references_never_keep_more():
    candidates, train = people(50, 1), people(200, 2)
    few, many = judge(candidates, train[:50], 0.25), judge(candidates, train, 0.25)
    assert (many.kept <= few.kept).all()
    assert (many.score >= few.score).all()


def test_a_candidate_at_the_threshold_is_rejected():
    train, candidates = people(20, 1), people(1, 2)
    similarity = judge(candidates, train, 0.5).score.item()
    assert not judge(candidates, train, similarity).kept.any()
    assert judge(candidates, train, similarity + 1e-9).kept.all()


def test_a_candidate_is_judged_alone():
    train, candidates = people(20, 1), people(9, 2)
    alone = [judge(candidates[i : i + 1], train, 0.3).score for i in range(9)]
    assert torch.equal(torch.cat(alone), judge(candidates, train, 0.3).score)


def test_no_candidate_and_no_threshold():
    train = people(20, 1)
    assert judge(train[:0], train, 0.5).rejection_rate == 0
    with pytest.raises(DataError, match="threshold is nan"):
        judge(train, train, float("nan"))
