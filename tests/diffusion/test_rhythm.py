"""Laws of drawn heart beats."""

import numpy as np
import pytest

from echosyn import rng
from echosyn.data import phantom
from echosyn.diffusion import rhythm

FPS = 32.0


def course(index: int) -> np.ndarray:
    patient = phantom.patient(5, index, num_frames=128, fps=FPS)
    return (1 - phantom.volumes(patient) / patient.edv) / (patient.ef / 100)


@pytest.fixture(scope="module")
def hearts() -> rhythm.Rhythm:
    return rhythm.learn([course(i) for i in range(60)], FPS)


def drawn(hearts: rhythm.Rhythm, index: int, num_frames: int = 192) -> np.ndarray:
    return hearts.draw(rng.numpy_generator(0, "course", index), num_frames, FPS)


def rate(found: np.ndarray) -> float:
    """Beats per minute."""
    return float(60 * FPS / np.diff(rhythm.contractions(found)).mean())


def test_courses_run_from_diastole_to_systole(hearts):
    for i in range(20):
        found = drawn(hearts, i)
        assert found.min() >= 0
        assert found.max() <= 1
        assert found.min() < 0.05
        assert found.max() > 0.9


def test_rates_are_those_of_the_hearts_learned_from(hearts):
    real = [rate(course(i)) for i in range(60)]
    ours = [rate(drawn(hearts, i)) for i in range(60)]
    assert min(real) - 3 < min(ours)
    assert max(ours) < max(real) + 5
    assert np.mean(ours) == pytest.approx(np.mean(real), abs=8)
    assert np.std(ours) == pytest.approx(np.std(real), rel=0.4)


def test_hearts_start_anywhere_in_their_beat(hearts):
    first = np.array([drawn(hearts, i)[0] for i in range(100)])
    assert (first < 0.2).sum() > 10
    assert (first > 0.8).sum() > 5


def test_a_heart_beats_evenly(hearts):
    for i in range(10):
        durations = np.diff(rhythm.contractions(drawn(hearts, i, 960)))
        assert durations.std() < 0.08 * durations.mean()


def test_a_longer_course_begins_as_a_shorter_one(hearts):
    assert np.array_equal(drawn(hearts, 3, 64), drawn(hearts, 3, 192)[:64])


def test_an_array_gives_back_the_same_beats(hearts):
    again = rhythm.Rhythm.from_array(hearts.to_array())
    assert np.array_equal(drawn(again, 7), drawn(hearts, 7))


def test_one_heart_is_no_distribution():
    with pytest.raises(ValueError, match="1 course"):
        rhythm.learn([course(0), np.zeros(64)], FPS)
