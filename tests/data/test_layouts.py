"""Other layouts become records with unique names, and no patient is in two splits."""

from pathlib import Path

import pytest

from echosyn.data import filelist, layouts
from echosyn.data.records import Record, Tracing
from echosyn.data.splits import SPLITS
from echosyn.errors import DataError


def files(folder: Path, *names: str) -> Path:
    """Empty files: a layout looks at names only."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def table(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


# A plain folder


def test_a_folder_without_labels(tmp_path: Path) -> None:
    src = files(tmp_path, "b.AVI", "a.mp4", "sub/c.gif", "notes.txt", "._a.mp4")
    layout = layouts.folder(src)
    assert [(record.name, path.name) for record, path in layout.items] == [
        ("a", "a.mp4"),
        ("b", "b.AVI"),
        ("c", "c.gif"),
    ]
    assert all(record.ef is None for record, _ in layout.items)
    assert {record.split for record, _ in layout.items} == set(SPLITS)
    assert any("EF is unknown" in note for note in layout.notes)
    assert any("its own patient" in note for note in layout.notes)


def test_equal_names_in_different_folders_do_not_collide(tmp_path: Path) -> None:
    src = files(tmp_path, "x.avi", "1/x.avi", "2/X.avi", "2/x.mp4", "2/y.avi", "1_x.avi", " z.avi.mp4")
    names = [record.name for record, _ in layouts.folder(src).items]
    assert len({name.casefold() for name in names}) == len(names)
    assert names == [record.name for record, _ in layouts.folder(src).items]
    by_path = {path.relative_to(src).as_posix(): record.name for record, path in layouts.folder(src).items}
    assert by_path["2/y.avi"] == "y"
    assert by_path["2/x.mp4"] == "2_x_mp4"
    filelist.write(tmp_path, [Record(name) for name in names])
    assert [record.name for record in filelist.read(tmp_path)] == names


def test_labels_fit_by_path_by_name_and_without_extension(tmp_path: Path) -> None:
    src = files(tmp_path / "src", "a.avi", "b.avi", "one/c.avi", "two/c.avi", "d.avi")
    labels = table(
        tmp_path / "labels.csv",
        "filename,EF,Split,Device",
        "a,10,,GE",
        "B.avi,20,,",
        "one/c.avi,30,TEST,",
        "two\\c,40,9,",
        "ghost,50,,",
    )
    layout = layouts.folder(src, labels)
    found = {path.relative_to(src).as_posix(): record for record, path in layout.items}
    assert {name: record.ef for name, record in found.items()} == {
        "a.avi": 10,
        "b.avi": 20,
        "one/c.avi": 30,
        "two/c.avi": 40,
        "d.avi": None,
    }
    assert found["a.avi"].extra == {"Device": "GE"}
    assert found["one/c.avi"].split == found["two/c.avi"].split == "TEST"
    assert "1 label row(s) without a video: ghost" in layout.notes
    assert "1 video(s) without a label: d.avi" in layout.notes


def test_videos_of_one_patient_stay_together(tmp_path: Path) -> None:
    src = files(tmp_path / "src", *(f"v{i}.avi" for i in range(12)))
    rows = [f"v{i},p{i % 4}," for i in range(11)]
    labels = table(tmp_path / "labels.csv", "FileName,PatientId,Split", *rows, "v11,p3,VAL")
    layout = layouts.folder(src, labels)
    splits: dict[str, set[str]] = {}
    for record, _ in layout.items:
        splits.setdefault(record.extra["PatientId"], set()).add(record.split)
    assert {len(split) for split in splits.values()} == {1}
    assert splits["p3"] == {"VAL"}
    assert set().union(*splits.values()) == set(SPLITS)
    assert not any("its own patient" in note for note in layout.notes)


def test_wrong_labels_are_told_at_once(tmp_path: Path) -> None:
    src = files(tmp_path / "src", "a.avi", "b.avi", "one/c.avi", "two/c.avi")
    labels = table(
        tmp_path / "labels.csv",
        "FileName,EF,Patient,Split",
        "a,101,p,TRAIN",
        "A.avi,50,,",
        "c,50,,",
        "b,50,p,TEST",
    )
    layout = layouts.folder(src, labels)
    assert [entry.message for entry in layout.bad] == [
        f"{labels}: line 2: EF is 101, expected a percentage in 0..100",
        f"{labels}: line 3: FileName 'A.avi' is listed twice; keep one of them",
        f"{labels}: line 4: FileName 'c' fits 2 files; expected the path below {src}",
        f"{labels}: line 5: patient 'p' is in TRAIN and in TEST, expected one split",
    ]
    assert {entry.reason for entry in layout.bad} == {"bad row"}
    assert not layout.items, "videos of wrong rows are left out whole, not imported without what the row says"
    with pytest.raises(DataError, match="no row fits a video"):
        layouts.folder(src, table(tmp_path / "labels.csv", "FileName,EF", "nobody,50"))
    with pytest.raises(DataError, match="no such file"):
        layouts.folder(src, tmp_path / "absent.csv")


def test_a_folder_without_videos(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no videos below it"):
        layouts.folder(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        layouts.folder(tmp_path / "absent")


def left_out(layout: layouts.Layout) -> dict[tuple[str, str], int]:
    return {(row.what, row.why.partition(":")[0]): row.count for row in layout.left_out}


def test_files_of_every_other_kind_are_counted(tmp_path: Path) -> None:
    src = files(tmp_path, "a.avi", "b.mpeg9", "sub/c.flv", "d.flv", "e", "f.zip", "notes.txt", "n_ED.nii.gz", "p.png")
    files(src, "._a.avi", ".DS_Store", "Thumbs.db", "__MACOSX/a.xyz")
    (src / "IM0001").write_bytes(b"\0" * 128 + b"DICM")
    (src / "gone.avi").symlink_to(src / "nowhere")
    table(src / "labels.csv", "FileName,EF", "a,50")
    layout = layouts.folder(src, src / "labels.csv")
    assert [path.name for _, path in layout.items] == ["a.avi"]
    assert left_out(layout) == {
        (".mpeg9 file", "not known as a video"): 1,
        (".flv file", "a video in a container that is not read"): 2,
        ("file without extension", "not known to be a video"): 1,
        ("file without extension", "DICOM"): 1,
        (".zip file", "an archive or compressed"): 1,
        (".txt file", "a table or text"): 1,
        (".nii.gz file", "an array, no video"): 1,
        (".png file", "a still picture"): 1,
        ("system file", "hidden, or written by the operating system"): 4,
        ("broken link", "what it points to is not there"): 1,
    }
    everything = [path for path in src.rglob("*") if not path.is_dir()]
    assert sum(left_out(layout).values()) + len(layout.items) + 1 == len(everything)


def test_a_folder_without_videos_says_what_is_there(tmp_path: Path) -> None:
    files(tmp_path, "a/IM.dcm", "a/IN.dcm", "b.xyz")
    with pytest.raises(
        DataError, match=r"no videos below it.*\n  2 \.dcm file\(s\): DICOM: import it with --from dicom"
    ):
        layouts.folder(tmp_path)


def test_names_that_a_spreadsheet_changed_are_matched_only_if_nothing_else_fits(tmp_path: Path) -> None:
    src = files(tmp_path / "src", "0012.avi", "7.avi", "007.avi", "1E5.avi", "3-1.avi", "8.avi")
    labels = table(tmp_path / "l.csv", "FileName,EF", "12,50", "7.0,51", "100000,52", "1-Mar,53", "8,54")
    layout = layouts.folder(src, labels)
    assert {record.name: record.ef for record, _ in layout.items if record.ef} == {"0012": 50, "1E5": 52, "8": 54}
    assert "3 label row(s)" not in " ".join(layout.notes)
    assert "2 label row(s) without a video: 7.0, 1-Mar" in layout.notes
    assert any(
        note.startswith("2 name(s) were changed by a spreadsheet: 12 is 0012.avi, 100000 is") for note in layout.notes
    )


# Dataset folders


def test_changed_names_in_a_file_list(tmp_path: Path) -> None:
    files(tmp_path, "Videos/0012.avi", "Videos/MAR1.avi", "Videos/123456789012.avi", "Videos/x.flv")
    table(tmp_path / filelist.FILE_LIST, "FileName,Split", "12,VAL", "1-Mar,VAL", "1.23457E+11,VAL", "x,VAL")
    filelist.write_tracings(tmp_path, [Tracing("12.avi", 1, 2, 3, 4, 0), Tracing("0012.avi", 1, 2, 3, 4, 1)])
    layout = layouts.dynamic(tmp_path)
    assert [(record.name, path.name) for record, path in layout.items] == [("0012", "0012.avi")]
    assert {tracing.name for tracing in layout.tracings} == {"0012.avi"}
    assert "12 is 0012" in layout.notes[0]
    said = {entry.name: entry.message for entry in layout.bad}
    assert "MAR1.avi has no row and is what a spreadsheet turns into 1-Mar" in said["1-Mar"]
    assert "123456789012.avi has no row" in said["1.23457E+11"]
    assert "x.flv is there, which is not read as a video" in said["x"]


def test_what_a_file_list_does_not_name_is_counted(tmp_path: Path) -> None:
    files(tmp_path, "Videos/a.avi", "Videos/a.mp4", "Videos/b.avi", "Videos/c.avi", "Videos/d.vob", "extra.avi", "r.md")
    table(tmp_path / filelist.FILE_LIST, "FileName,EF,Split", "a,50,VAL", "c,50,EXTRA", "d,50,TEST", "e,-1,VAL")
    layout = layouts.dynamic(tmp_path)
    assert left_out(layout) == {
        ("row", "marked EXTRA"): 1,
        ("video", "not in FileList.csv"): 1,
        ("video", "another file of the same name is taken"): 1,
        (".vob file", "a video in a container that is not read"): 1,
        (".avi file", "a video where none is looked for"): 1,
        (".md file", "a table or text"): 1,
    }
    assert [(entry.name, entry.reason) for entry in layout.bad] == [("d", "missing file"), ("e", "bad row")]


def test_dynamic_brings_records_videos_and_tracings(tmp_path: Path) -> None:
    files(tmp_path, "Videos/a.avi", "Videos/b.AVI")
    filelist.write(tmp_path, [Record("a", ef=50.0), Record("b", split="VAL"), Record("gone")])
    filelist.write_tracings(tmp_path, [Tracing("a.avi", 1, 2, 3, 4, 5)])
    layout = layouts.dynamic(tmp_path)
    assert [path.name for _, path in layout.items] == ["a.avi", "b.AVI"]
    assert [record.name for record, _ in layout.items] == ["a", "b"]
    assert [(entry.name, entry.reason) for entry in layout.bad] == [("gone", "missing file")]
    assert len(layout.tracings) == 1
    assert not layout.folds
    assert not layout.notes


def test_pediatric_folds_and_outlines(tmp_path: Path) -> None:
    view = files(tmp_path / "A4C", "Videos/a.avi", "Videos/b.avi")
    table(view / filelist.FILE_LIST, "FileName,EF,Split", "a.avi,60,3", "b.avi,61,9")
    table(view / filelist.TRACINGS, "FileName,X,Y,Frame", "a.avi,1,2,3")
    layout = layouts.pediatric(view)
    assert layouts.UNKNOWN_PATIENTS in layout.notes
    assert [(record.name, record.split) for record, _ in layout.items] == [("a", "TRAIN"), ("b", "TEST")]
    assert layout.folds == {"3": "TRAIN", "9": "TEST"}
    assert not layout.tracings
    assert "no chords" in layout.notes[0]
    with pytest.raises(DataError, match=r"holds 1 view.*A4C"):
        layouts.pediatric(tmp_path)
