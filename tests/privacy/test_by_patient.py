"""The best match with each patient: exact, and no matter what is compared along with it."""

import numpy as np
import pytest
import torch

from echosyn.errors import DataError
from echosyn.privacy import by_patient
from echosyn.privacy.by_patient import nearest_of_each
from echosyn.privacy.matching import nearest, prepared, standardized


def people(num: int, seed: int, d: int = 16) -> torch.Tensor:
    return torch.randn(num, d, generator=torch.Generator().manual_seed(seed))


def test_the_best_of_all_patients_is_the_nearest():
    queries, references = people(30, 1), people(40, 2)
    patients = [f"p{i % 7}" for i in range(40)]
    names, best = nearest_of_each(queries.split(1), references, patients, block=9)
    assert names == sorted(set(patients))
    found = nearest(queries, references)
    assert torch.equal(best.max(dim=1).values, found.similarity)
    assert [names[i] for i in best.argmax(dim=1).tolist()] == [patients[i] for i in found.index.tolist()]


@pytest.mark.parametrize("d", [3, 128])
@pytest.mark.parametrize("mean", [0.0, 300.0])
def test_what_float32_finds_is_what_float64_finds_to_the_bit(d, mean):
    """Items with many views, one or none; copies and coarse values tie; a large mean hides nothing."""
    draw = torch.Generator().manual_seed(d)
    queries, references = (torch.randn(n, d, generator=draw).mul(4).round() + 0.37 * torch.arange(d) for n in (60, 300))
    references[200:250] = references[:50] * 3
    references[290:] = queries[:10]
    queries, references = queries + mean, references + mean
    counts, patients = [7, 0, 1, 20, 0, 32], [f"p{i * 7 % 13}" for i in range(300)]
    names, found = nearest_of_each(queries.split(counts), references, patients, block=64)
    scores = (standardized(queries) @ standardized(references).T).float().clamp(-1, 1)
    for i, views in enumerate(scores.split(counts)):
        for j, name in enumerate(names):
            own = views[:, [k for k, patient in enumerate(patients) if patient == name]]
            assert found[i, j] == (own.max() if len(views) else -1.0)


def test_of_references_that_are_all_but_equal_the_best_one_counts():
    """Products in float32 of such rows with a large mean are off by more than the rows differ."""
    references = 300 + people(1, 5, d=64) + 1e-4 * people(200, 6, d=64)
    queries, patients = people(20, 7, d=64), [f"p{i % 3}" for i in range(200)]
    names, found = nearest_of_each(queries.split(4), references, patients)
    scores = (standardized(queries) @ standardized(references).T).float()
    for j in range(len(names)):
        assert torch.equal(found[:, j], scores[:, j::3].amax(dim=1).view(5, 4).amax(dim=1))


def test_an_item_is_compared_alone_whatever_is_beside_it(monkeypatch):
    """Blocks of items, blocks of references and what is held in memory at once change not a bit."""
    references = people(500, 3, d=100)
    patients = [f"p{i % 11}" for i in range(500)]
    items = list(people(400, 4, d=100).split([int(n) for n in np.resize([9, 1, 4, 0, 26], 50)]))
    _, together = nearest_of_each(items, prepared(references), patients)
    alone = torch.cat([nearest_of_each([item], references, patients, block=77)[1] for item in items])
    assert torch.equal(together, alone)
    monkeypatch.setattr(by_patient, "QUERIES_AT_ONCE", 20)
    monkeypatch.setattr(by_patient, "_VIEWS_AT_ONCE", 50)
    monkeypatch.setattr(by_patient, "_NUMBERS_AT_ONCE", 300)
    assert torch.equal(nearest_of_each(items, references, patients, block=130)[1], together)


def test_what_cannot_be_compared_is_refused():
    queries, references = people(4, 1).split(2), people(9, 2)
    with pytest.raises(DataError, match="one each"):
        nearest_of_each(queries, references, ["p"] * 8)
    with pytest.raises(DataError, match="same d"):
        nearest_of_each(queries, people(9, 2, d=5), ["p"] * 9)
    with pytest.raises(DataError, match="query embedding 2 holds NaN"):
        nearest_of_each([queries[0], queries[1] * torch.nan], references, ["p"] * 9)
    with pytest.raises(DataError, match="reference embedding 0 is constant"):
        nearest_of_each(queries, torch.ones(9, 16), ["p"] * 9)
