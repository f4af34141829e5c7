"""Many workers find what one finds, to the bit."""

from pathlib import Path

import pytest
import torch

from echosyn.errors import DataError
from echosyn.pipeline.privacy_filter import parallel_matching
from echosyn.pipeline.privacy_filter.parallel_matching import Matcher
from echosyn.pipeline.workers.executors import Executor, InProcess, Processes
from echosyn.privacy import vectors
from echosyn.privacy.matching import nearest, prepared

write = vectors.write


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel_matching, "ROWS", 70)
    monkeypatch.setattr(parallel_matching, "FEW", 0)


def random(n: int, seed: int) -> torch.Tensor:
    return torch.randn(n, 12, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("grouped", [False, True])
def test_parts_together_find_what_the_whole_finds(tmp_path: Path, grouped: bool) -> None:
    queries, references = random(90, 1), random(500, 2)
    references[300:320] = references[:20]  # copies: the lowest row wins
    references[10:15] = queries[:5]
    references[410:415] = queries[:5] * 2
    groups = {}
    if grouped:  # patient p0 owns all of the first part
        groups = {
            "query_groups": [f"p{i % 5}" for i in range(90)],
            "reference_groups": ["p0" if i < 70 else f"p{i % 5}" for i in range(500)],
        }
    expected = nearest(queries, references, **groups)
    executors: list[Executor] = [InProcess(1), InProcess(3)]
    with Processes(1) as processes:
        for executor in [*executors, processes]:
            found = Matcher(executor, tmp_path)(queries, prepared(references), **groups)
            assert torch.equal(found.similarity, expected.similarity)
            assert torch.equal(found.index, expected.index)
    assert not list(tmp_path.iterdir()), "the vectors are private: nothing stays"


def test_a_patient_who_owns_everything_matches_nobody(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no reference of another patient"):
        Matcher(InProcess(2), tmp_path)(
            random(3, 1), prepared(random(200, 2)), query_groups=["a", "a", "b"], reference_groups=["a"] * 200
        )


def test_references_in_a_file_are_not_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queries, references = random(90, 1), random(500, 2)
    vectors.write(tmp_path / "known", references)
    known, _ = vectors.read(tmp_path / "known")
    written: list[str] = []
    monkeypatch.setattr(parallel_matching.vectors, "write", lambda p, *a: (written.append(p.name), write(p, *a)))
    found, expected = Matcher(InProcess(1), tmp_path)(queries, known), nearest(queries, references)
    assert torch.equal(found.similarity, expected.similarity)
    assert torch.equal(found.index, expected.index)
    assert written == ["queries.safetensors"]


def test_mistakes_name_the_side(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="query embedding 2 holds NaN"):
        Matcher(InProcess(1), tmp_path)(
            random(3, 1).index_fill(0, torch.tensor([2]), torch.nan), prepared(random(9, 2))
        )
