"""Uploads: read by what they hold, kept small, cropped within bounds, forgotten."""

import numpy as np
import pytest
from PIL import Image

from echosyn.data import phantom, video
from echosyn.errors import ConfigError, DataError
from echosyn.pipeline.demo import uploads
from echosyn.pipeline.demo.limits import Limits
from echosyn.pipeline.demo.uploads import Box, Clip, Clips


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def test_a_picture_is_one_frame_whatever_its_name(tmp_path):
    path = tmp_path / "x.avi"
    Image.fromarray(noise(60, 80)).save(path, "PNG")
    found = uploads.read(path, 32.0, 192)
    assert (found.kind, found.frames.shape) == ("picture", (1, 60, 80))
    assert np.array_equal(found.frames[0], noise(60, 80))


def test_a_clip_keeps_its_time_and_loses_its_length(tmp_path):
    path = tmp_path / "upload"
    ramp = np.arange(100, dtype=np.uint8)[:, None, None] * np.ones((1, 32, 32), np.uint8)
    video.write_avi(path, ramp, 50.0)
    found = uploads.read(path, 25.0, 30)
    assert (found.kind, len(found.frames), found.fps) == ("clip", 30, 25.0)
    assert np.abs(found.frames[:, 0, 0].astype(int) - 2 * np.arange(30)).max() <= 2


def test_large_pictures_are_kept_small(tmp_path):
    path = tmp_path / "upload"
    Image.fromarray(noise(1000, 2000)).save(path, "JPEG")
    assert uploads.read(path, 32.0, 192).size == (uploads.MAX_SIDE // 2, uploads.MAX_SIDE)


def cut_png() -> bytes:
    import io

    buffer = io.BytesIO()
    Image.fromarray(noise(64, 64)).save(buffer, "PNG")
    return buffer.getvalue()[:500]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"hello, this is no video", "expected a PNG"),
        (b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", "expected a PNG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "expected a PNG"),
        (cut_png(), "damaged"),
        (b"RIFF" + b"\xff" * 400, "expected a PNG"),
        (b"\0" * 128 + b"DICM" + b"\xff" * 400, "DICOM"),
    ],
)
def test_other_files_are_refused_without_their_path(tmp_path, content, says):
    path = tmp_path / "secret-place"
    path.write_bytes(content)
    with pytest.raises(DataError, match=says) as error:
        uploads.read(path, 32.0, 192)
    assert "secret-place" not in str(error.value)


def test_links_are_not_followed(tmp_path):
    target = tmp_path / "target"
    Image.fromarray(noise(64, 64)).save(target, "PNG")
    link = tmp_path / "link"
    link.symlink_to(target)
    with pytest.raises(DataError, match="upload"):
        uploads.read(link, 32.0, 192)


def test_a_picture_that_claims_to_be_huge_is_not_decoded(tmp_path):
    path = tmp_path / "upload"
    Image.new("1", (7_000, 7_000)).save(path, "PNG")
    with pytest.raises(DataError):
        uploads.read(path, 32.0, 192)


@pytest.mark.slow
def test_a_hospitals_cine_loses_its_banner(tmp_path):
    pytest.importorskip("pydicom", reason="needs pydicom: pip install 'echosyn[dicom]'")
    import hospital

    who = hospital.person(1)
    screen = hospital.screen(1, who)
    path = hospital.save_jpeg(tmp_path / "upload", hospital.tags(who, "1.2.3"), screen.frames)
    found = uploads.read(path, 32.0, 192)
    assert found.kind == "DICOM"
    assert abs(len(found.frames) - len(screen.frames) * 32 / 40) <= 1
    corners = found.frames[:, [2, 2, -3, -3], [2, -3, 2, -3]]
    assert corners.max() == 0


def test_a_reader_that_dies_is_a_bad_file(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "each", lambda function, items, workers, limit_s: [(item, None) for item in items])
    with pytest.raises(DataError, match="cannot be decoded"):
        uploads.read_apart(uploads.Task(tmp_path / "x", 32.0, 64, Limits()))


def test_what_is_wrong_with_a_file_is_told_by_the_other_process(tmp_path):
    path = tmp_path / "upload"
    path.write_text("no video")
    with pytest.raises(DataError, match="expected a PNG"):
        uploads.read_apart(uploads.Task(path, 32.0, 64, Limits()))


def test_crops_stay_within_the_picture():
    clip = Clip(noise(3, 50, 70), 32.0, "clip")
    assert clip.cut(clip.middle).shape == (3, 112, 112)
    assert clip.cut(Box(20, 0, 50)).shape == (3, 112, 112)
    for wrong in (Box(21, 0, 50), Box(-1, 0, 20), Box(0, 31, 20), Box(0, 0, 8), Box(0, 0, -5), Box(0, 0, 10**9)):
        with pytest.raises(ConfigError, match="crop"):
            clip.cut(wrong)


def test_the_end_diastolic_frame_is_where_the_ventricle_is_large():
    patient = phantom.patient(5, 0, view="A4C", num_frames=64, fps=32.0)
    volumes = phantom.volumes(patient)
    found = volumes[uploads.end_diastole(phantom.render(patient), "A4C")]
    assert found > volumes.min() + 0.85 * (volumes.max() - volumes.min())


def test_clips_are_forgotten_by_age_and_by_number():
    now = [0.0]
    kept = Clips(Limits(age_s=10.0), clock=lambda: now[0])
    names = [kept.add(Clip(noise(1, 16, 16), 0.0, "picture")) for _ in range(uploads.KEPT + 1)]
    with pytest.raises(DataError, match="forgotten"):
        kept.get(names[0])
    assert kept.get(names[-1]).kind == "picture"
    now[0] = 11.0
    with pytest.raises(DataError, match="forgotten"):
        kept.get(names[-1])
