"""What lies around the sector becomes black, and nothing else does."""

import io
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from echosyn.data import phantom
from echosyn.data.background import LEVEL, RIM, background, zeroed
from echosyn.data.phantom.fan import fan

Frames = NDArray[np.uint8]
NUM_HEARTS = 16


@cache
def heart(index: int) -> Frames:
    return phantom.render(phantom.patient(31, index, num_frames=64, fps=32.0))[:12]


@cache
def sector(index: int) -> NDArray[np.bool_]:
    mask = np.zeros(112 * 112, bool)
    mask[fan(phantom.patient(31, index, num_frames=64, fps=32.0)).pixels.numpy()] = True
    return mask.reshape(112, 112)


def flickering(index: int) -> Frames:
    """The same heart as a scanner's file has it: levels 1 to 10 around the sector."""
    noise = np.random.default_rng(index).integers(1, 11, heart(index).shape).astype(np.uint8)
    return np.where(sector(index), heart(index), noise)


def jpeg(index: int) -> Frames:
    """The same heart from a file that was compressed well: steps at the edge of the sector."""
    frames = []
    for frame in heart(index):
        file = io.BytesIO()
        Image.fromarray(frame).save(file, "JPEG", quality=95)
        frames.append(np.asarray(Image.open(file)))
    return np.stack(frames)


KINDS = {"flickering": flickering, "jpeg": jpeg}


def gauge(recordings: list[Frames], synthetic: list[Frames]) -> float:
    """AUC of a linear classifier that sees no more than what lies outside of the true sectors."""

    def features(i: int, frames: Frames) -> NDArray[np.float64]:
        region = frames[:, ~sector(i)]
        levels = np.bincount(region.ravel(), minlength=256)[: LEVEL + 1] / region.size
        return np.array([region.mean(), region.std(), *levels])

    x = np.array([features(i, f) for side in (recordings, synthetic) for i, f in enumerate(side)])
    y = np.repeat([1, 0], [len(recordings), len(synthetic)])
    said = cross_val_predict(
        make_pipeline(StandardScaler(), LogisticRegression()), x, y, cv=4, method="decision_function"
    )
    return float(roc_auc_score(y, said))


@pytest.mark.parametrize("kind", KINDS)
def test_a_linear_classifier_sees_the_background_of_recordings_and_nothing_where_it_is_zeroed(kind):
    recordings = [KINDS[kind](i) for i in range(NUM_HEARTS)]
    synthetic = [heart(i) for i in range(NUM_HEARTS)]
    assert gauge(recordings, synthetic) > 0.99
    assert gauge([zeroed(f) for f in recordings], [zeroed(f) for f in synthetic]) == pytest.approx(0.5, abs=0.1)


def test_the_convention_makes_a_recording_and_its_clean_twin_alike():
    for i in range(NUM_HEARTS):
        noisy, clean = zeroed(flickering(i)), zeroed(heart(i))
        assert (noisy != clean).mean() < 0.001, i


def test_what_is_inside_the_sector_stays_but_for_its_own_dark_edge():
    for i in range(NUM_HEARTS):
        lost = background(heart(i)) & sector(i)
        inner = lost & ndimage.binary_erosion(sector(i), np.ones((3, 3)), iterations=RIM + 1)
        assert lost.sum() < 0.2 * sector(i).sum(), i
        assert heart(i)[:, inner].mean() < LEVEL if inner.any() else True
        assert (heart(i)[:, ~lost & sector(i)] == zeroed(heart(i))[:, ~lost & sector(i)]).all()


def disc(radius: int = 40) -> Frames:
    y, x = np.mgrid[:112, :112] - 56
    return np.broadcast_to(np.where(y**2 + x**2 <= radius**2, 90, 3).astype(np.uint8), (4, 112, 112)).copy()


def test_a_dark_cavity_stays_even_where_it_opens_to_the_side():
    frames = disc()
    frames[:, 50:60, 30:80] = 7
    frames[:, 54:56, 0:40] = 7  # a dark way out
    found = zeroed(frames)
    assert (found[:, 50:60, 30:80] == 7).all()
    assert (found[:, 0] == 0).all()


def test_a_pixel_that_lights_up_once_is_no_background_and_a_logo_does_not_stretch_the_sector():
    frames = disc()
    frames[2, 5:9, 5:9] = 200
    found = zeroed(frames)
    assert (found[:, 6:8, 6:8] == frames[:, 6:8, 6:8]).all()
    assert (found[:, 20, 20] == 0).all()


@pytest.mark.parametrize("level", [0, 9, 200])
def test_recordings_without_a_sector(level):
    frames = np.full((3, 64, 48), level, np.uint8)
    assert (zeroed(frames) == (level if level > LEVEL else 0)).all()


@pytest.mark.parametrize(
    "where", [(slice(10, 11), slice(5, 20)), (range(5, 20), range(5, 20)), (slice(3, 4), slice(3, 4))]
)
def test_lines_and_points_have_no_hull(where):
    frames = np.zeros((2, 32, 32), np.uint8)
    frames[:, where[0], where[1]] = 99
    assert not zeroed(frames).any()  # all rim


def test_colour_frames_are_treated_as_their_brightest_channel():
    grey = disc()
    colour = np.stack([grey, grey // 2, grey // 3], axis=-1)
    assert np.array_equal(background(colour), background(grey))
    assert (zeroed(colour)[:, 0] == 0).all()
