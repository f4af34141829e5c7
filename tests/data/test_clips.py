"""A clip shows a recording in real time, from anywhere in it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echosyn.data import clips

recordings = st.tuples(st.integers(1, 400), st.floats(5, 200), st.floats(5, 60))


@given(recordings)
def test_resampling_keeps_the_duration_and_the_order(recording: tuple[int, float, float]) -> None:
    num_frames, fps, target = recording
    frames = clips.resampled(num_frames, fps, target)
    assert frames[0] == 0
    assert frames.max() < num_frames
    assert (np.diff(frames) >= 0).all()
    assert len(frames) == 1 or len(frames) / target <= num_frames / fps + 1e-3
    assert (len(frames) + 1) / target > num_frames / fps
    # nearest: no frame is shown more than half a source frame away from its moment, up to the last
    moments = np.arange(len(frames)) * fps / target
    assert (np.abs(frames - np.minimum(moments, num_frames - 1)) <= 0.5 + 1e-6).all()


@given(st.integers(1, 400), st.floats(5, 200))
def test_at_its_own_rate_a_recording_is_itself(num_frames: int, fps: float) -> None:
    assert clips.resampled(num_frames, fps, fps).tolist() == list(range(num_frames))


@given(recordings, st.integers(1, 100), st.floats(0, 1, exclude_max=True))
def test_a_clip_is_a_run_of_the_resampled_recording(
    recording: tuple[int, float, float], length: int, position: float
) -> None:
    frames, clip = clips.resampled(*recording), clips.clip(*recording, length, position)
    assert len(clip) == min(length, len(frames))
    starts = [s for s in range(len(frames)) if np.array_equal(frames[s : s + len(clip)], clip)]
    assert starts


def test_every_start_is_equally_likely_and_both_ends_are_reached():
    positions = (np.arange(1000) + 0.5) / 1000
    starts = [int(clips.clip(13, 32, 32, 4, p)[0]) for p in positions]
    assert np.bincount(starts).tolist() == [100] * 10


@given(recordings, st.integers(1, 100), st.integers(1, 8))
def test_clips_spread_evenly_go_from_the_first_to_the_last_frame(
    recording: tuple[int, float, float], length: int, count: int
) -> None:
    frames = clips.resampled(*recording)
    found = clips.windows(*recording, length).spread(count)
    assert 1 <= len(found) <= count
    assert {len(c) for c in found} == {min(length, len(frames))}
    assert found[0][0] == frames[0]
    if count > 1:
        assert found[-1][-1] == frames[-1]


@given(st.integers(1, 150), st.integers(1, 40), st.integers(1, 4))
def test_with_a_period_the_clips_are_those_of_echonet_dynamic(num_frames: int, length: int, period: int) -> None:
    # it first appends blank frames up to length * period, then takes every start; -1 is a blank frame here
    padded = np.concatenate([np.arange(num_frames), np.full(max(0, length * period - num_frames), -1)])
    theirs = [padded[s + period * np.arange(length)] for s in range(len(padded) - (length - 1) * period)]
    windows = clips.windows(num_frames, 50.0, 32.0, length, period)
    assert len(windows) == len(theirs)
    for clip, their in zip(windows, theirs, strict=True):
        assert clip.tolist() == [frame for frame in their if frame >= 0]


def test_every_start_of_a_resampled_recording_is_a_window() -> None:
    windows = clips.windows(100, 50.0, 25.0, 10)
    assert [int(w[0]) for w in windows] == list(range(0, 2 * 41, 2))
    assert all(len(w) == 10 for w in windows)
    assert [int(w[0]) for w in windows[3:5]] == [6, 8]


@pytest.mark.parametrize(("length", "count"), [(10, 4), (4, 10), (7, 7), (5, 1), (0, 3), (3, 0)])
def test_spaced_numbers_are_different_rise_and_keep_the_ends(length: int, count: int) -> None:
    found = clips.spaced(length, count)
    assert len(found) == min(length, count)
    assert (np.diff(found) > 0).all()
    if len(found) > 1:
        assert (found[0], found[-1]) == (0, length - 1)
