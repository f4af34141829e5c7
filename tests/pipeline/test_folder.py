"""A step's folder appears whole or not at all, and going on is not starting again."""

import errno
import json
from pathlib import Path

import pytest
from safetensors import SafetensorError

from echosyn.errors import DataError, EchosynError
from echosyn.files import refuse_existing
from echosyn.hashing import PROVENANCE, content_hash
from echosyn.pipeline.folder import new_folder, note, provenance, read_provenance


class CrashError(Exception):
    """Stands for a crash."""


def call(out: Path, error: BaseException | None = None, *, keep: bool = False) -> None:
    """A step that writes one item and, if asked to, ends with ``error``."""
    with new_folder(out, "step", {"steps": 3}, keep=keep) as folder:
        (folder / "item").write_text("1")
        note(folder, count=3)
        if error is not None:
            raise error


def went_on(out: Path) -> bool:
    """Whether the same call finds the item of the last one."""
    with new_folder(out, "step", {"steps": 3}) as folder:
        return (folder / "item").exists()


# Whole or nothing


def test_the_folder_appears_when_the_block_ends(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with new_folder(out, "step") as folder:
        (folder / "item").write_text("1")
        assert not out.exists()
        assert folder.name == "out.partial"
    assert sorted(p.name for p in out.iterdir()) == ["item", PROVENANCE]
    assert [p.name for p in out.parent.iterdir()] == ["out"]


def test_a_users_mistake_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="wrong"):
        call(tmp_path / "out", DataError("wrong"))
    assert list(tmp_path.iterdir()) == []


def test_a_users_mistake_in_a_long_step_leaves_what_was_done(tmp_path: Path) -> None:
    with pytest.raises(EchosynError, match="wrong"):
        call(tmp_path / "out", EchosynError("wrong"), keep=True)
    assert went_on(tmp_path / "out")


@pytest.mark.parametrize(
    "error", [CrashError(), KeyboardInterrupt(), SystemExit(1), PermissionError(errno.EACCES, "no")], ids=repr
)
def test_a_crash_leaves_the_partial_folder_for_the_next_call(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        call(tmp_path / "out", error)
    assert not (tmp_path / "out").exists()
    assert went_on(tmp_path / "out")
    assert (tmp_path / "out" / "item").read_text() == "1"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
    ids=repr,
)
def test_a_full_disk_is_said_and_keeps_the_finished_items(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(DataError, match=r"the disk is full; free some space .* out\.partial"):
        call(tmp_path / "out", error)
    assert went_on(tmp_path / "out")


def test_another_failure_of_safetensors_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(SafetensorError, match="header too large"):
        call(tmp_path / "out", SafetensorError("header too large"))


# Whose leftover


@pytest.mark.parametrize("change", ["command", "settings", "input"])
def test_the_leftover_of_another_call_is_thrown_away(tmp_path: Path, change: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "x").write_text("1")

    def step(command: str = "step", steps: int = 3, fail: bool = False) -> bool:
        with new_folder(tmp_path / "out", command, {"steps": steps}, {"data": data}) as folder:
            found = (folder / "item").exists()
            (folder / "item").write_text("1")
            if fail:
                raise CrashError
        return found

    with pytest.raises(CrashError):
        step(fail=True)
    if change == "input":
        (data / "x").write_text("2")
    changed = {"command": {"command": "other"}, "settings": {"steps": 4}, "input": {}}[change]
    assert not step(**changed)  # type: ignore[arg-type]


def test_a_leftover_that_says_nothing_is_thrown_away(tmp_path: Path) -> None:
    rest = tmp_path / "out.partial"
    rest.mkdir()
    (rest / "item").write_text("who knows")
    (rest / PROVENANCE).write_text("{")
    with new_folder(tmp_path / "out", "step") as folder:
        assert not (folder / "item").exists()


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "precious").touch()
    with pytest.raises(DataError, match="exists already; expected a new folder"), new_folder(out, "step"):
        pass
    assert (out / "precious").exists()
    with pytest.raises(DataError, match="exists already"):
        refuse_existing(out / "precious")


def test_an_empty_folder_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with new_folder(tmp_path / "out", "step"):
        pass
    assert (tmp_path / "out" / PROVENANCE).exists()


# What it was made from


def test_the_record_says_command_settings_inputs_and_versions(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("1")
    settings = {"seed": 1, "where": Path("x"), "range": (1, 2)}
    with new_folder(tmp_path / "out", "step", settings, {"data": tmp_path / "data"}) as folder:
        note(folder, privacy={"rate": 0.1})
        note(folder, count=3)
    record = read_provenance(tmp_path / "out")
    assert (record["privacy"], record["count"]) == ({"rate": 0.1}, 3)
    call = record["call"]
    assert call["command"] == "step"
    assert call["settings"] == {"seed": 1, "where": "x", "range": [1, 2]}
    assert call["inputs"] == {"data": content_hash(tmp_path / "data")}
    assert {"echosyn", "python", "torch", "diffusers"} <= set(call["versions"])


def test_notes_do_not_hinder_going_on(tmp_path: Path) -> None:
    with pytest.raises(CrashError):
        call(tmp_path / "out", CrashError())
    assert went_on(tmp_path / "out")
    assert read_provenance(tmp_path / "out")["count"] == 3


def test_the_record_names_no_place(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert str(tmp_path) not in json.dumps(provenance("step", {}, {"data": tmp_path / "data"}))


def test_a_folder_without_record_has_an_empty_one(tmp_path: Path) -> None:
    assert read_provenance(tmp_path) == {}
