"""Files are whole or not there."""

from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from echosyn.data import table
from echosyn.data.records import Record
from echosyn.files import journal, journal_of, whole
from echosyn.hashing import write_sums
from echosyn.pipeline import trained_on
from echosyn.pipeline.audit.pages import write_table
from echosyn.pipeline.folder import write_json
from echosyn.pipeline.privacy_filter.filter import write_similarity
from echosyn.pipeline.report.page import render
from echosyn.pipeline.tracking import measure

WRITTEN = Path.write_text


def test_what_is_written_has_its_name_when_the_block_ends_and_no_temporary_stays(tmp_path):
    path = tmp_path / "a.txt"
    with whole(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def _dying(path: Path, kind: type[BaseException], *, folder: bool) -> None:
    with whole(path) as temporary:
        temporary.mkdir() if folder else temporary.write_text("ne")
        raise kind


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_a_writer_that_dies_leaves_the_old_file_and_nothing_else(kind, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(kind):
        _dying(path, kind, folder=False)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_folders_are_whole_too_and_leftovers_of_a_killed_process_do_not_get_into_them(tmp_path):
    left = tmp_path / "folder.tmp"
    left.mkdir()
    (left / "left").touch()
    with whole(tmp_path / "folder") as temporary:
        temporary.mkdir()
        (temporary / "made").touch()
    assert [p.name for p in (tmp_path / "folder").iterdir()] == ["made"]
    with pytest.raises(RuntimeError):
        _dying(tmp_path / "other", RuntimeError, folder=True)
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def _two_rows_and_death() -> Iterator[list[str]]:
    yield ["a", "b"]
    raise OSError("the disk is gone")


def _similarity(folder: Path) -> None:
    verdict: Any = SimpleNamespace(
        score=torch.zeros(2), kept=torch.ones(2, dtype=torch.bool), nearest=_two_rows_and_death()
    )
    write_similarity(folder, [0, 1], verdict)


def _physiology(folder: Path) -> None:
    row: Any = SimpleNamespace(**{f.name: None for f in fields(measure.Measured)})
    measure.write_csv(folder / "videos.csv", [row, object()])  # type: ignore[list-item]


WRITERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "trained on": (trained_on.TRAINED_ON, lambda f: trained_on.write(f, [Record("a", "TRAIN", 50.0)], "data")),
    "similarity": ("similarity.csv", _similarity),
    "physiology": ("videos.csv", _physiology),
    "table of the audit": ("pairs.csv", lambda f: write_table(f / "pairs.csv", ["x", "y"], _two_rows_and_death())),  # type: ignore[arg-type]
    "file list": ("FileList.csv", lambda f: table.write(f / "FileList.csv", ["x", "y"], _two_rows_and_death())),
    "page": ("index.html", lambda f: render({"title": "t"}, [], f / "index.html")),
    "json": ("report.json", lambda f: write_json(f / "report.json", {"a": 1})),
    "sums": ("SHA256SUMS", lambda f: write_sums(f / "SHA256SUMS", {"a": "0"})),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_writer_that_dies_midway_leaves_the_old_file(name, tmp_path, monkeypatch):
    def half(self: Path, text: str, **how: Any) -> int:
        WRITTEN(self, text[: len(text) // 2], **how)
        raise OSError("the disk is gone")

    file, write = WRITERS[name]
    (tmp_path / file).write_text("old")
    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises((OSError, IndexError, AttributeError)):
        write(tmp_path)
    assert (tmp_path / file).read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == [file]


def test_a_journal_forgets_no_more_than_the_entry_that_a_kill_has_torn(tmp_path: Path) -> None:
    path = tmp_path / "made.jsonl"
    assert list(journal_of(path)) == []
    with journal(path) as add:
        add({"number": 1})
        assert list(journal_of(path)) == [{"number": 1}]  # on disk at once
        add({"number": 2})
    path.write_text(path.read_text()[:-4])
    with journal(path) as add:
        add({"number": 3})
    assert list(journal_of(path)) == [{"number": 1}, {"number": 3}]
