"""Every layout is read as promised or refused with the promised words; nothing is lost without a word."""

import re
from pathlib import Path

import numpy as np
import pytest

from echosyn.data import checking, filelist, video
from echosyn.errors import DataError
from echosyn.pipeline.folder import read_provenance
from echosyn.settings.data import Source
from importing import ingest
from zoo.case import Case
from zoo.layouts import CAMUS, CASES, DYNAMIC, EV9V, FOLDER, PEDIATRIC, SIZE, lvh

SOURCES: dict[str, Source] = {
    DYNAMIC: "dynamic",
    PEDIATRIC: "pediatric",
    CAMUS: "camus",
    EV9V: "ev9v",
    FOLDER: "folder",
}
SAID = {
    "corrected": ["NumberOfFrames in the source was wrong for 3 video(s): corrected"],
    "tracing rows left out": ["2 tracing row(s) left out: beyond the last frame", "2 tracing row"],
    "matched": ["12 is 0012"],
    "workbooks": ["2 .xlsx file", "1 .mat file"],
    "each kind": ["1 video", "1 .vob file", "1 .zip file", "1 file without extension", "2 system file"],
}
"""What a promise makes the import say."""


def everything(src: Path) -> set[Path]:
    return {path for path in src.rglob("*") if path.is_file()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.group.split()[0]} {case.name}")
def test_the_promise_is_kept(case: Case, tmp_path: Path) -> None:
    src = case.make(tmp_path)
    before = {path: path.read_bytes() for path in everything(src)}
    out = tmp_path / "out"
    if case.refused is not None:
        with pytest.raises(DataError) as refusal:
            ingest(src, out, source=SOURCES[case.group], size=SIZE)
        assert case.refused in str(refusal.value)
        assert str(src) in str(refusal.value)
        assert not list(tmp_path.glob("out*"))
        return
    assert case.read is not None
    summary = ingest(src, out, source=SOURCES[case.group], size=SIZE)
    assert {path: path.read_bytes() for path in everything(src)} == before
    report = checking.check(out)
    assert report.ok, report.table()
    records = filelist.read(out)
    if case.group == CAMUS:  # more in tests/pipeline/ingest/test_open_data.py
        assert len(records) == 4
        assert len(filelist.read_tracings(out)) == 4 * 2 * 21
        return
    for record in records:
        found = video.read(filelist.video_path(out, record)).frames
        source = next(p for p in src.rglob("*") if p.name.lower() == f"{record.name.lower()}.avi")
        assert np.abs(found.astype(int) - video.read(source).frames).max() <= 8
        assert record.num_frames == len(found) == 4
    known = {src / name for name in (filelist.FILE_LIST, filelist.TRACINGS)} | set(src.glob("*_labeled.txt"))
    files = sum(row["count"] for row in summary["left_out"] if not re.search("row|Tracings", row["what"]))
    assert len(records) + files == len(set(before) - known), "every file is a video, a list, or counted as left out"
    assert read_provenance(out)["left_out"] == summary["left_out"]
    said = " ".join([*summary["notes"], *(f"{row['count']} {row['what']}" for row in summary["left_out"])])
    for promise, words in SAID.items():
        assert promise not in case.read or all(word in said for word in words)
    if "EF is empty" in case.read:
        assert sum(record.ef is None for record in records) == (len(records) if case.group == EV9V else 1)
    elif case.group != FOLDER:
        assert all(record.ef is not None and record.ef > 1 for record in records)
    if case.group == PEDIATRIC:
        assert [record.cell("Fold") for record in records] == list("0123456789")


@pytest.mark.parametrize("case", [c for c in CASES if c.refused and "EF" in c.name], ids=lambda case: case.name)
def test_check_has_the_same_words(case: Case, tmp_path: Path) -> None:
    report = checking.check(case.make(tmp_path))
    assert not report.ok
    assert case.refused is not None
    assert case.refused in report.table()


def test_measurements_are_no_labels(tmp_path: Path) -> None:
    src = lvh(tmp_path)
    with pytest.raises(
        DataError, match=r"no column FileName; found HashedFileName, .*: rename the column that is meant"
    ):
        ingest(src, tmp_path / "out", source="folder", labels=src / "MeasurementsList.csv")


def test_skipping_leaves_out_videos_of_wrong_rows_and_says_so(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "EF >70")
    summary = ingest(case.make(tmp_path), tmp_path / "out", source="dynamic", size=SIZE, skip_bad=True)
    assert (summary["videos"], summary["skipped"]) == (2, {"bad row": 1})
    assert [(row["what"], row["why"], row["count"]) for row in summary["left_out"]] == [("video", "bad row", 1)]
