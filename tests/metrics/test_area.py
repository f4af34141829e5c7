import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from echosyn.errors import DataError
from echosyn.metrics.area import ef_from_area, ejected_part, lv_area
from echosyn.metrics.cavity import volume_from_area
from echosyn.metrics.regression import regression_report


def beating(ef: float, num_frames: int = 48, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A dark ellipse in bright speckle inside a fan, and its true area in each frame."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:112, :112]
    fan = np.abs(x - 56) < 0.8 * (y + 2)
    emptied = (0.5 - 0.6 * np.cos(2 * np.pi * np.arange(num_frames) / 24)).clip(0, 1)  # it rests at either end
    size = (1 - ef / 100 * emptied) ** 0.3
    distance = np.hypot((x - 60) / (15 * size[:, None, None]), (y - 45) / (25 * size[:, None, None]))
    speckle = ndimage.gaussian_filter(rng.normal(size=(num_frames, 112, 112)), (0, 1, 1)) * 60
    frames = (np.where(distance < 1, 20, 120) + speckle).clip(0, 255) * fan
    return frames.astype(np.uint8), np.pi * 15 * 25 * size**2


@pytest.mark.parametrize("ef", [20.0, 50.0, 75.0])
def test_a_beating_ellipse_is_measured(ef):
    frames, truth = beating(ef)
    area = lv_area(frames)
    assert np.corrcoef(area, truth)[0, 1] > 0.97
    assert area.mean() == pytest.approx(truth.mean(), rel=0.1)
    assert ef_from_area(area) == pytest.approx(ef, abs=8)  # 24 frames a beat: smoothing over time takes a little


@pytest.mark.parametrize("view", ["A4C", "PSAX"])
@given(ef=st.floats(5, 90), beats=st.floats(1, 6))
def test_the_ejected_part_is_that_of_the_volume(view, ef, beats):
    emptied = (0.5 - 0.6 * np.cos(2 * np.pi * beats * np.arange(200) / 200)).clip(0, 1)  # it rests at either end
    left = np.linspace(0, 1, 2001)
    area = np.interp(1 - ef / 100 * emptied, volume_from_area(left, view), left)
    np.testing.assert_allclose(ejected_part(1000 * area, view), emptied, atol=0.02)


def test_no_part_is_ejected_where_nothing_was_measured():
    assert ejected_part(np.full(64, np.nan)) is None
    assert ejected_part(np.full(64, 100.0)) is None


def test_a_heart_that_stands_still_has_no_ejection():
    assert ef_from_area(lv_area(beating(0.0)[0])) < 6


@pytest.mark.parametrize("view", ["A4C", "PSAX"])
@given(ef=st.floats(1, 95), scale=st.floats(1, 1e4))
def test_ef_of_a_curve_does_not_depend_on_the_pixel_size(view, ef, scale):
    left = 1 - ef / 100 * (np.arange(100) % 10 < 5)
    areas = left ** (2 / 3) if view == "PSAX" else np.sqrt(left * (0.74 + 0.26 * left))
    assert ef_from_area(scale * areas, view) == pytest.approx(ef, abs=0.01)


@pytest.mark.parametrize("view", ["A4C", "PSAX"])
def test_volume_grows_with_area_from_nothing_to_all(view):
    volume = volume_from_area(np.linspace(0, 1, 50), view)
    assert (volume[0], volume[-1]) == (0, 1)
    assert (np.diff(volume) > 0).all()


def test_no_curve_no_ef():
    assert ef_from_area(np.ones(7)) is None
    assert ef_from_area(np.array([0.0] * 10)) is None
    assert ef_from_area(np.array([np.nan] * 10)) is None


def test_other_frames_are_refused():
    for bad in (np.zeros((4, 64, 64), np.uint8), np.zeros((4, 112, 112)), np.zeros((0, 112, 112), np.uint8)):
        with pytest.raises(DataError, match="expected uint8"):
            lv_area(bad)


@pytest.fixture(scope="module", params=["A4C", "PSAX"])
def beating_phantom(request):
    """View, EF and frames of one phantom."""
    phantom = pytest.importorskip("echosyn.data.phantom")
    patient = phantom.patient(2024, 3, view=request.param, num_frames=64, fps=32, ef=55.0)
    return request.param, 55.0, phantom.render(patient)


def measured(frames, view):
    return ef_from_area(lv_area(frames, view), view)


def test_a_frozen_video_whose_brightness_flickers_does_not_eject(beating_phantom):
    view, _, frames = beating_phantom
    gain = 1 + 0.15 * np.sin(np.arange(64) / 3)
    frozen = (frames[:1] * gain[:, None, None]).clip(0, 255).astype(np.uint8)
    assert measured(frozen, view) < 4


def test_ef_does_not_depend_on_direction_of_time_gain_or_place(beating_phantom):
    view, _, frames = beating_phantom
    ef = measured(frames, view)
    assert measured(frames[::-1], view) == pytest.approx(ef, abs=1.5)
    assert measured((frames * 0.7).astype(np.uint8), view) == pytest.approx(ef, abs=2)
    moved = np.zeros_like(frames)
    moved[:, 2:, :-2] = frames[:, :-2, 2:]
    assert measured(moved, view) == pytest.approx(ef, abs=3)


@pytest.mark.parametrize("view", ["A4C", "PSAX"])
def test_hearts_of_one_patient_are_put_in_order(view):
    phantom = pytest.importorskip("echosyn.data.phantom")
    patients = [
        phantom.patient(2024, 5, view=view, num_frames=64, fps=32, ef=ef) for ef in (15.0, 30.0, 45.0, 60.0, 75.0)
    ]
    efs = [measured(phantom.render(patient), view) for patient in patients]
    assert efs == sorted(efs)


def phantoms(num, view, **drawn):
    phantom = pytest.importorskip("echosyn.data.phantom")
    patients = [phantom.patient(2024, i, view=view, **drawn) for i in range(num)]
    return [measured(phantom.render(p), view) for p in patients], [p.ef for p in patients]


@pytest.mark.parametrize("view", ["A4C", pytest.param("PSAX", marks=pytest.mark.slow)])
def test_ef_on_phantoms(view):
    report = regression_report(*phantoms(12, view, num_frames=64, fps=32))
    assert report.r2.value > 0.9
    assert report.mae.value < 5


@pytest.mark.slow
@pytest.mark.parametrize("view", ["A4C", "PSAX"])
def test_ef_on_many_phantoms(view):
    report = regression_report(*phantoms(200, view))
    assert report.r2.value > 0.93
    assert report.mae.value < 4
