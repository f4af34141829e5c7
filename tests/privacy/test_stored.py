"""A screen that was written and read decides as before."""

import shutil
from pathlib import Path

import pytest
import torch

from echosyn.errors import DataError
from echosyn.privacy import stored
from echosyn.privacy.fingerprints import Vectors
from echosyn.privacy.gallery import Gallery
from echosyn.privacy.screen import vector_screen


def views(seed: int, count: int) -> list[dict[str, torch.Tensor]]:
    draw = torch.Generator().manual_seed(seed)
    return [{"z": torch.randn(3, 8, generator=draw), "a": torch.randn(2, 5, generator=draw)} for _ in range(count)]


def test_verdicts_are_equal_after_a_round_trip(tmp_path: Path) -> None:
    people = [f"p{i}" for i in range(12)]
    real = views(0, 12)
    before = vector_screen(Gallery.of(real, people), (views(1, 6), people[:6]), (views(2, 6), people[6:]))
    centre = torch.randn(4, 4)
    stored.write(tmp_path / "screen", before.through(Vectors(centre)))
    after = stored.read(tmp_path / "screen", Vectors)
    assert torch.equal(after.prints.centre, centre)
    assert after.threshold == before.threshold
    assert after.fusion == before.fusion
    a, b = before.judge([*views(3, 20), *real]), after.judge([*views(3, 20), *real])
    assert torch.equal(a.kept, b.kept)
    assert torch.equal(a.score, b.score)
    assert (a.nearest, a.space) == (b.nearest, b.space)
    assert not a.kept[-12:].any(), "the real ones themselves are too close"


def test_vectors_in_files_are_linked_and_decide_alike(tmp_path: Path) -> None:
    people = [f"p{i}" for i in range(12)]
    real = views(0, 12)
    sides = (views(1, 6), people[:6]), (views(2, 6), people[6:])
    one = vector_screen(Gallery.of(real, people), *sides)
    other = vector_screen(Gallery.filed(iter(real), people, tmp_path / "files"), *sides)
    assert other.threshold == one.threshold
    stored.write(tmp_path / "screen", other)
    shutil.rmtree(tmp_path / "files")
    read = stored.read(tmp_path / "screen", Vectors)
    a, b = one.judge(views(3, 20)), read.judge(views(3, 20))
    assert torch.equal(a.score, b.score)
    assert (a.nearest, a.space) == (b.nearest, b.space)
    assert read.gallery.patients == sorted(people)


def test_a_screen_replaces_an_unfinished_one(tmp_path: Path) -> None:
    small = vector_screen(Gallery.of(views(0, 2), ["a", "b"]), ([], []), (views(1, 1), ["c"]))
    (tmp_path / "s.tmp").mkdir()
    (tmp_path / "s.tmp" / "half").touch()
    for _ in range(2):
        stored.write(tmp_path / "s", small)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s"]
    assert sorted(p.name for p in (tmp_path / "s").iterdir()) == [
        "a.safetensors",
        "screen.safetensors",
        "z.safetensors",
    ]


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    small = vector_screen(Gallery.of(views(0, 2), ["a", "b"]), ([], []), (views(1, 1), ["c"]))
    stored.write(tmp_path / "s", small)
    assert all(path.stat().st_mode & 0o077 == 0 for path in [tmp_path / "s", *(tmp_path / "s").iterdir()])


def test_a_damaged_one_is_named(tmp_path: Path) -> None:
    small = vector_screen(Gallery.of(views(0, 2), ["a", "b"]), ([], []), (views(1, 1), ["c"]))
    for name in ("screen", "a"):
        stored.write(tmp_path / "s", small)
        (tmp_path / "s" / f"{name}.safetensors").write_bytes(b"half")
        with pytest.raises(DataError, match=r"s.*: not readable as"):
            stored.read(tmp_path / "s", Vectors)
