from itertools import pairwise

import numpy as np
import pytest
import torch

from echosyn.errors import DataError
from echosyn.privacy import screen
from echosyn.privacy.closeness import UNLIKE, Fusion, closeness
from echosyn.privacy.gallery import Gallery
from echosyn.privacy.screen import Calibration, vector_screen


def world(seed: int, num: int, d: int = 8):
    """Views of ``num`` strangers: two frames in space ``a``, one vector in space ``b``."""
    generator = torch.Generator().manual_seed(seed)
    return [
        {"a": torch.randn(2, d, generator=generator), "b": torch.randn(1, d, generator=generator)} for _ in range(num)
    ]


def names(letter: str, num: int) -> list[str]:
    return [f"{letter}{i}" for i in range(num)]


def built(seed: int, num_train: int = 60, num_held_out: int = 60, rate: float = 0.05):
    people = world(seed, num_train + num_held_out)
    train, held_out = people[:num_train], people[num_train:]
    gallery = Gallery.of(people, [*names("t", num_train), *names("h", num_held_out)])
    sides = (train, names("t", num_train)), (held_out, names("h", num_held_out))
    return vector_screen(gallery, *sides, Calibration(rate, seed)), people


def test_strangers_are_rejected_at_the_asked_rate_whatever_the_number_of_spaces():
    rates = [float((~built(seed, rate=0.1)[0].judge(world(1000 + seed, 60)).kept).float().mean()) for seed in range(40)]
    assert np.mean(rates) == pytest.approx(0.1, abs=0.025)


def test_a_copy_in_one_space_is_enough_and_its_patient_is_named():
    found, people = built(0)
    strangers = world(5, 2)
    thieves = [
        {"a": strangers[0]["a"], "b": people[3]["b"] + 0.01},
        {"a": torch.cat([strangers[1]["a"][:1], people[70]["a"][1:]]), "b": strangers[1]["b"]},
    ]
    judged = found.judge(thieves)
    assert not judged.kept.any()
    assert judged.nearest == ["t3", "h10"]
    assert judged.space == ["b", "a"]


def test_an_item_is_judged_alone():
    found, _ = built(1)
    items = world(77, 9)
    together = found.judge(items)
    alone = torch.cat([found.judge([item]).score for item in items])
    assert torch.allclose(together.score, alone, atol=0)


def test_rejection_agrees_with_the_judgement_and_asks_no_further_space_about_what_is_rejected(monkeypatch):
    found, people = built(0)
    strangers = world(5, 30)
    thieves = [{"a": people[i]["a"], "b": s["b"]} for i, s in enumerate(strangers[:6])]
    thieves += [{"a": s["a"], "b": people[60 + i]["b"] + 0.01} for i, s in enumerate(strangers[6:12])]
    items = [*thieves, *strangers[12:], {"a": torch.zeros(0, 8), "b": strangers[0]["b"]}]
    asked = {}

    def closest(items, space, gallery):
        asked[space] = len(items)
        return plain(items, space, gallery)

    plain = screen.closest
    monkeypatch.setattr(screen, "closest", closest)
    rejected = found.rejects(items)
    judged = found.judge(items)
    assert torch.equal(rejected, ~judged.kept)
    assert rejected[:12].all()
    assert not rejected.all()
    assert asked["a"] == len(items)
    assert asked["b"] <= len(items) - 6
    assert found.rejects([]).shape == (0,)


def test_a_patients_own_references_are_skipped_when_it_is_named():
    found, people = built(2)
    with_self = found.judge(people[:5])
    without = found.judge(people[:5], names("t", 5))
    assert not with_self.kept.any()
    assert with_self.nearest == names("t", 5)
    assert all(one != other for one, other in zip(without.nearest, with_self.nearest, strict=True))
    assert (without.score < with_self.score).all()


def test_items_without_a_vector_in_a_space_are_judged_by_the_others():
    found, people = built(3)
    item = {"a": people[4]["a"], "b": people[4]["b"][:0]}
    near = closeness([item], found.gallery)
    assert near.similarity[0, 1] == UNLIKE
    assert near.nearest[1] == [None]
    assert not found.judge([item]).kept.any()


def test_the_scale_is_that_of_strangers_and_one_space_does_not_drown_the_other():
    similarity = torch.tensor([[0.9, 0.1], [0.92, 0.2], [0.88, 0.0]])
    fusion = Fusion.of(similarity)
    assert fusion.score(similarity[:1]).item() == pytest.approx(0, abs=1e-6)
    assert fusion.score(torch.tensor([[0.9, 0.9]])) > 5
    assert Fusion.of(similarity[:1]).centre == [0.0, 0.0]
    assert torch.isfinite(fusion.score(torch.ones(1, 2))).all()


def test_nothing_to_compare_with_or_to_judge():
    found, _ = built(4)
    assert found.judge([]).kept.shape == (0,)
    with pytest.raises(DataError, match="no real video"):
        Gallery.of([], [])
    one = world(0, 1)
    with pytest.raises(DataError, match="no reference of another patient"):
        vector_screen(Gallery.of(one, ["p"]), (one, ["p"]), (one, ["p"]))


def test_broken_embeddings_are_refused():
    found, people = built(5)
    item = {"a": people[0]["a"].clone().fill_(torch.nan), "b": people[0]["b"]}
    with pytest.raises(DataError, match="NaN"):
        found.judge([item])


def test_the_closest_of_all_patients_is_the_judged_one():
    found, people = built(6)
    items = [*world(50, 7), people[2], {"a": people[4]["a"], "b": people[4]["b"][:0]}]
    patients, scores, said = found.by_patient(items)
    judged = found.judge(items)
    assert torch.equal(scores.max(dim=1).values, judged.score)
    assert [patients[i] for i in scores.argmax(dim=1).tolist()] == list(judged.nearest)
    assert torch.equal(said.kept, judged.kept)
    assert torch.equal(said.score, judged.score)
    assert (said.space, said.nearest) == (judged.space, judged.nearest)
    assert found.by_patient([])[1].shape == (0, 120)


def test_parts_of_the_items_score_what_all_score_to_the_bit():
    found, people = built(7)
    items = [*world(60, 40), *people[:9], *people[:3], *[{"a": p["a"], "b": p["b"][:0]} for p in people[9:15]]]
    judged, scores = found.judge(items), found.by_patient(items)[1]
    edges = [0, 1, 2, 4, 9, 31, 58]
    parts = [items[start:stop] for start, stop in pairwise(edges)]
    assert torch.equal(torch.cat([found.by_patient(part)[1] for part in parts]), scores)
    assert torch.equal(torch.cat([found.judge(part).score for part in parts]), judged.score)
