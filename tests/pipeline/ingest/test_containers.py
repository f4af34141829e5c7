"""Importing what others' containers hold: its time, its turn and its pixels are those that a player shows."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from echosyn.data import checking, filelist, video
from echosyn.data.records import Record, Tracing
from echosyn.pipeline.folder import read_provenance
from echosyn.pipeline.merge import merge
from echosyn.pipeline.workers.shards import Shard
from importing import ingest
from zoo.containers import VARIABLE, Recipe, discs, encode, held, many, merged_gif, repeated, with_dropped_frames

EXACT = {"qp": "0", "bf": "0"}


def imported(src: Path, **settings: Any) -> tuple[Path, list[Record], list[str]]:
    out = src.parent / "out"
    summary = ingest(src, out, source="folder", **{"size": 48, **settings})
    assert checking.check(out).ok
    return out, filelist.read(out), [note for note in summary["notes"] if "split" not in note]


@pytest.fixture
def src(tmp_path: Path) -> Path:
    folder = tmp_path / "src"
    folder.mkdir()
    return folder


def said(notes: list[str], words: str) -> bool:
    return any(words in note for note in notes)


def test_a_variable_rate_is_resampled_and_said(src: Path) -> None:
    encode(src / "a.mp4", Recipe("libx264", "yuv444p", 50, options=EXACT, stamps=VARIABLE, frames=many))
    out, records, notes = imported(src, crop=(0, 0, 48, 48))
    assert (records[0].fps, records[0].num_frames) == (50, len(held()))
    assert np.abs(video.read(out / "Videos" / "a.avi").frames.astype(float) - held()[:, :, :48]).mean() < 2
    assert said(notes, "1 video(s) had dropped, merged or paused frames, which were repeated at 50 frames a second")


def test_a_rate_that_fits_no_whole_intervals_is_resampled_and_said(src: Path) -> None:
    stamps = [t if t < 1000 else 1000 + (t - 1000) * 59 // 60 for t in VARIABLE]
    encode(src / "a.mp4", Recipe("libx264", "yuv444p", 50, options=EXACT, stamps=stamps, frames=many))
    _, records, notes = imported(src)
    assert records[0].fps == 50
    assert abs((records[0].num_frames or 0) / 50 - (stamps[-1] + 20) / 1000) < 0.02
    assert said(notes, "1 video(s) of variable frame rate were resampled by their time stamps to 50 frames a second")


@pytest.mark.parametrize(("labels", "fps"), [("FileName,FPS\nmerged,8\n", 8), ("FileName,FPS\nmerged,20\n", 8.25)])
def test_a_gif_keeps_its_time_and_a_label_that_its_clock_cannot_contradict(src: Path, labels: str, fps: float) -> None:
    merged_gif(src)
    (src.parent / "labels.csv").write_text(labels)
    out, records, notes = imported(src, labels=src.parent / "labels.csv", crop=(0, 0, 48, 48))
    assert (records[0].fps, records[0].num_frames) == (fps, 16)
    assert np.abs(video.read(out / "Videos" / "merged.avi").frames.astype(float) - repeated()[:, :, :48]).mean() < 2
    assert said(notes, "repeated at")
    assert said(notes, "FPS in the source was wrong") == (fps != 8)


def test_dropped_frames_are_not_missing_ones(src: Path) -> None:
    with_dropped_frames(src, index=True)
    _, records, notes = imported(src)
    assert (records[0].fps, records[0].num_frames) == (25, 16)
    assert said(notes, "1 video(s) had dropped, merged or paused frames")


def test_a_turned_video_is_upright_and_the_crop_is_counted_there(src: Path) -> None:
    encode(src / "a.mp4", Recipe("libx264", "yuv444p", options=EXACT, turn=90))
    out, _, notes = imported(src, crop=(0, 10, 48, 48))
    upright = np.rot90(discs(), 1, (1, 2))
    assert np.abs(video.read(out / "Videos" / "a.avi").frames.astype(float) - upright[:, 10:58]).mean() < 2
    assert said(notes, "1 video(s) were turned upright")
    assert not said(notes, "stretched")


def test_a_picture_that_is_square_in_square_pixels_is_not_stretched(src: Path) -> None:
    encode(
        src / "a.mp4",
        Recipe("libx264", "yuv444p", options=EXACT, aspect=Fraction(4, 3), frames=lambda: discs(width=36)),
    )
    _, _, notes = imported(src)
    assert said(notes, "1 video(s) had pixels that are not square, which were made square")
    assert not said(notes, "stretched")


def test_a_resumed_import_and_joined_parts_say_the_same(src: Path) -> None:
    with_dropped_frames(src, index=True)
    encode(src / "a.mp4", Recipe("libx264", "yuv444p", options=EXACT, turn=90))
    out, records, notes = imported(src)
    for number in (1, 2):
        ingest(src, src.parent / f"{number}", source="folder", size=48, shard=Shard(number, 2))
    merge([src.parent / "1", src.parent / "2"], src.parent / "joined")
    assert filelist.read(src.parent / "joined") == records
    assert (src.parent / "joined" / "FileList.csv").read_bytes() == (out / "FileList.csv").read_bytes()
    again = read_provenance(src.parent / "joined")
    assert [note for note in again["notes"] if "video(s)" in note] == [note for note in notes if "video(s)" in note]


def test_tracings_move_to_the_place_and_the_instant(src: Path) -> None:
    """A dataset of EchoNet's layout whose video has pixels of 4:3 and dropped frames."""
    (src / "Videos").mkdir()
    made = with_dropped_frames(src.parent, index=True)
    made.replace(src / "Videos" / "a.avi")
    filelist.write(src, [Record("a", ef=55, height=48, width=64, fps=25, num_frames=14)])
    filelist.write_tracings(src, [Tracing("a.avi", 10, 8, 20, 40, frame) for frame in (4, 7, 11)])
    out = src.parent / "out"
    summary = ingest(src, out, source="dynamic", size=48, crop=(8, 0, 48, 48))
    found = filelist.read_tracings(out)
    # 12 chunks with bytes: decoded frame 7 is the 9th instant, because two before it were dropped.
    assert [tracing.frame for tracing in found] == [4, 9, 13]
    assert (found[0].x1, found[0].y1, found[0].x2) == (2, 8, 12)
    assert said(list(summary["notes"]), "no time is lost")
