"""Importing: the result is a checked dataset, the source is untouched, a second try continues, bad videos are named."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from echosyn.data import checking, filelist, phantom, video
from echosyn.data.records import Record, Tracing
from echosyn.data.splits import Split
from echosyn.errors import ConfigError, DataError
from echosyn.hashing import folder_hash
from echosyn.pipeline.folder import read_provenance
from echosyn.pipeline.merge import merge
from echosyn.pipeline.workers.shards import Shard
from importing import ingest

CLIPS = Path(__file__).parents[4] / "shared" / "clips"


def ramp(num_frames: int = 6, height: int = 32, width: int = 32) -> video.Frames:
    """Brightness rises to the right, and a little with time."""
    x = np.linspace(0, 240, width, dtype=np.uint8)
    return np.stack([np.tile(x + 2 * t, (height, 1)) for t in range(num_frames)])


@pytest.fixture
def src(tmp_path: Path) -> Path:
    folder = tmp_path / "src"
    (folder / "more").mkdir(parents=True)
    video.write_mp4(folder / "a.mp4", ramp(), 46.7)
    video.write_avi(folder / "b.avi", ramp(5, 64, 64), 30000 / 1001)
    video.write_gif(folder / "c.gif", ramp(4), 25)
    video.write_avi(folder / "more" / "a.avi", np.stack([ramp(7)] * 3, axis=-1), 50)
    return folder


def pixels(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((out / filelist.VIDEOS).iterdir())}


def test_a_mixed_folder_becomes_a_dataset(src: Path, tmp_path: Path) -> None:
    before = folder_hash(src)
    seen: list[tuple[int, int]] = []
    out = tmp_path / "out"
    summary = ingest(src, out, source="folder", size=32, progress=lambda what, done, total: seen.append((done, total)))
    assert folder_hash(src) == before
    report = checking.check(out)
    assert report.ok, report.table()
    assert not report.notes
    records = {record.name: record for record in filelist.read(out)}
    assert {name: (r.num_frames, r.height, r.width, r.fps) for name, r in records.items()} == {
        "a": (6, 32, 32, 46.7),
        "b": (5, 32, 32, 30000 / 1001),
        "c": (4, 32, 32, 25.0),
        "more_a": (7, 32, 32, 50.0),
    }
    for record in records.values():
        found = video.read(filelist.video_path(out, record))
        assert found.fps == record.fps
        assert np.abs(found.frames[0].mean(axis=0) - np.linspace(0, 240, 32)).max() < 4
    assert (summary["videos"], summary["frames"], summary["skipped"]) == (4, 22, {})
    assert sum(summary["splits"].values()) == 4
    assert read_provenance(out)["frames"] == 22
    assert seen[-1] == (4, 4)


def test_pixels_of_the_right_size_are_kept_and_shrinking_averages(tmp_path: Path) -> None:
    folder = tmp_path / "src"
    folder.mkdir()
    checks = np.indices((1, 32, 32)).sum(axis=0).astype(np.uint8) % 2 * 200
    checks[:, :, 16:] = 0
    video.write_gif(folder / "a.gif", np.repeat(checks, 3, axis=0), 25)
    ingest(folder, tmp_path / "same", source="folder", size=32)
    ingest(folder, tmp_path / "half", source="folder", size=16)
    same = video.read(tmp_path / "same" / "Videos" / "a.avi").frames
    half = video.read(tmp_path / "half" / "Videos" / "a.avi").frames
    assert np.abs(same[0].astype(int) - checks[0]).max() <= 4
    assert np.abs(half[0, :, :8].astype(int) - 100).max() <= 1
    assert half[0, :, 8:].max() <= 1


def test_a_crop_cuts_the_right_part_and_enlarging_keeps_the_range(tmp_path: Path) -> None:
    folder = tmp_path / "src"
    folder.mkdir()
    frames = np.zeros((3, 48, 64), np.uint8)
    frames[:, 8:24, 40:56] = 200
    video.write_gif(folder / "a.gif", frames, 25)
    ingest(folder, tmp_path / "out", source="folder", crop=(40, 8, 16, 16), size=24)
    found = video.read(tmp_path / "out" / "Videos" / "a.avi").frames
    assert found.shape == (3, 24, 24)
    assert (found.min(), found.max()) == (200, 200)
    summary = ingest(folder, tmp_path / "whole", source="folder", size=24)
    assert any("1 video(s) were not square" in note for note in summary["notes"])


def test_marks_around_the_sector_go_unless_they_are_asked_for(tmp_path: Path) -> None:
    frames = hearts(1)[0]
    marked = frames.copy()
    marked[:, 2:6, 90:95] = 220
    (tmp_path / "src").mkdir()
    video.write_avi(tmp_path / "src" / "marked.avi", marked, 50)
    video.write_avi(tmp_path / "src" / "plain.avi", frames, 50)
    summary = ingest(tmp_path / "src", tmp_path / "out", source="folder")
    assert {r.name: r.extra["Mask"] for r in filelist.read(tmp_path / "out")} == {"marked": "sector", "plain": "clean"}
    assert [note for note in summary["notes"] if note.startswith("1 video(s) had marks around their sector")]
    assert video.read(tmp_path / "out" / "Videos" / "marked.avi").frames[:, 2:6, 90:95].max() < 8
    ingest(tmp_path / "src", tmp_path / "kept", source="folder", mask="none")
    assert video.read(tmp_path / "kept" / "Videos" / "marked.avi").frames[:, 2:6, 90:95].min() > 200
    assert "Mask" not in filelist.read(tmp_path / "kept")[0].extra


def test_labels_fill_the_list_and_the_container_is_right_about_rate_and_count(src: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("FileName,EF,FPS,NumberOfFrames,Split\na.mp4,61.5,50,99,VAL\nb,40,,,TRAIN\nghost,51,,,TEST\n")
    summary = ingest(src, tmp_path / "out", source="folder", labels=labels, size=32)
    records = {record.ef: record for record in filelist.read(tmp_path / "out")}
    assert (records[61.5].fps, records[61.5].num_frames, records[61.5].split) == (46.7, 6, "VAL")
    assert "FPS in the source was wrong for 1 video(s): corrected" in summary["notes"]
    assert "NumberOfFrames in the source was wrong for 1 video(s): corrected" in summary["notes"]
    assert "1 label row(s) without a video: ghost" in summary["notes"]
    assert "2 video(s) without a label: c.gif, more/a.avi" in summary["notes"]


def test_the_rate_can_be_overridden(src: Path, tmp_path: Path) -> None:
    ingest(src, tmp_path / "out", source="folder", fps=33.3, size=32)
    assert {record.fps for record in filelist.read(tmp_path / "out")} == {33.3}
    assert checking.check(tmp_path / "out").ok


@pytest.fixture
def dynamic(tmp_path: Path) -> Path:
    folder = tmp_path / "dynamic"
    (folder / filelist.VIDEOS).mkdir(parents=True)
    video.write_avi(folder / filelist.VIDEOS / "a.avi", ramp(6, 32, 32), 50)
    video.write_avi(folder / filelist.VIDEOS / "B.AVI", 255 - ramp(6, 32, 32), 50)
    filelist.write(folder, [Record("a", 55.0, 40.0, 90.0, split="TRAIN"), Record("b", split="TEST", extra={"x": "y"})])
    filelist.write_tracings(folder, [Tracing("a.avi", 4.0, 6.0, 11.25, 20.5, 3), Tracing("c.avi", 1, 1, 1, 1, 0)])
    return folder


def test_importing_what_is_right_already_changes_no_number(dynamic: Path, tmp_path: Path) -> None:
    summary = ingest(dynamic, tmp_path / "out", source="dynamic", size=32)
    again = ingest(tmp_path / "out", tmp_path / "again", source="dynamic", size=32)
    assert filelist.read(tmp_path / "again") == filelist.read(tmp_path / "out")
    assert filelist.read_tracings(tmp_path / "out") == filelist.read_tracings(dynamic)[:1]
    assert filelist.read(tmp_path / "out")[1] == Record(
        "b", height=32, width=32, fps=50.0, num_frames=6, split="TEST", extra={"x": "y", "Mask": "none"}
    )
    assert "1 tracing row(s) left out: their video is not imported" in summary["notes"]
    assert [note for note in again["notes"] if "show no sector" not in note] == []


def test_tracings_move_with_the_pixels(dynamic: Path, tmp_path: Path) -> None:
    """The centre of pixel (4, 6) of the source: cut at (2, 2), twice as large, it lies between pixels 4 and 5."""
    ingest(dynamic, tmp_path / "out", source="dynamic", crop=(2, 2, 20, 20), size=40)
    moved = filelist.read_tracings(tmp_path / "out")
    assert moved == [Tracing("a.avi", 4.5, 8.5, 19.0, 37.5, 3)]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_tracings_beyond_the_last_frame_and_wrong_rows_are_left_out_and_counted(
    dynamic: Path, tmp_path: Path, count: int
) -> None:
    """In one job and in parts alike; the imported folder has nothing to complain about."""
    text = (dynamic / filelist.FILE_LIST).read_text()
    (dynamic / filelist.FILE_LIST).write_text(text + "c,>70,,,,,,,TRAIN,\ngone,50,,,,,,,TRAIN,\n")
    (dynamic / "Videos" / "x.zip").touch()
    filelist.write_tracings(
        dynamic, [Tracing(f"{name}.avi", 1, 2, 3, 4, frame) for name, frame in zip("aabc", (5, 6, 9, 0), strict=True)]
    )
    how: dict[str, Any] = {"source": "dynamic", "skip_bad": True}
    summary = ingest(dynamic, tmp_path / "whole", size=32, **how)
    in_parts(dynamic, tmp_path / "merged", count, **how)
    assert content(tmp_path / "merged") == content(tmp_path / "whole")
    assert [(row["count"], row["what"], row["why"].partition(":")[0]) for row in summary["left_out"]] == [
        (1, "video", "bad row"),
        (1, "video", "missing file"),
        (1, "tracing row", "its video is not imported"),
        (2, "tracing row", "beyond the last frame of its video"),
        (1, ".zip file", "an archive or compressed"),
    ]
    assert summary["skipped"] == {"bad row": 1, "missing file": 1}
    assert checking.check(tmp_path / "whole").ok
    assert [t.frame for t in filelist.read_tracings(tmp_path / "whole")] == [5]


def test_wrong_rows_are_refused_before_any_video_is_decoded(
    dynamic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (dynamic / filelist.FILE_LIST).write_text("FileName,EF,Split\na,>70,TRAIN\nb,50,TEST\n")
    monkeypatch.setattr(video, "size", lambda path: pytest.fail("decoded"))
    with pytest.raises(DataError, match="with --skip-bad; a video whose EF is left empty stays, without a label"):
        ingest(dynamic, tmp_path / "out", source="dynamic", size=32)


def test_folds_are_mapped_and_returned(dynamic: Path, tmp_path: Path) -> None:
    (dynamic / filelist.TRACINGS).unlink()
    (dynamic / filelist.FILE_LIST).write_text("FileName,EF,Split\na.avi,60,8\nb.avi,61,0\n")
    summary = ingest(dynamic, tmp_path / "out", source="pediatric", size=32)
    assert summary["folds"] == {"0": "TRAIN", "8": "VAL"}
    assert [record.split for record in filelist.read(tmp_path / "out")] == ["VAL", "TRAIN"]


# Bad videos


def damage(src: Path) -> None:
    (src / "text.avi").write_text("hello")
    whole = (src / "b.avi").read_bytes()
    (src / "cut.avi").write_bytes(whole[: whole.index(b"idx1") - 500])


def test_bad_videos_are_named_together_and_nothing_is_left(src: Path, tmp_path: Path) -> None:
    damage(src)
    with pytest.raises(DataError) as caught:
        ingest(src, tmp_path / "out", source="folder", crop=(0, 0, 64, 64), size=32)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f"{src}: 5 bad video(s): 3 crop outside the picture, 1 truncated, 1 unreadable; ")
    assert "--skip-bad" in lines[0]
    assert len(lines) == 6
    assert any("text.avi: unreadable" in line for line in lines)
    assert any("crop 0,0,64,64 (x, y, width, height) ends at 64,64, expected within 32x32" in line for line in lines)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["src"]


def test_bad_videos_can_be_left_out_and_are_counted(src: Path, dynamic: Path, tmp_path: Path) -> None:
    damage(src)
    summary = ingest(src, tmp_path / "out", source="folder", size=32, skip_bad=True)
    assert summary["videos"] == 4
    assert summary["skipped"] == {"truncated": 1, "unreadable": 1}
    assert read_provenance(tmp_path / "out")["skipped"] == summary["skipped"]
    assert checking.check(tmp_path / "out").ok
    (dynamic / filelist.VIDEOS / "a.avi").unlink()
    assert ingest(dynamic, tmp_path / "two", source="dynamic", size=32, skip_bad=True)["skipped"] == {"missing file": 1}
    (dynamic / filelist.VIDEOS / "B.AVI").unlink()
    with pytest.raises(DataError, match="none is left"):
        ingest(dynamic, tmp_path / "three", source="dynamic", size=32, skip_bad=True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"crop": (0, 0, 0, 5)}, "--crop 0,0,0,5: expected"),
        ({"crop": (-1, 0, 5, 5)}, "--crop -1,0,5,5: expected"),
        ({"fps": 0.0}, "--fps 0.0: expected"),
        ({"fps": float("nan")}, "--fps nan: expected"),
        ({"size": 0}, "--size 0: expected"),
        ({"source": "dynamic", "labels": Path("labels.csv")}, "--labels labels.csv: no effect with --from dynamic"),
    ],
)
def test_settings_without_sense(src: Path, tmp_path: Path, change: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        ingest(src, tmp_path / "out", **{"source": "folder", **change})


def test_the_result_cannot_lie_in_the_source(src: Path) -> None:
    with pytest.raises(DataError, match="stays untouched"):
        ingest(src, src / "out", source="folder")


# Resuming


def test_a_second_try_continues_and_gives_the_same(src: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest(src, tmp_path / "whole", source="folder", size=32)
    written: list[str] = []
    write: Callable[..., None] = video.write_avi

    def failing(path: Path, frames: video.Frames, fps: float) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path.name)
        write(path, frames, fps)

    monkeypatch.setattr(video, "write_avi", failing)
    with pytest.raises(KeyboardInterrupt):
        ingest(src, tmp_path / "out", source="folder", size=32)
    assert sorted(pixels(tmp_path / "out.partial")) == sorted(written)
    written.append("no more interruptions")
    ingest(src, tmp_path / "out", source="folder", size=32)
    assert len(written) == 1 + 4
    assert pixels(tmp_path / "out") == pixels(tmp_path / "whole")
    assert folder_hash(tmp_path / "out") == folder_hash(tmp_path / "whole")
    assert read_provenance(tmp_path / "out") == read_provenance(tmp_path / "whole")


# Parts


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def in_parts(src: Path, out: Path, count: int, **how: Any) -> None:
    parts = [out.with_name(f"{out.name}-{number}") for number in range(1, count + 1)]
    for number, path in enumerate(parts, 1):
        ingest(src, path, size=32, shard=Shard(number, count), **how)
    merge(parts[::-1], out)


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_merged_parts_of_a_folder_are_the_whole(src: Path, tmp_path: Path, count: int) -> None:
    """Bad files, equal names, a picture that is not square, and patients whose videos are in several parts."""
    damage(src)
    video.write_mp4(src / "more" / "wide.mp4", ramp(5, 32, 48), 25)
    labels = tmp_path / "labels.csv"
    rows = ["a.mp4,p,61,", "b.avi,q,,deep", "c.gif,p,40.5,", "more/a.avi,q,33,", "more/wide.mp4,r,,", "cut.avi,p,20,"]
    labels.write_text("FileName,PatientId,EF,Note\n" + "\n".join(rows) + "\n")
    how: dict[str, Any] = {"source": "folder", "labels": labels, "skip_bad": True, "seed": 3}
    ingest(src, tmp_path / "whole", size=32, **how)
    in_parts(src, tmp_path / "merged", count, **how)
    assert content(tmp_path / "merged") == content(tmp_path / "whole")
    said = read_provenance(tmp_path / "merged")
    assert said["skipped"] == {"truncated": 1, "unreadable": 1}
    assert any("not square" in one for one in said["notes"])


@pytest.mark.parametrize("count", [2, 3])
def test_merged_parts_of_a_dataset_are_the_whole(dynamic: Path, tmp_path: Path, count: int) -> None:
    chords = [Tracing(f"{name}.avi", i, 2.0, 11.25, 20.5, i) for i, name in enumerate("bacab")]
    filelist.write_tracings(dynamic, chords)
    how: dict[str, Any] = {"source": "dynamic", "crop": (2, 2, 20, 20)}
    ingest(dynamic, tmp_path / "whole", size=32, **how)
    in_parts(dynamic, tmp_path / "merged", count, **how)
    assert content(tmp_path / "merged") == content(tmp_path / "whole")
    assert [t.frame for t in filelist.read_tracings(tmp_path / "merged")] == [0, 1, 3, 4]


def test_a_part_names_its_bad_videos_and_parts_without_any_video_do_not_merge(src: Path, tmp_path: Path) -> None:
    damage(src)
    with pytest.raises(DataError, match=r"1 bad video\(s\): 1 truncated; fix them"):
        ingest(src, tmp_path / "out", source="folder", size=32, shard=Shard(4, 4))
    assert not list(tmp_path.glob("out*"))
    how: dict[str, Any] = {"source": "folder", "crop": (0, 0, 90, 90), "skip_bad": True}
    with pytest.raises(DataError, match="no part has a video"):
        in_parts(src, tmp_path / "out", 2, **how)
    assert not (tmp_path / "out").exists()


def test_a_part_that_was_changed_is_named(src: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        ingest(src, tmp_path / f"{number}", source="folder", size=32, shard=Shard(number, 2))
    records = filelist.read(tmp_path / "2")
    filelist.write(tmp_path / "2", records[1:])
    with pytest.raises(DataError, match=r"/2: is not as the import made it .*; make this part again"):
        merge([tmp_path / "1", tmp_path / "2"], tmp_path / "out")
    assert not list(tmp_path.glob("out*"))


@pytest.mark.slow
def test_the_real_clips(tmp_path: Path) -> None:
    if not CLIPS.is_dir():
        pytest.skip(f"no clips in {CLIPS}")
    out = tmp_path / "out"
    summary = ingest(CLIPS, out, source="folder", crop=(0, 0, 112, 112), labels=CLIPS / "labels.csv")
    assert (summary["videos"], summary["frames"], summary["splits"]) == (5, 999, {"TRAIN": 3, "VAL": 1, "TEST": 1})
    assert not any("wrong" in note or "without" in note for note in summary["notes"])
    report = checking.check(out)
    assert report.ok, report.table()
    assert report.summary.ef_range == (28.7, 68.0)


# Twins


@pytest.mark.slow
def test_sixty_real_gifs_of_sixteen_frames(tmp_path: Path) -> None:
    src = CLIPS.parent / "frames" / "original"
    if not src.is_dir():
        pytest.skip(f"no files in {src}")
    summary = ingest(src, tmp_path / "out", source="folder", labels=src.parent / "labels.csv")
    records = filelist.read(tmp_path / "out")
    assert {(record.num_frames, round(record.fps or 0, 2)) for record in records} == {(16, 8.33)}
    assert (summary["videos"], summary["skipped"], checking.check(tmp_path / "out").ok) == (60, {}, True)
    assert [record.extra["Mask"] for record in records].count("sector") >= 55


def hearts(num: int) -> list[video.Frames]:
    return [phantom.render(phantom.patient(71, i, num_frames=64)) for i in range(num)]


@pytest.fixture
def doubled(tmp_path: Path) -> Path:
    """Two recordings that are also there under other names, in other splits and forms, and two that are not."""
    folder = tmp_path / "doubled"
    (folder / filelist.VIDEOS).mkdir(parents=True)
    first, second, third, fourth = hearts(4)
    files = {"a": first, "held": first, "b": second, "cut": second[20:60], "c": third, "d": fourth}
    for name, frames in files.items():
        video.write_avi(folder / filelist.VIDEOS / f"{name}.avi", frames, 60 if name == "held" else 50)
    (folder / filelist.VIDEOS / "held.avi").unlink()
    video.write_mp4(folder / filelist.VIDEOS / "held.mp4", first, 60)
    splits: dict[str, Split] = {"a": "TRAIN", "held": "TEST", "b": "TEST", "cut": "VAL", "c": "VAL", "d": "TEST"}
    filelist.write(folder, [Record(n, 70.0 if n == "held" else 50.0, split=split) for n, split in splits.items()])
    return folder


def test_twins_become_one_patient_in_one_split_and_are_named(doubled: Path, tmp_path: Path) -> None:
    before = checking.check(doubled)
    assert {(p.name, p.reason) for p in before.problems} == {("held", "twin"), ("cut", "twin")}
    assert "TEST, the recording of a (line 2, TRAIN)" in before.table()
    summary = ingest(doubled, tmp_path / "out", source="dynamic")
    records = {record.name: record for record in filelist.read(tmp_path / "out")}
    assert {n: (r.patient, r.split) for n, r in records.items()} == {
        "a": ("a", "TRAIN"),
        "held": ("a", "TRAIN"),
        "b": ("cut", "VAL"),
        "cut": ("cut", "VAL"),
        "c": ("c", "VAL"),
        "d": ("d", "TEST"),
    }
    notes = "\n".join(summary["notes"])
    assert "2 recording(s) are there under several names, kept as one patient in one split: a = held; b = cut" in notes
    assert "split of 2 video(s) changed, as a twin is in another: held (TEST -> TRAIN); b (TEST -> VAL)" in notes
    assert "EF of 1 recording(s) differs between its names: a 50, held 70" in notes
    after = checking.check(tmp_path / "out")
    assert after.ok, after.table()
    assert {note.name for note in after.notes} == {"held", "cut"}
    assert not [path for path in (tmp_path / "out").rglob("*") if "ingerprint" in path.name]


def test_all_videos_of_patients_who_turn_out_to_be_one_move(doubled: Path, tmp_path: Path) -> None:
    records = filelist.read(doubled)
    of = {"a": "p", "held": "q", "c": "q"}
    patients = [replace(r, extra={"PatientId": of.get(r.name, r.name)}) for r in records]
    filelist.write(doubled, [replace(r, split="TEST" if r.name == "c" else r.split) for r in patients])
    ingest(doubled, tmp_path / "out", source="dynamic")
    found = {r.name: (r.patient, r.split) for r in filelist.read(tmp_path / "out")}
    assert found["a"] == found["held"] == found["c"] == ("p", "TRAIN")


@pytest.mark.parametrize("count", [2, 5])
def test_twins_in_different_parts_are_found_when_merged(doubled: Path, tmp_path: Path, count: int) -> None:
    how: dict[str, Any] = {"source": "dynamic"}
    ingest(doubled, tmp_path / "whole", size=32, **how)
    in_parts(doubled, tmp_path / "merged", count, **how)
    assert content(tmp_path / "merged") == content(tmp_path / "whole")
    assert {r.name: r.split for r in filelist.read(tmp_path / "merged")}["held"] == "TRAIN"


def test_twins_among_held_out_patients_do_not_lift_the_threshold(tmp_path: Path) -> None:
    """Copies of training videos pass a threshold that was set on twins of such; not after the import."""
    src = tmp_path / "src"
    (src / filelist.VIDEOS).mkdir(parents=True)
    frames = hearts(16)
    for i, one in enumerate(frames):
        video.write_avi(src / filelist.VIDEOS / f"v{i}.avi", one, 50)
    for i in range(2):
        video.write_mp4(src / filelist.VIDEOS / f"twin{i}.mp4", frames[i], 50)
    rows = [Record(f"v{i}", split="TRAIN" if i < 8 else "VAL") for i in range(16)]
    filelist.write(src, [*rows, *(Record(f"twin{i}", split="VAL") for i in range(2))])
    ingest(src, tmp_path / "out", source="dynamic")

    def threshold(dataset: Path) -> float:
        """The largest correlation of a held-out patient's frame with a training frame."""
        index = filelist.VideoIndex(dataset)
        sides: dict[str, list[video.Frames]] = {"TRAIN": [], "VAL": []}
        for record in filelist.read(dataset):
            sides[record.split].append(video.read(index.path(record)).frames[0].ravel())
        both = np.corrcoef(np.stack(sides["TRAIN"] + sides["VAL"]))
        return float(both[len(sides["TRAIN"]) :, : len(sides["TRAIN"])].max())

    assert threshold(src) > 0.99
    assert threshold(tmp_path / "out") < 0.95
