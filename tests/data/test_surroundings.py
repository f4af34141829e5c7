"""Marks around a sector go, tissue stays, and what shows no sector, or no marks, is the very same array."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file
from scipy import ndimage

import hospital
from echosyn.data import background, phantom, surroundings, video
from echosyn.data.dicom import deidentify, reading, regions
from echosyn.data.phantom import View
from echosyn.data.phantom.fan import fan

SHARED = Path(__file__).parents[3] / "shared"


def heart(number: int, view: View = "A4C") -> tuple[np.ndarray, np.ndarray]:
    """A phantom's frames, and where its tissue is in truth."""
    patient = phantom.patient(5, number, view=view, num_frames=64)
    truth = np.zeros(112 * 112, bool)
    truth[fan(patient).pixels] = True
    return phantom.render(patient)[:32], truth.reshape(112, 112)


def marked(frames: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """With a probe's dot, a ruler beside the right edge, a tick that touches it and a moving ECG; and where these are."""
    found, marks = frames.copy(), np.zeros((len(frames), *truth.shape), bool)
    right = np.array([np.flatnonzero(row).max(initial=0) for row in truth])
    middle = int(np.flatnonzero(truth[20]).mean())
    marks[:, 2:6, right[6] + 8 : right[6] + 13] = True
    for row in range(20, 50):
        marks[:, row, right[row] + 5] = True
    marks[:, 36, right[36] + 1 : right[36] + 9] = True
    for t in range(len(frames)):  # swept from left to right, over the one before
        x = np.arange(1, middle - 20)
        heights = np.where(x % 20 < 2, 5, 0) if t == 0 else np.where((x + 3 * (x < t)) % 20 < 2, 5, 0)
        marks[t, 108 - heights, x] = True
    marks &= ~truth
    found[marks] = 220
    return found, marks


@pytest.mark.parametrize(("number", "view"), [(0, "A4C"), (1, "PSAX"), (2, "A4C")])
def test_marks_go_and_tissue_stays(number: int, view: View) -> None:
    frames, truth = heart(number, view)
    found, marks = marked(frames, truth)
    clean, verdict = surroundings.blackened(found)
    assert verdict == "sector"
    away = ndimage.binary_dilation(truth, np.ones((5, 5)))  # two pixels beyond the edge may stay
    assert not clean[marks & ~away].any()
    assert (clean[:, truth] != frames[:, truth]).mean() <= 0.005
    again, verdict = surroundings.blackened(clean)
    assert verdict == "clean"
    assert again is clean


def test_a_video_without_marks_is_the_very_same() -> None:
    for number in range(4):
        frames, _ = heart(number)
        noisy = np.maximum(frames, np.random.default_rng(number).integers(0, 9, frames.shape).astype(np.uint8))
        for each in (frames, noisy):  # as encoders leave it
            found, verdict = surroundings.blackened(each)
            assert (found is each, verdict) == (True, "clean")


def linear() -> np.ndarray:
    frames = np.zeros((16, 112, 112), np.uint8)
    frames[:, 10:100, 30:80] = np.random.default_rng(0).integers(20, 200, (16, 90, 50))
    frames[:, 40:60, 100:104] = 220
    return frames


def test_what_shows_no_sector_is_the_very_same() -> None:
    found, _ = marked(*heart(0))
    views = np.concatenate([found, np.zeros_like(found)[:, :, :20], found], axis=2)
    still = np.repeat(found[:1], 20, axis=0)
    for each in (linear(), still, found[:4], views, np.zeros_like(found)):
        kept, verdict = surroundings.blackened(each)
        assert (kept is each, verdict) == (True, "none")


def test_a_scanners_screen() -> None:
    screen = hospital.screen(2, hospital.person(2), seed=9, num_frames=16)
    frames = screen.frames.astype(np.float32).mean(-1).round().astype(np.uint8)
    clean, verdict = surroundings.blackened(frames)
    assert verdict == "sector"
    assert not (clean[:, ~screen.sector] > 100).any()
    assert (clean[:, screen.sector] != frames[:, screen.sector]).mean() <= 0.005


def test_the_real_cine_of_pydicom() -> None:
    found = reading.opened(Path(str(get_testdata_file("examples_ybr_color.dcm"))))[0]
    frames, _ = deidentify._region(found, regions.tissue(found))
    clean, verdict = surroundings.blackened(frames)
    assert verdict == "sector"
    assert not (clean[:, :, 299:] > 40).any()  # the column of text and ruler, but for a tick in the sector's corner
    assert not clean[:, 215:].any()  # the bar below
    assert not (clean[:, :24, 185:195] > 40).any()  # the probe's dot
    assert (clean[:, 40:190, 130:210] == frames[:, 40:190, 130:210]).mean() > 0.998


@pytest.mark.parametrize(("folder", "pattern", "step"), [("clips", "*.mp4", 1), ("frames/original", "*.gif", 6)])
def test_real_recordings(folder: str, pattern: str, step: int) -> None:
    paths = sorted((SHARED / folder).glob(pattern))[::step]
    if not paths:
        pytest.skip(f"no recordings in {SHARED / folder}")
    lost, beyond = [], []
    for path in paths:
        frames = video.read(path).frames[:, :, :112]
        clean, verdict = surroundings.blackened(frames)
        if verdict == "clean":
            continue
        assert verdict == "sector", path
        before, after = frames.max(0), clean.max(0)
        core = background.hull(background.largest(ndimage.binary_opening(before > 10, np.ones((7, 7)))))
        lost.append(float((after[core & (before > 10)] == 0).mean()))
        far = ~ndimage.binary_dilation(core, np.ones((13, 13)))
        beyond.append(int(((after > 128) & far).sum()))
    assert sorted(beyond)[-2] <= 12  # the tip of the sector: dots and rulers have more; one has tissue there
    assert np.mean(lost) <= 0.005
    assert max(lost) <= 0.07  # one of them shakes, and its edge with it
