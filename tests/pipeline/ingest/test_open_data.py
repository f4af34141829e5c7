"""Published data sets become EchoNet-layout datasets with one command; what is wrong with a copy is said in a line."""

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from echosyn import extras
from echosyn.data import checking, filelist, lineage, outlines, video
from echosyn.errors import ConfigError, DataError, MissingExtraError
from echosyn.hashing import folder_hash
from echosyn.pipeline.folder import read_provenance
from echosyn.pipeline.publish.audit_gate import WITHOUT
from echosyn.pipeline.publish.publish import publish
from echosyn.settings.sharing import PublishSettings
from importing import ingest
from open_data import Heart, camus, patient, write_cfg, write_nifti

SPLITS: Mapping[str, Any] = {"training": [1], "validation": [2], "testing": [3]}
SESSION = "2022-07-27_14-06-42"


def ev9v(src: Path, lists: Mapping[str, str] | None = None, *, fps: float = 30.0) -> Path:
    """EV9V as published; lists by name."""
    lists = lists or {
        "train": f"{SESSION}_320x240_2 PMPALA\n{SESSION}_320x240_9 A4C\n",
        "validation": "2022-05-02_15-02-49_003_320x240_4 A4C\n",
        "test": "2022-04-28_08-03-07-seg2_320x240_8 A5C\n\n",
    }
    rng = np.random.default_rng(0)
    (src / "Videos").mkdir(parents=True)
    for name, text in lists.items():
        (src / f"{name}_labeled.txt").write_text(text)
        for line in filter(None, text.splitlines()):
            frames = rng.integers(0, 255, (9, 24, 32), dtype=np.uint8)
            video.write_mp4(src / "Videos" / f"{line.split()[0]}.mp4", frames, fps)
    (src / "Images" / SESSION).mkdir(parents=True)
    (src / "Images" / SESSION / "frame_000001.jpg").touch()
    return src


# CAMUS


def test_camus_becomes_a_dataset_with_labels_outlines_and_the_published_splits(tmp_path: Path) -> None:
    src, out = camus(tmp_path / "CAMUS_public", splits=SPLITS), tmp_path / "out"
    before = folder_hash(src)
    summary = ingest(src, out, source="camus")
    assert folder_hash(src) == before
    report = checking.check(out)
    assert report.ok, report.table()
    records = {record.name: record for record in filelist.read(out)}
    assert list(records) == [f"patient{i:04}_{view}" for i in (1, 2, 3) for view in ("2CH", "4CH")]
    first = records["patient0001_4CH"]
    assert (first.ef, first.fps, first.num_frames, first.height, first.width) == (57, 53.3, 10, 112, 112)
    assert {name: first.extra[name] for name in ("PatientId", "View", "Sex", "Age", "ImageQuality", "Sequence")} == {
        "PatientId": "patient0001",
        "View": "A4C",
        "Sex": "F",
        "Age": "56",
        "ImageQuality": "Good",
        "Sequence": "half",
    }
    assert {r.patient: r.split for r in records.values()} == {
        "patient0001": "TRAIN",
        "patient0002": "VAL",
        "patient0003": "TEST",
    }
    assert any("half a beat" in note for note in summary["notes"])
    assert not any("were stretched" in note for note in summary["notes"])
    assert not any("drawn" in note for note in summary["notes"])
    assert {(row["what"], row["count"]) for row in summary["left_out"]} == {("still or mask", 24)}


