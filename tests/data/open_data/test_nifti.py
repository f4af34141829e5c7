"""Arrays become upright frames in square pixels on a square picture, or are named with a fault."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from echosyn.data.open_data import nifti
from echosyn.data.video import BadVideoError
from open_data import write_nifti


def test_the_first_axis_runs_to_the_right_and_the_second_down(tmp_path: Path) -> None:
    stored = np.zeros((6, 8, 3), np.uint8)
    stored[1, 5, 2] = 200
    write_nifti(tmp_path / "a.nii.gz", stored, (1.0, 1.0))
    found = nifti.read(tmp_path / "a.nii.gz", fps=50)
    assert found.frames.shape == (3, 8, 8)
    assert found.frames[2, 5, 1 + 1] == 200, "one of two black columns is on the left"
    assert found.frames.sum() == 200
    assert found.origin is not None
    assert (found.fps, found.origin.shown, found.origin.num_frames) == (50, (8, 8), 3)


@pytest.mark.parametrize("spacing", [(0.5, 0.5), (0.6, 0.3), (0.3, 0.6), (0.4, 0.25)])
def test_a_circle_on_the_body_is_round_in_the_picture(tmp_path: Path, spacing: tuple[float, float]) -> None:
    width, height = round(90 / spacing[0]), round(60 / spacing[1])
    x, y = np.meshgrid(np.arange(width) * spacing[0], np.arange(height) * spacing[1], indexing="ij")
    disc = ((np.hypot(x - 40, y - 30) < 20) * 200).astype(np.uint8)
    write_nifti(tmp_path / "a.nii.gz", disc[..., None], spacing)
    found = nifti.read(tmp_path / "a.nii.gz", fps=50).frames[0] > 100
    high, wide = found.shape
    assert abs(high - wide) <= 1
    rows, columns = np.nonzero(found)
    assert np.ptp(rows) + 1 == pytest.approx(np.ptp(columns) + 1, abs=3)
    assert found.mean() == pytest.approx(np.pi * 20**2 / 90**2, rel=0.02)


@pytest.mark.parametrize("kind", [np.int16, np.float32, np.float64])
def test_grey_levels_of_other_types_are_rounded(tmp_path: Path, kind: type) -> None:
    stored = np.arange(256).reshape(16, 16, 1)
    write_nifti(tmp_path / "a.nii.gz", stored.astype(kind), (1.0, 1.0))
    assert np.array_equal(nifti.read(tmp_path / "a.nii.gz", fps=50).frames[0], stored[..., 0].T)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    good, path = tmp_path / "good.nii.gz", tmp_path / "a.nii.gz"
    write_nifti(good, np.random.default_rng(0).integers(0, 255, (16, 16, 9)).astype(np.uint8), (1.0, 1.0))
    with pytest.raises(BadVideoError, match=r"no frame rate.*--fps NUMBER"):
        nifti.read(good)
    with pytest.raises(BadVideoError, match="missing file"):
        nifti.read(path, fps=50)
    whole = gzip.decompress(good.read_bytes())
    for damaged in (b"", b"not read", good.read_bytes()[:-200], gzip.compress(whole[:-100])):
        path.write_bytes(damaged)
        with pytest.raises(BadVideoError, match="unreadable: expected NIfTI") as error:
            nifti.read(path, fps=50)
        assert "\n" not in str(error.value)
    write_nifti(path, np.full((8, 8, 2), 300, np.int16), (1.0, 1.0))
    with pytest.raises(BadVideoError, match=r"grey levels are 300\.\.300, expected 0\.\.255"):
        nifti.read(path, fps=50)
    write_nifti(path, np.zeros((8, 8), np.uint8), (1.0, 1.0))
    with pytest.raises(BadVideoError, match="zero frames"):
        nifti.read(path, fps=50)
    write_nifti(path, np.zeros((8, 8, 2), np.uint8), (9.0, 1.0))
    with pytest.raises(BadVideoError, match=r"9 by 1 mm, expected up to 4:1"):
        nifti.read(path, fps=50)
