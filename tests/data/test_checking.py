"""Every kind of damage is found, named and counted, and does not hide the next one."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from echosyn.data import checking, filelist, video
from echosyn.data.records import Record, Tracing
from echosyn.data.splits import Split
from echosyn.errors import DataError


def film(num_frames: int = 8, seed: int = 0) -> video.Frames:
    return np.random.default_rng(seed).integers(0, 256, (num_frames, 16, 16), dtype=np.uint8)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    (tmp_path / filelist.VIDEOS).mkdir()
    splits: list[Split] = ["TRAIN", "TRAIN", "VAL", "TEST"]
    records = [Record(f"v{i}", 50.0 + i, None, None, 16, 16, 25.0, 8, split) for i, split in enumerate(splits)]
    filelist.write(tmp_path, records)
    for i, record in enumerate(records):
        video.write_avi(tmp_path / filelist.VIDEOS / f"{record.name}.avi", film(seed=i), 25)
    filelist.write_tracings(tmp_path, [Tracing("v0.avi", 1, 2, 3, 4, 7)])
    return tmp_path


def test_a_good_dataset_is_ok_and_summarized(dataset: Path) -> None:
    seen: list[tuple[int, int]] = []
    report = checking.check(dataset, progress=lambda what, done, total: seen.append((done, total)))
    assert report.ok
    assert not report.problems
    assert not report.notes
    summary = report.summary
    assert (summary.videos, summary.frames, summary.splits) == (4, 32, {"TRAIN": 2, "VAL": 1, "TEST": 1})
    assert (summary.ef_range, summary.fps_range, summary.folds) == ((50.0, 53.0), (25.0, 25.0), {})
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert report.table().splitlines()[0] == f"{dataset}: 4 videos, 32 frames (TRAIN 2, VAL 1, TEST 1)"
    assert report.table().endswith("\nok")


def test_every_kind_of_damage_is_counted(dataset: Path) -> None:
    videos = dataset / filelist.VIDEOS
    rows = (dataset / filelist.FILE_LIST).read_text().splitlines()
    rows += [
        "missing,50,,,,,,,TRAIN",
        "text,50,,,,,,,TRAIN",
        "cut,50,,,,,,,TRAIN",
        "zero,50,,,,,,,TRAIN",
        "odd,50,,,112,112,50,100,TRAIN",
        "ef,150,,,,,,,TRAIN",
        "split,50,,,,,,,DEV",
        "V0,50,,,,,,,TRAIN",
    ]
    (dataset / filelist.FILE_LIST).write_text("\n".join(rows) + "\n")
    good = (videos / "v0.avi").read_bytes()
    for seed, name in enumerate(("odd", "ef", "split", "unlisted"), start=10):
        video.write_avi(videos / f"{name}.avi", film(seed=seed), 25)
    (videos / "text.avi").write_text("hello")
    (videos / "cut.avi").write_bytes(good[: good.index(b"movi") + 3000])
    (videos / "zero.avi").write_bytes(good[: good.index(b"movi") + 4])
    chords = [("v0.avi", 7), ("v1.avi", 8), ("stranger.avi", 0)]
    filelist.write_tracings(dataset, [Tracing(name, 1, 2, 3, 4, frame) for name, frame in chords])

    report = checking.check(dataset)
    assert not report.ok
    assert {(p.line, p.name, p.reason) for p in report.problems} == {
        (6, "missing", "missing file"),
        (7, "text", "unreadable"),
        (8, "cut", "truncated"),
        (9, "zero", "zero frames"),
        (10, "odd", "size differs"),
        (10, "odd", "fps differs"),
        (10, "odd", "frame count differs"),
        (11, "ef", "EF out of range"),
        (12, "split", "bad split"),
        (13, "V0", "duplicate name"),
        (3, "v1.avi", "tracing beyond the last frame"),
        (None, "stranger.avi", "tracing of an unknown video"),
    }
    assert set(report.counts.values()) == {1}
    assert [note.name for note in report.notes] == ["unlisted.avi"]
    assert (report.summary.videos, report.summary.frames) == (5, 40)
    text = report.table()
    assert "  line 8: cut: truncated: header says 8 frames, " in text
    assert "1 x truncated" in text
    assert text.endswith("not ok")
    as_json = json.loads(json.dumps(report.to_json()))
    assert as_json["ok"] is False
    assert len(as_json["problems"]) == 12


def test_folds_are_shown(dataset: Path) -> None:
    records = filelist.read(dataset)
    filelist.write(dataset, records)
    path = dataset / filelist.FILE_LIST
    path.write_text(path.read_text().replace("TRAIN", "0").replace("VAL", "8").replace("TEST", "9"))
    report = checking.check(dataset)
    assert report.ok
    assert report.summary.folds == {"0": "TRAIN", "8": "VAL", "9": "TEST"}
    assert "folds: 0 = TRAIN, 8 = VAL, 9 = TEST" in report.table()


def test_unknown_numbers_and_rounded_rates_are_no_problem(dataset: Path) -> None:
    records = filelist.read(dataset)
    filelist.write(dataset, [replace(records[0], fps=25.1, height=None, width=None, num_frames=None), *records[1:]])
    assert checking.check(dataset).ok


def test_broken_and_foreign_tracings(dataset: Path) -> None:
    path = dataset / filelist.TRACINGS
    path.write_text("FileName,X1,Y1,X2,Y2,Frame\nv0.avi,a,b,c,d,e\n")
    assert checking.check(dataset).counts == {"bad tracing": 1}
    path.write_text("FileName,X,Y,Frame\nv0.avi,1,2,3\n")
    report = checking.check(dataset)
    assert report.ok
    assert [note.reason for note in report.notes] == ["bad tracing"]


def test_no_dataset_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        checking.check(tmp_path)
    filelist.write(tmp_path, [Record("a")])
    with pytest.raises(DataError, match="no such folder"):
        checking.check(tmp_path)


def test_checking_a_folder_needs_no_torch() -> None:
    code = "import sys, echosyn.data.checking; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_check_sees_what_an_import_sees(dataset: Path) -> None:
    path = dataset / filelist.FILE_LIST
    path.write_text("FileName,EF,Split\nv0,55,VAL\nv1,0.61,VAL\nv2,>70,VAL\n3,nan,VAL\nx,50,VAL\n")
    (dataset / "Videos" / "v3.avi").rename(dataset / "Videos" / "0003.avi")
    for name in ("x.flv", "y.mpeg9", "._v0.avi"):
        (dataset / "Videos" / name).touch()
    report = checking.check(dataset)
    assert {(p.line, p.name, p.reason) for p in report.problems} == {
        (3, "v1", "EF out of range"),
        (4, "v2", "EF out of range"),
        (5, "3", "missing file"),
        (6, "x", "missing file"),
    }
    said = {p.name: p.detail for p in report.problems}
    assert "a bound" in said["v2"]
    assert "a fraction of one? write 61" in said["v1"]
    assert "0003.avi has no row and is what a spreadsheet turns into 3" in said["3"]
    assert "x.flv is there" in said["x"]
    notes = {(note.name, note.reason) for note in report.notes}
    assert {("1 .flv file(s)", "left out by an import"), ("1 .mpeg9 file(s)", "left out by an import")} < notes


def test_a_column_of_fractions_is_one_problem(dataset: Path) -> None:
    (dataset / filelist.FILE_LIST).write_text("FileName,EF,Split\nv0,0.55,VAL\nv1,1.0,VAL\nv2,,VAL\nv3,0.4,VAL\n")
    report = checking.check(dataset)
    assert report.counts == {"EF as a fraction": 1}
    assert "multiply the column by 100" in report.problems[0].detail
