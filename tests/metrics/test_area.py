import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from echosyn.errors import DataError
from echosyn.metrics.area import VOLUME_POWER, ef_from_area, lv_area, lv_contour, one_motion
from echosyn.metrics.regression import regression_report


def beating(ef: float, num_frames: int = 48, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A dark ellipse in bright speckle inside a fan, and its true area in each frame."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:112, :112]
    fan = np.abs(x - 56) < 0.8 * (y + 2)
    emptied = (1 - np.cos(2 * np.pi * np.arange(num_frames) / 24)) / 2
    size = (1 - ef / 100 * emptied) ** (0.5 / VOLUME_POWER)
    distance = np.hypot((x - 60) / (15 * size[:, None, None]), (y - 45) / (25 * size[:, None, None]))
    speckle = ndimage.gaussian_filter(rng.normal(size=(num_frames, 112, 112)), (0, 1, 1)) * 60
    frames = (np.where(distance < 1, 20, 120) + speckle).clip(0, 255) * fan
    return frames.astype(np.uint8), np.pi * 15 * 25 * size**2


@pytest.mark.parametrize("ef", [20.0, 50.0, 75.0])
def test_a_beating_ellipse_is_measured(ef):
    frames, truth = beating(ef)
    area = lv_area(frames)
    assert np.corrcoef(area, truth)[0, 1] > 0.98
    assert area.mean() == pytest.approx(truth.mean(), rel=0.1)
    assert ef_from_area(area) == pytest.approx(ef, abs=8)  # 24 frames a beat: smoothing over time takes a little


def test_a_heart_that_stands_still_has_no_ejection():
    assert ef_from_area(lv_area(beating(0.0)[0])) < 6


@given(st.floats(1, 95), st.floats(1, 1e4))
def test_ef_of_a_curve_does_not_depend_on_the_pixel_size(ef, scale):
    volume = 1 - ef / 100 * (np.arange(100) % 10 < 5)
    assert ef_from_area(scale * volume ** (1 / VOLUME_POWER)) == pytest.approx(ef)


def test_no_curve_no_ef():
    assert ef_from_area(np.ones(7)) is None
    assert ef_from_area(np.array([0.0] * 10)) is None
    assert ef_from_area(np.array([np.nan] * 10)) is None


def test_frames_that_slip_away_are_pulled_back():
    beat = 10 + 3 * np.outer(np.sin(np.arange(60) / 4), np.linspace(0.5, 1, 64))
    slipped = beat.copy()
    slipped[20:24, 10:20] += 9
    assert np.abs(one_motion(slipped) - beat).max() < 1
    np.testing.assert_allclose(one_motion(beat), beat, atol=0.3)


def test_other_frames_are_refused():
    for bad in (np.zeros((4, 64, 64), np.uint8), np.zeros((4, 112, 112)), np.zeros((0, 112, 112), np.uint8)):
        with pytest.raises(DataError, match="expected uint8"):
            lv_area(bad)


def phantoms(num: int, **drawn: int) -> tuple[list[float], list[float], list[bool]]:
    phantom = pytest.importorskip("echosyn.data.phantom")
    measured, truth, inside = [], [], []
    for index in range(num):
        patient = phantom.patient(2024, index, **drawn)
        (x, y), _ = lv_contour(frames := phantom.render(patient))
        measured.append(ef_from_area(lv_area(frames)))
        truth.append(patient.ef)
        inside.append(bool(phantom.lv_mask(patient, range(patient.num_frames))[:, round(y), round(x)].mean() > 0.9))
    return measured, truth, inside


def test_the_seed_is_in_the_left_ventricle_and_ef_is_ordered_on_the_phantom():
    measured, truth, inside = phantoms(5, num_frames=64)
    assert all(inside)
    assert np.corrcoef(measured, truth)[0, 1] > 0.8


@pytest.mark.slow
def test_ef_on_many_phantoms():
    report = regression_report(*phantoms(40)[:2])
    assert report.r2.value > 0.75
    assert report.mae.value < 8
