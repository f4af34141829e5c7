"""A texture that is fitted, laid and kept."""

import numpy as np
import pytest
from scipy import ndimage

from echosyn import weights
from echosyn.data import phantom
from echosyn.errors import DataError, ModelError
from echosyn.metrics.spectrum import OCTAVES, spatial_power, temporal_power
from echosyn.texture import Texture, fit
from echosyn.texture.texture import FILE

SIZE, FRAMES = 64, 40


def pairs(num, seed):
    """Smooth sectors, and the same with noise of known size: fine in space, half of it anew in each frame."""
    draws = np.random.default_rng(seed)
    row, column = np.mgrid[:SIZE, :SIZE]
    angle, depth = np.arctan2(column - 32, row + 2), np.hypot(column - 32, row + 2)
    inside = (np.abs(angle) < 0.6) & (depth < 62) & (depth > 5)
    recorded, decoded = [], []
    for _ in range(num):
        slow = ndimage.gaussian_filter(draws.standard_normal((SIZE, SIZE)), 6)
        level = (70 + 45 * slow / slow.std()).clip(20, 180) * inside
        stays, changes = draws.standard_normal((SIZE, SIZE)), draws.standard_normal((FRAMES, SIZE, SIZE))
        grain = ndimage.gaussian_filter(stays, 0.8) + ndimage.gaussian_filter(changes, (0, 0.8, 0.8))
        grain /= grain.std()
        decoded.append(np.repeat(level[None], FRAMES, 0).astype(np.uint8))
        recorded.append((level * (1 + 0.25 * grain)).clip(0, 255).astype(np.uint8) * inside)
    return recorded, decoded, inside


@pytest.fixture(scope="module")
def fitted():
    recorded, decoded, _ = pairs(10, 0)
    return fit(recorded, decoded, seed=1, steps=150)


@pytest.fixture(scope="module")
def shipped():
    found = Texture.load(weights.shipped() / "vae")
    assert found is not None
    return found


def test_laid_frames_have_the_power_of_recorded_ones_at_every_frequency(fitted):
    recorded, decoded, inside = pairs(6, 7)
    laid = [fitted.lay(video, 3, i) for i, video in enumerate(decoded)]
    inner = ndimage.binary_erosion(inside, iterations=2)

    def space(videos):
        return np.mean([spatial_power(video[::13], inner)[0].mean(0) for video in videos], 0)

    def time(videos):
        return np.mean([temporal_power(video, inner) for video in videos], 0)

    plain, real, made = space(decoded), space(recorded), space(laid)
    for low, high in OCTAVES.values():
        assert 0.6 < made[low:high].sum() / real[low:high].sum() < 1.6
        assert plain[low:high].sum() / real[low:high].sum() < 0.5  # what a decoder leaves fails the same bar
    ratio = time(laid)[2:].sum() / time(recorded)[2:].sum()
    assert 0.6 < ratio < 1.6


def test_of_two_frames_each_it_has_their_power_and_the_given_course_in_time(fitted):
    recorded, decoded, inside = pairs(8, 4)
    coarse = [
        ndimage.gaussian_filter(v[:2].astype(float) - d[:2], (0, 1.5, 1.5))
        for v, d in zip(recorded, decoded, strict=True)
    ]
    recorded = [(d[:2] + 2 * c).clip(0, 255).astype(np.uint8) * inside for d, c in zip(decoded, coarse, strict=True)]
    of_stills = fit(recorded, [video[:2] for video in decoded], seed=1, steps=40, moving=fitted)
    inner = ndimage.binary_erosion(inside, iterations=2)

    def laid(texture):
        return [texture.lay(video, 3, i) for i, video in enumerate(decoded[:4])]

    def space(videos):
        return np.mean([spatial_power(video[:2], inner)[0].mean(0) for video in videos], 0)

    def persistence(videos):
        grain = [(v.astype(float) - d)[:, inner] for v, d in zip(videos, decoded, strict=False)]
        return np.mean([np.corrcoef(g[0], g[4])[0, 1] for g in grain])

    real, made, other = space(recorded), space(laid(of_stills)), space(laid(fitted))
    low, high = OCTAVES["1/4 to 1/2"]
    assert 0.6 < made[low:high].sum() / real[low:high].sum() < 1.6
    assert other[low:high].sum() / real[low:high].sum() > 2  # the texture of other recordings fails the same bar
    assert abs(persistence(laid(of_stills)) - persistence(laid(fitted))) < 0.15


def test_a_texture_is_that_of_its_seed_and_number_alone(shipped, decoded_phantom):
    first = shipped.lay(decoded_phantom, 5, 7)
    shipped.lay(decoded_phantom[:, ::-1].copy(), 1, 1)
    np.testing.assert_array_equal(shipped.lay(decoded_phantom, 5, 7), first)
    for seed, number in ((5, 8), (6, 7)):
        assert (shipped.lay(decoded_phantom, seed, number) != first).mean() > 0.2


def test_outside_of_the_sector_it_stays_black_and_inside_the_picture_stays(shipped, decoded_phantom, drawn):
    laid = shipped.lay(decoded_phantom, 5, 7)
    assert laid.shape == decoded_phantom.shape
    assert laid.dtype == np.uint8
    around = ~ndimage.binary_dilation(drawn(phantom.patient(77, 0, num_frames=64)), iterations=3)
    assert around.sum() > 2000
    assert laid[:, around].max() == 0
    blurred = [ndimage.gaussian_filter(x.astype(float), (0, 3, 3)) for x in (laid, decoded_phantom)]
    assert np.corrcoef(blurred[0].ravel(), blurred[1].ravel())[0, 1] > 0.97
    assert abs(blurred[0].mean() - blurred[1].mean()) < 3


def test_grain_stays_for_some_frames_and_fades(shipped, decoded_phantom):
    still = np.repeat(decoded_phantom[:1], 40, 0)
    laid = shipped.lay(still, 0, 0).astype(float)
    bright = ndimage.binary_erosion(still[0] > 60, iterations=1)
    grain = (laid - laid.mean(0))[:, bright] + (laid.mean(0) - ndimage.gaussian_filter(laid.mean(0), 2))[bright]
    lags = [np.corrcoef(grain[:-k].ravel(), grain[k:].ravel())[0, 1] for k in (1, 4, 16)]
    assert 0.6 < lags[0] < 0.97
    assert lags[0] > lags[1] > lags[2]


def test_a_black_video_stays_black(shipped):
    black = np.zeros((5, 112, 112), np.uint8)
    assert shipped.lay(black, 0, 0) is black


def test_what_is_kept_lays_the_same_bytes(fitted, tmp_path):
    fitted.save(tmp_path)
    kept = Texture.load(tmp_path)
    assert kept is not None
    _, decoded, _ = pairs(1, 9)
    again = Texture.load(tmp_path)
    np.testing.assert_array_equal(again.lay(decoded[0], 1, 2), kept.lay(decoded[0], 1, 2))
    assert np.abs(kept.lay(decoded[0], 1, 2).astype(int) - fitted.lay(decoded[0], 1, 2)).mean() < 0.1


def test_a_model_folder_without_one_has_none(tmp_path):
    assert Texture.load(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"garbage" * 100])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ModelError, match=r"texture\.safetensors.*echosyn texture"):
        Texture.load(tmp_path)


def test_too_few_or_too_short_videos_are_refused():
    recorded, decoded, _ = pairs(9, 2)
    with pytest.raises(DataError, match="7 videos have a sector"):
        fit(recorded[:7], decoded[:7])
    with pytest.raises(DataError, match="0 videos"):
        fit([video[:20] for video in recorded], [video[:20] for video in decoded])
