"""Damaged files of the whole matrix: each is imported whole or named with a reason; nothing crashes, hangs or stays half."""

import csv
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from echosyn.data import filelist, video
from zoo import containers, dicom

TIMES = 8
"""Damages of each file, of each kind."""
SECONDS = 60
"""That one file may take."""
AT_ONCE = 60
"""Files of one import."""

IMPORTANT = [case for case in containers.CASES if case.refused is None]


def cut(data: bytes, draw: random.Random) -> bytes:
    """Truncated anywhere."""
    return data[: draw.randrange(len(data))]


def flipped(data: bytes, draw: random.Random) -> bytes:
    """Up to twenty bits are the other ones."""
    damaged = bytearray(data)
    for _ in range(draw.randint(1, 20)):
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
    return bytes(damaged)


def damaged(cases: list, tmp_path: Path, seed: int) -> list[Path]:
    """Files made from the cases, `TIMES` times cut and as often with flipped bits."""
    draw = random.Random(seed)
    made = []
    for number, case in enumerate(cases):
        (tmp_path / f"whole{number}").mkdir()
        source = case.make(tmp_path / f"whole{number}")
        if source.is_file():
            for i, harm in enumerate([cut, flipped] * TIMES):
                name = f"{number:03}-{harm.__name__}{i // 2}{source.suffix}"
                made.append((name, harm(source.read_bytes(), draw)))
    folders = []
    for start in range(0, len(made), AT_ONCE):
        folder = tmp_path / f"damaged{start}"
        folder.mkdir()
        for name, data in made[start : start + AT_ONCE]:
            (folder / name).write_bytes(data)
        folders.append(folder)
    assert folders
    return folders


def imported(folder: Path, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """The import of a folder by the command line, which ends in time, in no traceback and with nothing half-written."""
    words = [sys.executable, "-m", "echosyn", "import", str(folder), str(out), "--quiet", "--json", *more]
    files = len(list(folder.iterdir()))
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=SECONDS + files)
    assert done.returncode in (0, 2), done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert not list(out.parent.glob(f"{out.name}.partial*")) or done.returncode == 2
    assert out.exists() == (done.returncode == 0)
    return done


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_damaged_videos_are_read_or_named(part: int, tmp_path: Path) -> None:
    for number, folder in enumerate(damaged(IMPORTANT[part::4], tmp_path, part)):
        names = {path.name for path in folder.iterdir()}
        out = tmp_path / f"out{number}"
        # What a refusal names: everything that is wrong, at once.
        refusal = imported(folder, out, "--from", "folder").stderr
        done = imported(folder, out, "--from", "folder", "--skip-bad")
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        read = {record.name for record in filelist.read(out)}
        left = sum(row["count"] for row in said["left_out"])
        assert len(read) + left == len(names)
        bad = {name for name in names if Path(name).stem not in read}
        assert all(name in refusal or "more" in refusal for name in bad)
        for record in filelist.read(out):
            path = filelist.video_path(out, record)
            assert video.probe(path)[0] == record.num_frames
        assert {path.stem for path in (out / filelist.VIDEOS).iterdir()} == read


@pytest.mark.slow
def test_damaged_dicom_files_are_read_or_named(tmp_path: Path) -> None:
    for number, folder in enumerate(damaged(list(dicom.CASES), tmp_path, 9)):
        names = {path.name for path in folder.iterdir()}
        out = tmp_path / f"out{number}"
        done = imported(folder, out, "--from", "dicom", "--private", str(tmp_path / f"private{number}"))
        if done.returncode == 2:
            assert done.stderr.startswith("error: ")
            continue
        with (out / "import.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == len(names)
        assert all(row["Status"] == "imported" or row["Reason"] for row in rows)
        read = {record.name for record in filelist.read(out)}
        assert {path.stem for path in (out / filelist.VIDEOS).iterdir()} == read
