"""Autocovariances, spectra and fields."""

import numpy as np
from scipy import fft

from echosyn.texture import covariance

T, R, A = (np.arange(n, dtype=float) for n in covariance.LAGS)
KNOWN = np.exp(-T / 4)[:, None, None] * np.exp(-(R**2) / 8)[:, None] * np.exp(-(A**2) / 4)


def test_a_spectrum_is_that_of_the_even_function_with_these_values():
    shape = (70, 44, 45)
    lags = [
        np.minimum(np.minimum(np.arange(n), n - np.arange(n)), k) for n, k in zip(shape, covariance.LAGS, strict=True)
    ]
    whole = np.pad(KNOWN, [(0, 1)] * 3)[np.ix_(*lags)]
    np.testing.assert_allclose(covariance.power(KNOWN, shape), fft.rfftn(whole).real, atol=1e-8)


def test_correlations_come_back_from_their_spectrum():
    np.testing.assert_allclose(covariance.from_power(covariance.power(KNOWN)), KNOWN, atol=1e-9)


def field_with(curves: np.ndarray, frames: int, rings: int, rays: int) -> np.ndarray:
    shape = (frames, rings, rays)
    drawn = covariance.fields(KNOWN[None].astype(np.float32), curves, shape, np.random.default_rng(0))[0]
    return np.moveaxis(drawn.reshape(rings, rays, frames), 2, 0)


def test_a_field_has_the_correlations_that_were_asked_for():
    field = field_with(np.zeros((1, sum(covariance.KNOTS))), 64, 90, 80)
    assert abs(field.std() - 1) < 0.1
    found = covariance.correlation(covariance.sums(field, np.ones_like(field)))
    for lag in ((1, 0, 0), (4, 0, 0), (0, 1, 0), (0, 3, 0), (0, 0, 1), (0, 0, 2), (2, 1, 1)):
        assert abs(found[lag] - KNOWN[lag]) < 0.06, lag


def test_a_curve_along_time_makes_a_field_restless_in_time_alone():
    curves = np.zeros((1, sum(covariance.KNOTS)))
    still = field_with(curves, 64, 60, 60)
    curves[0, : covariance.KNOTS[0]] = np.linspace(-1, 3, covariance.KNOTS[0])
    restless = field_with(curves, 64, 60, 60)
    before, after = (covariance.correlation(covariance.sums(x, np.ones_like(x))) for x in (still, restless))
    assert after[1, 0, 0] < before[1, 0, 0] - 0.2
    assert abs(after[0, 1, 0] - before[0, 1, 0]) < 0.05


def test_what_is_not_looked_at_does_not_count():
    noise = np.random.default_rng(1).standard_normal((40, 50, 50)).astype(np.float32)
    weight = np.zeros_like(noise)
    weight[:, 10:40, 10:40] = 1
    hidden = noise + 1000 * (1 - weight)
    np.testing.assert_allclose(covariance.sums(hidden, weight), covariance.sums(noise, weight), rtol=1e-3, atol=2.0)


def test_white_noise_has_flat_marginals():
    white = np.zeros(covariance.LAGS)
    white[0, 0, 0] = 1
    np.testing.assert_allclose(covariance.marginals(white), 1, atol=1e-9)


def test_stills_have_the_course_in_time_of_another_texture_and_their_own_fields():
    fine = np.zeros(covariance.LAGS)
    fine[0] = np.exp(-R / 1.5)[:, None] * np.exp(-A / 2)
    found = covariance.in_motion(fine, KNOWN)
    assert (
        np.abs(found[0] - covariance.from_power(covariance.power(covariance.windowed(fine)).clip(1e-4))[0]).max() < 0.01
    )
    for lag in (1, 4, 10):
        assert abs(found[lag, 0, 0] - np.exp(-lag / 4)) < 0.1  # what fades at the last lags is flattened


def test_frames_by_themselves_have_no_course_in_time():
    field = field_with(np.zeros((1, sum(covariance.KNOTS))), 12, 60, 60)
    found = covariance.correlation(covariance.sums_of_stills(field, np.ones_like(field)))
    assert np.abs(found[1:]).max() == 0
    assert abs(found[0, 1, 0] - KNOWN[0, 1, 0]) < 0.1
