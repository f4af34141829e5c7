"""Vectors in a file are what they were in memory, are shared by processes, and are nobody else's to read."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from echosyn.errors import DataError
from echosyn.privacy import vectors
from echosyn.privacy.matching import nearest, prepared
from echosyn.privacy.owners import Owners


def rows(count: int, seed: int = 0, d: int = 6) -> torch.Tensor:
    return torch.randn(count, d, generator=torch.Generator().manual_seed(seed)) + 3


@given(counts=st.lists(st.integers(0, 5), min_size=1, max_size=6), data=st.data())
def test_what_is_appended_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("vectors") / "v.safetensors"
    names = sorted({data.draw(st.text(min_size=1, max_size=5)).replace("\0", "x") for _ in counts})
    parts = [(rows(n, seed=i), data.draw(st.sampled_from(names))) for i, n in enumerate(counts)]
    with vectors.Writer(path, 6, names) as file:
        for part, owner in parts:
            file.add(part, owner)
        assert len(file) == sum(counts)
    whole, known = torch.cat([part for part, _ in parts]), prepared(torch.cat([part for part, _ in parts]))
    found, owners = vectors.read(path)
    assert owners is not None
    assert torch.equal(found.rows, whole)
    assert torch.equal(found.norm, known.norm)
    assert found.largest == pytest.approx(known.largest)
    assert list(owners) == [owner for part, owner in parts for _ in part]
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, len(whole)))
    some, theirs = vectors.read(path, (start, stop))
    assert torch.equal(some.rows, whole[start:stop])
    assert list(theirs or ()) == list(owners)[start:stop]


def test_matching_by_file_is_matching_by_memory(tmp_path: Path) -> None:
    references, queries = rows(300), rows(40, seed=1)
    owners = [f"p{i % 7}" for i in range(300)]
    vectors.write(tmp_path / "v", references, owners)
    found, read = vectors.read(tmp_path / "v")
    groups = {"query_groups": [f"p{i % 9}" for i in range(40)]}
    one = nearest(queries, references, reference_groups=owners, **groups)
    other = nearest(queries, found, reference_groups=read, **groups)
    assert torch.equal(one.similarity, other.similarity)
    assert torch.equal(one.index, other.index)


def test_reading_maps_and_does_not_copy(tmp_path: Path) -> None:
    vectors.write(tmp_path / "v", rows(50_000, d=256))
    maps = Path("/proc/self/maps")
    if not maps.is_file():
        pytest.skip("only Linux says what is mapped")
    found, _ = vectors.read(tmp_path / "v")
    address = found.rows.data_ptr()
    ranges = [line.split() for line in maps.read_text().splitlines() if line.endswith(str(tmp_path / "v"))]
    assert any(int(r[0].split("-")[0], 16) <= address < int(r[0].split("-")[1], 16) for r in ranges)


def test_they_are_for_their_owner(tmp_path: Path) -> None:
    vectors.write(tmp_path / "v", rows(3))
    assert (tmp_path / "v").stat().st_mode & 0o077 == 0


def test_one_that_was_not_finished_is_not_read(tmp_path: Path) -> None:
    def half() -> None:
        with vectors.Writer(tmp_path / "v", 6) as file:
            file.add(rows(3))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    for name in ("v", "gone"):
        with pytest.raises(DataError, match=f"{name}: not readable as vectors"):
            vectors.read(tmp_path / name)


@pytest.mark.parametrize(("value", "words"), [(torch.nan, "NaN"), (1.0, "constant")])
def test_broken_vectors_are_refused(tmp_path: Path, value: float, words: str) -> None:
    with vectors.Writer(tmp_path / "v", 6) as file, pytest.raises(DataError, match=words):
        file.add(torch.full((1, 6), value))


def test_owners_are_a_list_of_names() -> None:
    names = ["b", "a", "b", "c"]
    owners = Owners.of(names)
    assert (list(owners), len(owners), owners[-1]) == (names, 4, "c")
    assert list(owners[1:3]) == ["a", "b"]
    assert list(owners[1:2].present().names) == ["a"]
    assert owners.rows("b").tolist() == [0, 2]
    assert owners.rows("z").tolist() == []
    assert owners.numbers(["c", "z"]).tolist() == [2, -1]
    assert Owners.of(owners) is owners
    assert owners.codes.dtype == np.int32
