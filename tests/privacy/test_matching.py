import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from echosyn.errors import DataError
from echosyn.privacy import matching
from echosyn.privacy.matching import nearest


def people(num: int, seed: int, d: int = 16) -> torch.Tensor:
    return torch.randn(num, d, generator=torch.Generator().manual_seed(seed))


def test_it_is_the_best_pearson_correlation():
    queries, references = people(20, 1), people(50, 2)
    expected = np.corrcoef(queries.numpy(), references.numpy())[:20, 20:]
    matches = nearest(queries, references)
    np.testing.assert_allclose(matches.similarity.numpy(), expected.max(axis=1), atol=1e-6)
    np.testing.assert_array_equal(matches.index.numpy(), expected.argmax(axis=1))
    assert (matches.similarity.dtype, matches.index.dtype) == (torch.float32, torch.int64)


@settings(max_examples=30, deadline=None)
@given(block=st.integers(1, 80), at_once=st.integers(1, 40), seed=st.integers(0, 5))
def test_block_sizes_change_nothing(block, at_once, seed):
    references = people(60, seed)
    references[30:] = references[:30]
    queries = torch.cat([people(20, 100), references[10:20], people(5, 7) * 1e4 + 1e3])
    whole = nearest(queries, references)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "QUERIES_AT_ONCE", at_once)
        blocked = nearest(queries, references, block=block)
    assert torch.equal(blocked.similarity, whole.similarity)
    assert torch.equal(blocked.index, whole.index)
    assert (whole.index < 30).all(), "of equal references the lowest"


def test_permuting_the_references_changes_only_the_names():
    queries, references = people(40, 1), people(70, 2)
    order = torch.randperm(70, generator=torch.Generator().manual_seed(0))
    before, after = nearest(queries, references), nearest(queries, references[order], block=13)
    assert torch.equal(before.similarity, after.similarity)
    assert torch.equal(before.index, order[after.index])


def test_scale_and_offset_of_an_embedding_do_not_matter():
    queries, references = people(10, 1), people(30, 2)
    moved = nearest(queries * 3 + 5, references * 0.01 - 2)
    np.testing.assert_allclose(moved.similarity, nearest(queries, references).similarity, atol=1e-5)


def test_a_patient_is_not_compared_with_itself():
    references = people(30, 1)
    patients = [f"p{i // 3}" for i in range(30)]
    with_self = nearest(references, references)
    assert with_self.index.tolist() == list(range(30))
    assert with_self.similarity.min() > 0.99999
    others = nearest(references, references, query_groups=patients, reference_groups=patients, block=4)
    assert all(patients[i] != patients[j] for i, j in enumerate(others.index.tolist()))
    assert others.similarity.max() < 0.99


def test_bad_embeddings_are_refused_by_number():
    good = people(5, 1)
    constant, broken = good.clone(), good.clone()
    constant[3] = 0.1
    broken[2, 0] = torch.nan
    with pytest.raises(DataError, match="query embedding 3 is constant"):
        nearest(constant, good)
    with pytest.raises(DataError, match="reference embedding 3 is constant"):
        nearest(good, constant, block=2)
    with pytest.raises(DataError, match="embedding 2 holds NaN"):
        nearest(broken, good)
    with pytest.raises(DataError, match="same d"):
        nearest(good, people(5, 1, d=8))
    with pytest.raises(DataError, match="no reference"):
        nearest(good, good[:0])
    with pytest.raises(DataError, match="block is 0"):
        nearest(good, good, block=0)
    with pytest.raises(DataError, match="one side only"):
        nearest(good, good, query_groups=list("abcde"))
    with pytest.raises(DataError, match="query 0 has no reference of another patient"):
        nearest(good, good, query_groups=list("aaaaa"), reference_groups=list("aaaaa"))
    with pytest.raises(DataError, match="one each"):
        nearest(good, good, query_groups=list("aaa"), reference_groups=list("aaaaa"))
    assert nearest(good[:0], good).similarity.shape == (0,)


def test_memory_is_bounded_by_the_block(monkeypatch):
    """The largest score matrix ever made has ``QUERIES_AT_ONCE x block`` entries."""
    sizes = []
    first_best = matching._first_best

    def counting(q, r, *others):
        sizes.append(len(q) * len(r.rows))
        return first_best(q, r, *others)

    monkeypatch.setattr(matching, "_first_best", counting)
    nearest(people(3000, 1, d=4), people(5000, 2, d=4), block=256)
    assert max(sizes) == 1024 * 256
    assert len(sizes) == 3 * 20


@pytest.mark.parametrize("d", [3, 6, 128])
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("mean", [0.0, 300.0])
def test_what_float32_finds_is_what_float64_finds_to_the_bit(d, grouped, mean):
    """Copies, scaled copies and coarse values tie in many places; the lowest row wins. A large mean hides nothing."""
    draw = torch.Generator().manual_seed(d)
    queries, references = (
        torch.randn(n, d, generator=draw).mul(4).round() + 0.37 * torch.arange(d) for n in (300, 700)
    )
    references[400:500] = references[:100] * 3
    references[500:520] = queries[:20]
    queries, references = queries + mean, references + mean
    own, theirs = ([f"p{i % 9}" for i in range(n)] for n in (300, 700))
    groups = {"query_groups": own, "reference_groups": theirs} if grouped else {}
    found = nearest(queries, references, block=64, **groups)
    scores = (matching.standardized(queries) @ matching.standardized(references).T).float()
    if grouped:
        scores[torch.tensor([[a == b for b in theirs] for a in own])] = -torch.inf
    best, where = scores.max(dim=1)
    assert torch.equal(found.similarity, best.clamp(-1, 1))
    assert torch.equal(found.index, where)