def test_outlines_lie_on_the_cavity_and_shrink(tmp_path: Path) -> None:
    """Drawn into the imported frames, the outline encloses the dark cavity: same area, and dark inside."""
    src = tmp_path / "src"
    patient(src / "database_nifti" / "patient0001", Heart(tilt=0.3), views=["4CH"])
    ingest(src, tmp_path / "out", source="camus", mask="none")
    traced = outlines.by_frame(tmp_path / "out")["patient0001_4CH"]
    assert sorted(traced) == [0, 9]
    frames = video.read(tmp_path / "out" / "Videos" / "patient0001_4CH.avi").frames.astype(float)
    areas = []
    for frame, rows in traced.items():
        assert len(rows) == 21
        inside = outlines.mask(rows, (112, 112)).astype(bool)
        ring = outlines.mask(rows, (112, 112))
        ring = np.pad(ring, 4)[8:, 4:-4].astype(bool) | np.pad(ring, 4)[4:-4, 8:].astype(bool)
        assert frames[frame][inside].mean() < 90 < frames[frame][ring & ~inside].mean()
        areas.append(inside.sum())
    assert areas[1] / areas[0] == pytest.approx(0.7**2, abs=0.05)
    side = 72 * 1.7 / 112  # mm of a pixel: the picture is 122 mm wide and 125 mm high
    assert areas[0] * (side * 96 * 1.3 / (72 * 1.7)) ** 2 == pytest.approx(np.pi / 4 * 80 * 44, rel=0.05)


def test_the_folder_inside_will_do_and_splits_are_drawn_by_patient(tmp_path: Path) -> None:
    src = camus(tmp_path / "src", patients=4)
    summary = ingest(src / "database_nifti", tmp_path / "out", source="camus", size=16)
    splits: dict[str, set[str]] = {}
    for record in filelist.read(tmp_path / "out"):
        splits.setdefault(record.patient, set()).add(record.split)
    assert len(splits) == 4
    assert all(len(split) == 1 for split in splits.values())
    assert any("4 patient(s) have no published list" in note for note in summary["notes"])


def test_files_of_the_operating_system_are_no_masks(tmp_path: Path) -> None:
    src = camus(tmp_path / "src", patients=1)
    inside = src / "database_nifti" / "patient0001"
    (inside / "._patient0001_2CH_ED.nii.gz").write_bytes(b"resource fork")
    (inside / "notes.pdf").write_bytes(b"")
    summary = ingest(src, tmp_path / "out", source="camus", size=16)
    assert {row["what"]: row["count"] for row in summary["left_out"]} == {
        "still or mask": 8,
        "system file": 1,
        ".pdf file": 1,
    }


def test_one_view_can_be_chosen(tmp_path: Path) -> None:
    src = camus(tmp_path / "src", patients=1)
    summary = ingest(src, tmp_path / "out", source="camus", view="a4c", size=16)
    assert [record.name for record in filelist.read(tmp_path / "out")] == ["patient0001_4CH"]
    assert set(outlines.by_frame(tmp_path / "out")) == {"patient0001_4CH"}
    assert {"what": "video", "why": "not of --view a4c", "count": 1, "examples": ["patient0001_2CH"]} in summary[
        "left_out"
    ]
    with pytest.raises(DataError, match=r"no video of --view PSAX; column View is A2C \(1\), A4C \(1\)"):
        ingest(src, tmp_path / "none", source="camus", view="PSAX")


def test_unpacked_files_and_a_rate_that_is_given(tmp_path: Path) -> None:
    folder = patient(tmp_path / "src" / "patient0001", views=["4CH"])
    write_cfg(folder / "Info_4CH.cfg", FrameRate=None, EF="")
    for path in folder.glob("*.nii.gz"):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    with pytest.raises(DataError, match=r"no frame rate.*give it: --fps NUMBER"):
        ingest(tmp_path / "src", tmp_path / "out", source="camus", size=16)
    ingest(tmp_path / "src", tmp_path / "out", source="camus", size=16, fps=40)
    (record,) = filelist.read(tmp_path / "out")
    assert (record.fps, record.ef) == (40, None)


