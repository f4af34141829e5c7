import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from echosyn.errors import DataError
from echosyn.metrics.area import lv_area
from echosyn.metrics.physiology import change, flags, heart_rate, rhythm, seam_score


def curve(rate, seconds=6.0, fps=32.0, ef=60.0):
    """Volume falls for a third of the beat and comes back; PSAX area."""
    beat = (np.arange(round(seconds * fps)) / fps * rate / 60 + 0.2) % 1
    emptied = np.interp(beat, [0, 0.35, 0.45, 0.7, 1], [0, 1, 1, 0.1, 0])
    return 500 * (1 - ef / 100 * emptied) ** (2 / 3)


@settings(deadline=None)
@given(st.floats(42, 130))
def test_the_rate_of_a_regular_curve_is_found_in_two_seconds(rate):
    assert heart_rate(curve(rate, 2.0), 32.0) == pytest.approx(rate, rel=0.08)


def test_beats_are_counted_and_each_has_the_ef():
    found = rhythm(curve(60.0), 32.0, "PSAX")
    assert found.heart_rate == pytest.approx(60, abs=1)
    assert found.num_beats == pytest.approx(6, abs=0.2)
    assert len(found.end_systole) == 6
    assert found.irregularity < 0.03
    np.testing.assert_allclose(found.beat_efs, 60, atol=3)
    assert (np.diff(found.end_systole) == 32).all()


def test_twice_the_frame_rate_is_twice_the_heart_rate():
    assert rhythm(curve(60.0), 64.0, "PSAX").heart_rate == pytest.approx(120, abs=1)


def test_a_curve_that_stands_still_has_no_rhythm():
    assert rhythm(np.full(64, 400.0), 32.0).heart_rate is None
    assert rhythm(np.full(64, np.nan), 32.0).num_beats == 0


def test_a_jump_at_a_border_is_a_seam():
    noise = np.random.default_rng(0).integers(0, 20, (64, 16, 16))
    jump = noise.copy()
    jump[32:] += 100
    assert seam_score(noise.astype(np.uint8), [32]) == pytest.approx(1, abs=0.1)
    assert seam_score(jump.astype(np.uint8), [32]) > 5
    for borders in ([], [0], [64]):
        with pytest.raises(DataError, match="borders"):
            seam_score(noise.astype(np.uint8), borders)


def test_what_does_not_beat_is_flagged():
    phantom = pytest.importorskip("echosyn.data.phantom")
    frames = phantom.render(phantom.patient(2024, 3, num_frames=64, fps=32, ef=55.0))
    assert flags(frames, lv_area(frames)) == []
    still = np.repeat(frames[:1], 64, axis=0)
    assert flags(still, lv_area(still)) == ["static"]
    black = np.zeros_like(frames)
    assert flags(black, lv_area(black)) == ["collapsed", "static", "no cavity"]


@pytest.mark.parametrize("view", ["A4C", "PSAX"])
def test_a_weak_heart_seen_through_a_blur_beats_and_a_frozen_one_under_noise_does_not(view):
    phantom = pytest.importorskip("echosyn.data.phantom")
    frames = phantom.render(phantom.patient(77, 7, view=view, num_frames=64, fps=32, ef=10.0))
    blurred = ndimage.gaussian_filter(frames.astype(np.float32), (0, 1.5, 1.5)).astype(np.uint8)
    for weak in (frames, blurred, (0.4 * blurred).astype(np.uint8)):
        assert "static" not in flags(weak, lv_area(weak, view), view)
    noise = np.random.default_rng(0).normal(0, 8, frames.shape)
    flicker = 1 + 0.2 * np.sin(np.arange(64) / 3)[:, None, None]
    for still in (frames[:1] + noise, frames[:1] * flicker):
        dead = still.clip(0, 255).astype(np.uint8)
        assert "static" in flags(dead, lv_area(dead, view), view)


def test_change_is_blind_to_gain_and_offset():
    frames = np.random.default_rng(0).integers(0, 100, (16, 24, 24)).astype(np.uint8)
    assert change(frames + 50) == pytest.approx(change(frames), rel=1e-3)
    assert change(2 * frames) == pytest.approx(change(frames), rel=1e-3)
    assert change(frames[:1].repeat(9, 0)) == pytest.approx(0, abs=1e-5)
