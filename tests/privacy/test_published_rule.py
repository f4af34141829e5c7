import pytest
import torch

from echosyn.errors import DataError
from echosyn.privacy.calibration import calibrate
from echosyn.privacy.filtering import judge


def people(num: int, seed: int) -> torch.Tensor:
    return torch.randn(num, 64, generator=torch.Generator().manual_seed(seed))


def test_copies_of_training_frames_are_rejected_and_strangers_are_kept():
    train = people(50, 1)
    copies, strangers = train[:10] + 0.1 * people(10, 2), people(100, 3)
    threshold = calibrate(people(50, 4), [str(i) for i in range(50)], train)
    verdict = judge(torch.cat([copies, strangers]), train, threshold)
    assert not verdict.kept[:10].any()
    assert verdict.nearest[:10].tolist() == list(range(10))
    assert verdict.kept[10:].float().mean() > 0.85
    assert verdict.rejection_rate == pytest.approx((~verdict.kept).sum().item() / 110)


def test_order_of_references_and_block_size_change_no_decision():
    train, candidates = people(80, 1), people(60, 2)
    order = torch.randperm(80, generator=torch.Generator().manual_seed(0))
    one, other = judge(candidates, train, 0.3), judge(candidates, train[order], 0.3, block=7)
    assert torch.equal(one.kept, other.kept)
    assert torch.equal(one.similarity, other.similarity)
    assert torch.equal(one.nearest, order[other.nearest])


def test_more_references_never_keep_more():
    candidates, train = people(50, 1), people(200, 2)
    few, many = judge(candidates, train[:50], 0.25), judge(candidates, train, 0.25)
    assert (many.kept <= few.kept).all()
    assert (many.similarity >= few.similarity).all()


def test_a_candidate_at_the_threshold_is_rejected():
    train, candidates = people(20, 1), people(1, 2)
    similarity = judge(candidates, train, 0.5).similarity.item()
    assert not judge(candidates, train, similarity).kept.any()
    assert judge(candidates, train, similarity + 1e-9).kept.all()


def test_a_candidate_is_judged_alone():
    train, candidates = people(20, 1), people(9, 2)
    alone = [judge(candidates[i : i + 1], train, 0.3).similarity for i in range(9)]
    assert torch.equal(torch.cat(alone), judge(candidates, train, 0.3).similarity)


def test_no_candidate_and_no_threshold():
    train = people(20, 1)
    assert judge(train[:0], train, 0.5).rejection_rate == 0
    with pytest.raises(DataError, match="threshold is nan"):
        judge(train, train, float("nan"))
