"""Twins are found whatever was done to the file, and nothing else is called a twin."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from echosyn.data import phantom, twins, video
from echosyn.data.video import Frames

SHARED = Path(__file__).parents[3] / "shared"


def recording(number: int, num_frames: int = 80) -> Frames:
    return phantom.render(phantom.patient(61, number, view=("A4C", "PSAX")[number % 2], num_frames=num_frames))


def encoded(frames: Frames, folder: Path, codec: str, options: dict[str, str], pixels: str = "yuv420p") -> Frames:
    """Written by another encoder and read back."""
    path = folder / ("x.avi" if codec == "mjpeg" else "x.mp4")
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=30, options=options)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:], pixels
        for frame in frames:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray").reformat(format=pixels)))
        output.mux(stream.encode())
    return video.read(path).frames


def enlarged(frames: Frames, size: int) -> Frames:
    return np.stack([np.asarray(Image.fromarray(f).resize((size, size), Image.Resampling.BICUBIC)) for f in frames])


COPIES: dict[str, Callable[[Frames, Path], Frames]] = {
    "equal": lambda f, _: f.copy(),
    "mjpeg": lambda f, to: encoded(f, to, "mjpeg", {"qmin": "8", "qmax": "8"}, "yuvj420p"),
    "mpeg4": lambda f, to: encoded(f, to, "mpeg4", {"qmin": "4", "qmax": "4"}),
    "h264": lambda f, to: encoded(f, to, "libx264", {"crf": "18"}),
    "scaled": lambda f, to: encoded(enlarged(f, 224), to, "libx264", {"crf": "23"}),
    "one level brighter": lambda f, _: f + (f < 255),
    "more contrast": lambda f, _: (f * 0.8 + 30).astype(np.uint8),
    "the first 60 %": lambda f, _: f[: len(f) * 6 // 10],
    "the last 60 %": lambda f, _: f[len(f) * 4 // 10 :],
    "both ends cut, re-encoded": lambda f, to: encoded(f[8:-8], to, "mjpeg", {"qmin": "5", "qmax": "5"}, "yuvj420p"),
}


def is_twin(a: Frames, b: Frames) -> bool:
    return twins.same(twins.fingerprint(a), twins.fingerprint(b))


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_a_twin(name: str, tmp_path: Path) -> None:
    for number in range(4):
        frames = recording(number)
        copy = COPIES[name](frames, tmp_path)
        assert is_twin(frames, copy), number
        assert is_twin(copy, frames), number


def test_other_recordings_of_a_heart_are_no_twins() -> None:
    """Other beats, other speckle, other noise; the two halves of one recording."""
    for number in range(6):
        patient = phantom.patient(61, number, view=("A4C", "PSAX")[number % 2], num_frames=80)
        frames = phantom.render(patient)
        longer = phantom.render(replace(patient, num_frames=160))
        assert not is_twin(frames, longer[80:]), number
        assert not is_twin(longer[:80], longer[80:]), number
        assert not is_twin(frames, phantom.render(replace(patient, seed=62))), number
        assert not is_twin(frames, phantom.render(replace(patient, start=(patient.start + 0.4) % 1))), number


def test_different_hearts_are_no_twins() -> None:
    prints = [twins.fingerprint(recording(number, 64)) for number in range(16)]
    assert not [pair for pair in itertools.combinations(range(16), 2) if twins.same(*(prints[i] for i in pair))]


@pytest.mark.slow
def test_two_hundred_phantoms_have_no_twins_among_them() -> None:
    prints = [twins.fingerprint(recording(number, 64)) for number in range(200)]
    assert not [(i, j) for i, j in itertools.combinations(range(200), 2) if twins.same(prints[i], prints[j])]


def test_what_cannot_be_told_apart_is_a_twin_only_if_equal() -> None:
    black, still = np.zeros((20, 48, 48), np.uint8), np.repeat(recording(0)[:1], 20, axis=0)
    assert not is_twin(black, black)
    assert not is_twin(still, still[:10])
    assert is_twin(still, still.copy())
    assert is_twin(still[:1], still[:1])
    assert not is_twin(still[:1], recording(1)[:1])
    few = recording(2)[:3]
    assert is_twin(few, few.copy())
    assert not is_twin(few, few[::-1])


def test_a_periodic_video_is_no_twin_of_its_later_beats() -> None:
    beat = recording(3, 64)[:20]
    assert not is_twin(np.concatenate([beat] * 4), np.concatenate([beat] * 3))


def test_frame_by_frame_is_the_same_and_a_fingerprint_is_small(tmp_path: Path) -> None:
    frames = recording(0)
    whole, seen = twins.fingerprint(frames), twins.Thumbnails()
    for frame in frames:
        seen.add(frame)
    assert seen.fingerprint().digest == whole.digest
    assert np.abs(seen.fingerprint().changes - whole.changes.astype(int)).max() <= 1
    twins.write(tmp_path / "more" / "a.npz", whole)
    assert [path.name for path in (tmp_path / "more").iterdir()] == ["a.npz"]
    assert (tmp_path / "more" / "a.npz").stat().st_size < 80 * 144 + 3000
    again = twins.read(tmp_path / "more" / "a.npz")
    assert again.digest == whole.digest
    assert np.array_equal(again.changes, whole.changes)


def test_groups_are_found_among_others_and_hold_together(tmp_path: Path) -> None:
    frames = [recording(number, 64) for number in range(5)]
    several = [frames[0], frames[1], frames[0][:40], frames[2], frames[0][24:], frames[3], frames[3], frames[4]]
    files = [tmp_path / f"{i}.npz" for i in range(len(several))]
    for file, one in zip(files, several, strict=True):
        twins.write(file, twins.fingerprint(one))
    assert twins.groups(files) == [[0, 2, 4], [5, 6]]
    assert twins.groups(files[:1]) == twins.groups([]) == []


@pytest.mark.slow
def test_the_real_recordings(tmp_path: Path) -> None:
    """None is a twin of another or of its own other half; each is found re-encoded and trimmed, but for one at crf 28."""
    if not (SHARED / "clips").is_dir() or not (SHARED / "frames").is_dir():
        pytest.skip(f"no recordings in {SHARED}")
    clips = [video.read(path).frames[:, :, :112] for path in sorted((SHARED / "clips").glob("*.mp4"))]
    short = [video.read(path).frames for path in sorted((SHARED / "frames" / "original").glob("*.gif"))]
    made = [video.read(path).frames for path in sorted((SHARED / "frames" / "factual").glob("*.gif"))]
    assert clips
    assert short
    prints = [twins.fingerprint(frames) for frames in (*clips, *short, *made)]
    assert not [(i, j) for i, j in itertools.combinations(range(len(prints)), 2) if twins.same(prints[i], prints[j])]
    for frames in clips:
        assert not is_twin(frames[: len(frames) // 2], frames[len(frames) // 2 :])
    copies = COPIES | {"crf 28": lambda f, to: encoded(f, to, "libx264", {"crf": "28"})}
    missed = [
        (i, name)
        for i, frames in enumerate([*clips, *short])
        for name, copy in copies.items()
        if (name != "both ends cut, re-encoded" or len(frames) > 40) and not is_twin(frames, copy(frames, tmp_path))
    ]
    assert len(missed) <= 1, missed