def test_what_is_wrong_with_a_copy_is_said_at_once(tmp_path: Path) -> None:
    src = camus(tmp_path / "src", patients=5, splits=SPLITS)
    nifti = src / "database_nifti"
    (nifti / "patient0001" / "Info_4CH.cfg").unlink()
    (nifti / "patient0002" / "patient0002_2CH_half_sequence.nii.gz").unlink()
    (nifti / "patient0003" / "patient0003_4CH_half_sequence.nii.gz").write_bytes(b"?")
    for path in (nifti / "patient0004").iterdir():
        path.unlink()
    (nifti / "patient0005" / "patient0005_2CH_ED_gt.nii.gz").unlink()
    write_nifti(nifti / "patient0005" / "patient0005_2CH_ES_gt.nii.gz", np.ones((4, 4), np.uint8), (1, 1))
    with pytest.raises(DataError) as refusal:
        ingest(src, tmp_path / "out", source="camus", size=16)
    said = str(refusal.value)
    assert "4 bad video(s): 3 missing file, 1 unreadable; fix them, or leave them out with --skip-bad" in said
    for words in (
        "Info_4CH.cfg: missing file",
        "patient0002_2CH_half_sequence.nii.gz: missing file",
        "patient0004_4CH",
    ):
        assert words in said
    assert not (tmp_path / "out").exists()
    summary = ingest(src, tmp_path / "out", source="camus", size=16, skip_bad=True)
    assert summary["videos"] == 5
    assert summary["skipped"] == {"missing file": 3, "unreadable": 1}
    lost = {row["why"]: row["count"] for row in summary["left_out"] if row["what"] == "outline"}
    assert lost["missing file"] == 1
    assert lost["its picture is of another size than the half sequence's"] == 1


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"EF": "155"}, "EF is 155, expected a percentage in 0..100"),
        ({"EF": "0.57"}, "EF is 0.57, expected a percentage that a living heart has: a fraction of one? write 57"),
        ({"ED": "0"}, "ED is 0, expected a frame, counted from 1"),
        ({"FrameRate": "fast"}, "FrameRate is 'fast', expected frames per second above 0"),
    ],
)
def test_wrong_settings_of_a_patient_name_their_file(tmp_path: Path, changed: dict[str, str], words: str) -> None:
    folder = patient(tmp_path / "src" / "patient0001", views=["4CH"])
    write_cfg(folder / "Info_4CH.cfg", **changed)
    with pytest.raises(DataError) as refusal:
        ingest(tmp_path / "src", tmp_path / "out", source="camus", size=16)
    assert f"{folder / 'Info_4CH.cfg'}: {words}" in str(refusal.value)


def test_other_folders_are_refused_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="pass the folder that holds database_nifti"):
        ingest(tmp_path / "empty", tmp_path / "out", source="camus")
    with pytest.raises(DataError, match="no such folder"):
        ingest(tmp_path / "absent", tmp_path / "out", source="camus")
    old = tmp_path / "training" / "patient0001"
    old.mkdir(parents=True)
    (old / "patient0001_4CH_sequence.mhd").touch()
    with pytest.raises(DataError, match=r"older form \(\.mhd\).*fetch the folder database_nifti"):
        ingest(old.parent, tmp_path / "out", source="camus")
    src = camus(tmp_path / "src", patients=1, splits={"training": [1], "testing": [1]})
    with pytest.raises(DataError, match="patient0001 is in TRAIN and TEST, expected one"):
        ingest(src, tmp_path / "out", source="camus")
    with pytest.raises(ConfigError, match="--crop has no effect with --from camus"):
        ingest(src, tmp_path / "out", source="camus", crop=(0, 0, 9, 9))


def test_without_nibabel_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    src = camus(tmp_path / "src", patients=1)
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(MissingExtraError, match=r"echosyn\[camus\]"):
        ingest(src, tmp_path / "out", source="camus")
    assert extras.require("json", extra="none")


# EV9V


