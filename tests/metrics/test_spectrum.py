import numpy as np
import pytest

from echosyn.metrics.spectrum import BINS, OCTAVES, RINGS, spatial_power, spectrum, temporal_power

INSIDE = np.zeros((112, 112), bool)
INSIDE[10:105, 8:100] = True


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(128, 20, (count, 112, 112)).round().clip(0, 255).astype(np.uint8)


def test_white_noise_has_its_variance_at_every_frequency_of_space_and_time():
    rings, directions = spatial_power(noise(16), INSIDE)
    assert rings.mean(axis=0)[1:] == pytest.approx(400, rel=0.08)
    assert directions.mean(axis=0) == pytest.approx(1, abs=0.05)
    # the mean is taken off first, and with it a part of the slowest change
    assert temporal_power(noise(32), INSIDE)[1:] == pytest.approx(400, rel=0.05)
    assert temporal_power(noise(128), INSIDE)[1:] == pytest.approx(400, rel=0.05)
    assert len(temporal_power(noise(12), INSIDE)) == BINS


@pytest.mark.parametrize("cycles", [10, 28, 50])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_wave_is_found_at_its_frequency_and_in_its_direction(cycles, axis):
    places = np.indices((112, 112))[axis]
    wave = (128 + 60 * np.cos(2 * np.pi * cycles / 112 * places)).round().astype(np.uint8)[None]
    rings, directions = spatial_power(wave, INSIDE)
    assert abs(rings[0].argmax() + 0.5 - cycles / 56 * RINGS) <= 1
    octave = next(i for i, (low, high) in enumerate(OCTAVES.values()) if low <= rings[0].argmax() < high)
    assert directions.reshape(3, 4)[octave].argmax() == (2 if axis == 0 else 0)


def test_a_beat_is_found_at_its_frequency_in_time():
    wave = 60 * np.cos(2 * np.pi * 5 / 32 * np.arange(32))[:, None, None] * np.ones((1, 112, 112))
    assert temporal_power(wave, INSIDE).argmax() == 5 - 1


def test_what_lies_outside_the_sector_and_its_sharp_edge_do_not_count():
    flat = np.where(INSIDE, 128, 0).astype(np.uint8)[None]
    rings, _ = spatial_power(flat, INSIDE)
    assert rings.max() < 1e-3
    frames = noise(4)
    assert spectrum(frames, INSIDE) == pytest.approx(spectrum(frames * INSIDE, INSIDE))


def test_pixels_that_alternate_are_beyond_the_nyquist_ring_and_are_seen():
    checkerboard = (128 + 4 * (-1) ** np.indices((112, 112)).sum(axis=0)).astype(np.uint8)[None]
    rings, _ = spatial_power(checkerboard, INSIDE)
    assert rings[0, -1] > 100 * rings[0, 1:RINGS].max()


def test_a_black_picture_has_no_power():
    black = np.zeros((2, 112, 112), np.uint8)
    assert np.isfinite(spectrum(black, np.zeros((112, 112), bool))).all()
    assert (temporal_power(black, np.zeros((112, 112), bool)) == 0).all()
