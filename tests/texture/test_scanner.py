"""How videos differ."""

import numpy as np

from echosyn.data import phantom
from echosyn.texture import Sector
from echosyn.texture.scanner import Scanner


def made(n=200, seed=0):
    draws = np.random.default_rng(seed)
    features = draws.standard_normal((n, 9))
    effects = draws.standard_normal((n, 20))
    effects[:, 0] = 3 * features[:, 0] + 0.3 * effects[:, 0]
    effects[:, 1] = np.exp(effects[:, 1])
    effects[:, 2] = effects[:, 1] ** 2
    effects[:, 5] = 0
    return features, effects


def draws_of(scanner, num=400):
    frames = phantom.render(phantom.patient(3, 1, num_frames=64))[:8]
    sector = Sector.of(frames)
    return np.stack([scanner.draw(frames, sector, np.random.default_rng(i)) for i in range(num)])


def test_drawn_effects_stay_in_the_range_that_was_seen_and_keep_their_company():
    features, effects = made()
    found = draws_of(Scanner.of(features, effects))
    assert (found >= effects.min(0) - 1e-9).all()
    assert (found <= effects.max(0) + 1e-9).all()
    assert np.corrcoef(found[:, 1], found[:, 2])[0, 1] > 0.6
    assert (found[:, 5] == 0).all()


def test_what_a_feature_says_is_used():
    features, effects = made()
    scanner = Scanner.of(features, effects)
    x = np.concatenate([[1.0], [2.0], np.zeros(8)]) @ scanner.slopes
    y = np.concatenate([[1.0], [-2.0], np.zeros(8)]) @ scanner.slopes
    assert x[0] > 1 > -1 > y[0]
    assert np.abs(x[6:]).max() < 0.8


def test_no_draw_is_a_videos_own_effects():
    features, effects = made(30)
    found = draws_of(Scanner.of(features, effects), 50)
    distances = np.linalg.norm(found[:, None] - effects[None], axis=-1)
    assert distances.min() > 0.5