def test_ev9v_becomes_a_dataset_of_sessions(tmp_path: Path) -> None:
    src = ev9v(tmp_path / "src")
    summary = ingest(src, tmp_path / "out", source="ev9v", size=16)
    records = {record.name: record for record in filelist.read(tmp_path / "out")}
    assert {name: (r.split, r.extra["View"], r.patient) for name, r in records.items()} == {
        f"{SESSION}_320x240_2": ("TRAIN", "PMPALA", SESSION),
        f"{SESSION}_320x240_9": ("TRAIN", "A4C", SESSION),
        "2022-05-02_15-02-49_003_320x240_4": ("VAL", "A4C", "2022-05-02_15-02-49"),
        "2022-04-28_08-03-07-seg2_320x240_8": ("TEST", "A5C", "2022-04-28_08-03-07"),
    }
    assert {r.ef for r in records.values()} == {None}
    assert any("EF is unknown" in note for note in summary["notes"])
    assert any("kept as one patient: 3 for 4 video(s)" in note for note in summary["notes"])
    assert [row["what"] for row in summary["left_out"]] == ["folder"]
    one = ingest(src, tmp_path / "a4c", source="ev9v", view="A4C", size=16)
    assert one["videos"] == 2


def test_a_session_in_two_lists_is_trained_on(tmp_path: Path) -> None:
    src = ev9v(
        tmp_path / "src", {"train": f"{SESSION}_320x240_2 A4C\n", "test": f"{SESSION}_320x240_9 A4C\nodd_1 A4C\n"}
    )
    summary = ingest(src, tmp_path / "out", source="ev9v", size=16)
    assert [record.split for record in filelist.read(tmp_path / "out")] == ["TRAIN", "TRAIN", "TEST"]
    assert any("split of 1 video(s) changed" in note for note in summary["notes"])
    assert "no validation_labeled.txt: its videos are left out" in summary["notes"]


def test_what_is_wrong_with_a_copy_of_ev9v(tmp_path: Path) -> None:
    src = ev9v(tmp_path / "src")
    with (src / "train_labeled.txt").open("a") as file:
        file.write(f"gone A4C\nthree words here\n{SESSION}_320x240_2 A4C\n")
    (src / "Videos" / "unlisted.mp4").write_bytes((src / "Videos" / f"{SESSION}_320x240_2.mp4").read_bytes())
    with pytest.raises(DataError) as refusal:
        ingest(src, tmp_path / "out", source="ev9v", size=16)
    for words in ("line 4: 'three words here', expected a name and a view", "line 5: ", "is listed twice"):
        assert words in str(refusal.value)
    summary = ingest(src, tmp_path / "out", source="ev9v", size=16, skip_bad=True)
    assert summary["skipped"] == {"bad row": 2, "missing file": 1}
    assert {"what": "video", "why": "in none of the lists", "count": 1, "examples": ["unlisted.mp4"]} in summary[
        "left_out"
    ]
    shutil.rmtree(src / "Videos")
    with pytest.raises(DataError, match=r"unpack Videos\.tar in"):
        ingest(src, tmp_path / "none", source="ev9v")
    with pytest.raises(DataError, match="pass the folder that holds these lists"):
        ingest(src / "Images", tmp_path / "none", source="ev9v")


# Both


@pytest.mark.slow
def test_the_command_line_makes_it(tmp_path: Path) -> None:
    src = camus(tmp_path / "src", patients=1, splits={"training": [1]})
    command = [sys.executable, "-m", "echosyn", "import", str(src), str(tmp_path / "out"), "--from", "camus", "--json"]
    done = subprocess.run([*command, "--view", "A4C"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["videos"] == 1
    assert read_provenance(tmp_path / "out")["call"]["settings"]["view"] == "A4C"


def test_open_data_show_patients_and_are_never_published(tmp_path: Path) -> None:
    ingest(camus(tmp_path / "camus", patients=1), tmp_path / "one", source="camus", size=16)
    ingest(ev9v(tmp_path / "ev9v"), tmp_path / "two", source="ev9v", size=16)
    for dataset in (tmp_path / "one", tmp_path / "two"):
        assert lineage.steps(dataset) is None
        with pytest.raises(DataError, match="may show patients"):
            publish(dataset, tmp_path / "release", PublishSettings(licence="cc-by-4.0", without_audit=WITHOUT))
