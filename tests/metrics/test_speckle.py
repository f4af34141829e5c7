import numpy as np
import pytest
from scipy import ndimage

from echosyn.data import phantom as phantoms
from echosyn.data.background import background, zeroed
from echosyn.metrics.speckle import NAMES, TIMES, persistence, speckle, speckle_motion

INSIDE = np.zeros((112, 112), bool)
INSIDE[4:108, 4:108] = True


def grain(along: float, across: float, seed: int = 0, count: int = 1) -> np.ndarray:
    """Noise of unit variance whose correlation has these widths down and to the side, ``(count, 112, 112)``."""
    x = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(count, 112, 112)), (0, along, across))
    return x / x.std()


def named(frame: np.ndarray, inside: np.ndarray = INSIDE) -> dict[str, float]:
    return dict(zip(NAMES, speckle(frame[None], inside)[0].tolist(), strict=True))


def test_lengths_along_and_across_the_beams_are_those_of_the_grain():
    # in a rectangle the beams run down; 112 beams lie on 104 columns
    frame = (128 + 25 * grain(0.7, 1.4)[0]).round().clip(0, 255).astype(np.uint8)
    found = named(frame)
    for half in ("near", "far"):
        along, across = (found[f"{half} half, {way} the beam: length"] for way in ("along", "across"))
        assert 0.6 < along < 1.5 < across < 2.6, half
    turned = named(np.ascontiguousarray(frame.T))
    assert turned["far half, along the beam: length"] > turned["far half, across the beam: length"]


def test_deviation_is_told_by_brightness():
    half = np.arange(112) < 56
    level = np.where(half, 70, 170)[None] + np.where(half, 5, 20)[None] * grain(0.6, 0.6)[0]
    found = named(level.round().clip(0, 255).astype(np.uint8))
    assert found["local mean, part 1 of 6"] < 80 < 160 < found["local mean, part 6 of 6"]
    assert found["local deviation, part 6 of 6"] > 2.5 * found["local deviation, part 1 of 6"]
    shares = [found[name] for name in NAMES if name.startswith("levels")]
    assert sum(shares) == pytest.approx(1)
    assert sum(shares[:7]) == pytest.approx(0.5, abs=0.06)


def test_persistence_is_the_correlation_of_frames_that_far_apart():
    fresh = grain(0.7, 0.7, count=48)
    moving = fresh.copy()
    for t in range(1, 48):
        moving[t] = 0.9 * moving[t - 1] + np.sqrt(1 - 0.9**2) * fresh[t]
    assert persistence(moving.astype(np.float32), INSIDE) == pytest.approx(0.9 ** np.array(TIMES), abs=0.04)
    assert persistence(fresh.astype(np.float32), INSIDE) == pytest.approx(0, abs=0.05)
    still = np.repeat(fresh[:1], 32, axis=0).astype(np.float32)
    assert persistence(still, INSIDE) == pytest.approx(1)


def test_the_grain_of_a_phantom_fades_over_a_quarter_of_a_second():
    clip = zeroed(phantoms.render(phantoms.patient(3, 0, num_frames=64, fps=32.0)))[:32]
    lags = speckle_motion(clip, ~background(clip))[-4:]
    assert 0.6 < lags[0] < 0.95
    assert (np.diff(lags) < 0).all()
    assert lags[-1] < 0.6


def test_a_black_clip_has_numbers():
    nowhere, black = np.zeros((112, 112), bool), np.zeros((16, 112, 112), np.uint8)
    for inside in (nowhere, INSIDE):
        assert np.isfinite(speckle(black, inside)).all()
        assert np.isfinite(speckle_motion(black, inside)).all()
    assert speckle(black, nowhere).shape == (16, len(NAMES))
