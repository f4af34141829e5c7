"""Every DICOM file of the matrix is read as promised, or has a row that says in words why not."""

import builtins
import csv
import re
from pathlib import Path

import numpy as np
import pytest

from echosyn.data import filelist
from echosyn.data.dicom import deidentify, pixels, reading
from echosyn.data.dicom.faults import BadDicomError
from echosyn.data.video import Video
from echosyn.errors import DataError
from echosyn.pipeline.workers.executors import InProcess
from importing import ingest_dicom
from zoo import dicom
from zoo.case import Case

NAMES = {name for name in vars(builtins) if name.endswith(("Error", "Exception"))}
TOLERANCE = {"exact": 0, "within 4 grey levels (95 % of the pixels)": 4}


def row_of(private: Path) -> dict[str, str]:
    with next(private.glob("*.csv")).open(newline="") as file:
        (row,) = csv.DictReader(file)
    return row


@pytest.mark.parametrize("case", dicom.CASES, ids=lambda case: f"{case.group}: {case.name}")
def test_the_import_keeps_its_promise(case: Case, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    path = case.make(tmp_path / "src")
    how = {"private": tmp_path / "mine", "size": dicom.SIDE, "executor": InProcess(1)}
    if case.refused:
        with pytest.raises(DataError, match="nothing to import"):
            ingest_dicom(tmp_path / "src", tmp_path / "out", **how)
    else:
        ingest_dicom(tmp_path / "src", tmp_path / "out", **how)
    row = row_of(tmp_path / "mine")
    words = f"{row['Reason']}: {row['Detail']}"
    assert not NAMES & set(re.findall(r"\w+", words)), words
    if case.refused:
        assert case.refused in words
        return
    (record,) = filelist.read(tmp_path / "out")
    if case.read in TOLERANCE:
        assert (record.num_frames, record.fps) == (dicom.FRAMES, 40)
        assert error(path) <= TOLERANCE[case.read]
    else:
        SPECIAL[case.name](path, row["Detail"])


def error(path: Path) -> float:
    """Difference from the stored levels that 95 % of the pixels stay below."""
    decoded = np.stack([Video(frame[None], 1.0).grey()[0] for frame in pixels.frames(reading.cine(path))])
    return float(np.quantile(np.abs(decoded.astype(int) - dicom.heart()), 0.95))


def uneven(path: Path, detail: str) -> None:
    cine = deidentify.cine(path)
    assert (len(cine.frames) - 1) / cine.fps == pytest.approx(0.420)
    assert cine.fps == pytest.approx(50)
    assert "resampled" in detail


def trimmed(path: Path, detail: str) -> None:
    assert len(deidentify.cine(path).frames) == 10
    assert "frames 2 to 11 of 12" in detail


def square(aspect: float, path: Path) -> None:
    """Against the same file without the tags that make its pixels wide."""
    wide = deidentify.cine(path)
    plain = deidentify.cine(dicom.saved(path.parent.parent / "plain"))
    height, width = (np.ptp(np.flatnonzero(wide.sector.any(axis))) + 1 for axis in (1, 0))
    tall, narrow = (np.ptp(np.flatnonzero(plain.sector.any(axis))) + 1 for axis in (1, 0))
    assert width / height == pytest.approx(aspect * narrow / tall, rel=0.06)
    assert not wide.frames[:, ~wide.sector].any()


SPECIAL = {
    "uneven FrameTimeVector": uneven,
    "StartTrim and StopTrim": trimmed,
    "pixels of 0.0286 x 0.0229 cm": lambda path, _: square(0.0286 / 0.0229, path),
    "PixelAspectRatio 3:4": lambda path, _: square(4 / 3, path),
}


def test_no_reason_is_a_name_of_python() -> None:
    with pytest.raises(BadDicomError) as caught:
        deidentify.cine(Path("none"))
    assert caught.value.fault == "missing file"
