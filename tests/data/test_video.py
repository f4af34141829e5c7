"""Laws of reading and writing videos, and a named error for every way in which a file can be broken."""

import errno
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from echosyn.data import phantom, video
from echosyn.data.video import BadVideoError, Frames, Video, reading
from echosyn.errors import VideoError


def waves(num_frames: int = 12, height: int = 48, width: int = 64) -> Frames:
    """Smooth moving pictures that use the whole range 0..255."""
    t, y, x = np.meshgrid(np.arange(num_frames), np.arange(height), np.arange(width), indexing="ij")
    return np.round(127.5 + 127.5 * np.sin(t / 3 + y / 7) * np.cos(x / 9 - t / 5)).astype(np.uint8)


def colours(num_frames: int = 6) -> Frames:
    grey = waves(num_frames)
    return np.stack([grey, grey[::-1], np.full_like(grey, 40)], axis=-1)


def psnr(a: Frames, b: Frames) -> float:
    error = np.mean((a.astype(float) - b.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-12)))


def fault(path: Path) -> str:
    with pytest.raises(BadVideoError) as caught:
        video.read(path)
    with pytest.raises(BadVideoError) as again:
        video.probe(path)
    assert caught.value.fault == again.value.fault
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return f"{caught.value.fault}: {caught.value.detail}"


def patched(path: Path, chunk: bytes, offset: int, value: int) -> Path:
    """Overwrite a 32-bit number in the body of an AVI's header chunk."""
    data = bytearray(path.read_bytes())
    at = data.index(chunk) + 8 + offset
    data[at : at + 4] = struct.pack("<I", value)
    path.write_bytes(data)
    return path


@pytest.fixture
def avi(tmp_path: Path) -> Path:
    path = tmp_path / "a.avi"
    video.write_avi(path, waves(40), 50)
    return path


# Laws of writing


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fps=st.fractions(min_value=Fraction(1, 2), max_value=400, max_denominator=1001),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 40), st.integers(1, 40)),
)
def test_an_avi_keeps_rate_count_and_size(tmp_path: Path, fps: Fraction, shape: tuple[int, int, int]) -> None:
    path = tmp_path / "a.avi"
    video.write_avi(path, np.full(shape, 77, np.uint8), float(fps))
    assert video.probe(path) == (*shape, float(fps))
    assert video.read(path).frames.shape == shape
    assert video.size(path) == shape[1:]


@pytest.mark.parametrize("fps", [50, 29.97, 30000 / 1001, 46.7, 1000 / 31, 25, 1])
def test_an_mp4_keeps_the_rate(tmp_path: Path, fps: float) -> None:
    path = tmp_path / "a.mp4"
    video.write_mp4(path, waves(5), fps)
    assert video.read(path).fps == fps


def test_a_gif_rounds_the_rate_to_ticks_of_ten_milliseconds(tmp_path: Path) -> None:
    for fps, kept in ((50, 50), (46.7, 50), (30, 100 / 3), (25, 25), (200, 50)):
        video.write_gif(tmp_path / "a.gif", waves(5), fps)
        assert video.read(tmp_path / "a.gif").fps == pytest.approx(kept)


@pytest.mark.parametrize(
    ("write", "name", "least"),
    [(video.write_avi, "a.avi", 47), (video.write_mp4, "a.mp4", 38), (video.write_gif, "a.gif", 99)],
)
def test_grey_comes_back(tmp_path: Path, write: Callable[..., None], name: str, least: float) -> None:
    frames = waves()
    write(tmp_path / name, frames, 25)
    found = video.read(tmp_path / name)
    assert psnr(found.frames, frames) > least
    assert psnr(video.read(tmp_path / name, grey=False).frames, np.stack([frames] * 3, -1)) > least - 3
    assert found.fps == 25


@pytest.mark.parametrize("level", [0, 16, 128, 235, 255])
@pytest.mark.parametrize(("write", "name"), [(video.write_avi, "a.avi"), (video.write_mp4, "a.mp4")])
def test_black_stays_black_and_white_white(tmp_path: Path, write: Callable[..., None], name: str, level: int) -> None:
    write(tmp_path / name, np.full((2, 32, 32), level, np.uint8), 25)
    assert np.unique(video.read(tmp_path / name).frames).tolist() == [level]


@pytest.mark.parametrize(
    ("write", "name"), [(video.write_avi, "a.avi"), (video.write_mp4, "a.mp4"), (video.write_gif, "a.gif")]
)
def test_grey_of_a_colour_video_is_the_mean_of_its_channels(
    tmp_path: Path, write: Callable[..., None], name: str
) -> None:
    frames = colours()
    write(tmp_path / name, frames, 25)
    found = video.read(tmp_path / name, grey=False)
    assert found.frames.shape == frames.shape
    assert psnr(found.frames, frames) > 25
    assert np.array_equal(video.read(tmp_path / name).frames, found.grey())
    assert psnr(found.grey(), Video(frames, 25).grey()) > 33


def test_grey_of_grey_is_itself_and_means_are_rounded() -> None:
    rgb = np.array([[[[0, 0, 1], [0, 1, 1], [255, 255, 255]]]], np.uint8)
    assert Video(rgb, 1).grey().tolist() == [[[0, 1, 255]]]
    assert Video(waves(), 1).grey() is not None


@pytest.mark.parametrize("frames", [waves(6), colours()])
@pytest.mark.parametrize(
    ("write", "name"), [(video.write_avi, "a.avi"), (video.write_mp4, "a.mp4"), (video.write_gif, "a.gif")]
)
def test_same_frames_same_bytes(tmp_path: Path, write: Callable[..., None], name: str, frames: Frames) -> None:
    (tmp_path / "other").mkdir()
    write(tmp_path / name, frames, 25)
    write(tmp_path / "other" / name, frames, 25)
    assert (tmp_path / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_an_mp4_for_browsers_is_yuv420p_of_even_size_with_its_index_first(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    video.write_mp4(path, waves(3, 33, 47), 30)
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
    assert video.probe(path) == (3, 34, 48, 30)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_equal_frames_give_equal_bytes_whatever_lies_in_memory(tmp_path: Path) -> None:
    frames = phantom.render(phantom.patient(3, 3, num_frames=64))
    generator, written = np.random.default_rng(0), set()
    for _ in range(8):
        video.write_mp4(tmp_path / "a.mp4", frames, 30)
        written.add((tmp_path / "a.mp4").read_bytes())
        generator.random(generator.integers(1_000, 100_000))
    assert len(written) == 1


@pytest.mark.parametrize("frames", [waves(3), colours(3)])
def test_png_is_lossless(tmp_path: Path, frames: Frames) -> None:
    folder = tmp_path / "png"
    video.write_images(folder, frames)
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == ["000000.png", "000001.png", "000002.png"]
    assert np.array_equal(np.stack([np.asarray(Image.open(file)) for file in files]), frames)
    with pytest.raises(VideoError, match="exists already"):
        video.write_images(folder, frames)


# Refusals leave nothing behind


@pytest.mark.parametrize(
    ("frames", "fps", "says"),
    [
        (waves().astype(float), 25, "expected uint8"),
        (waves()[0], 25, "expected uint8"),
        (np.zeros((0, 8, 8), np.uint8), 25, "nothing to write"),
        (waves(), 0, "positive number"),
        (waves(), float("nan"), "positive number"),
        (waves(), float("inf"), "positive number"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path: Path, frames: Frames, fps: float, says: str) -> None:
    for write, name in ((video.write_avi, "a.avi"), (video.write_mp4, "a.mp4"), (video.write_gif, "a.gif")):
        with pytest.raises(VideoError, match=says):
            write(tmp_path / name, frames, fps)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_keeps_the_old_file_and_no_temporary_one(avi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = avi.read_bytes()
    monkeypatch.setattr(reading, "probe", lambda path: (39, 48, 64, 50.0))
    with pytest.raises(VideoError, match=r"not as written: 39 frames of 64x48 at 50 fps, expected 40"):
        video.write_avi(avi, waves(40), 50)
    assert avi.read_bytes() == before
    assert list(avi.parent.iterdir()) == [avi]


@pytest.mark.parametrize("expected", [(39, 50, (48, 64)), (40, 49, (48, 64)), (40, 50, (64, 48))])
def test_verify_tells_every_difference(avi: Path, expected: tuple[int, float, tuple[int, int]]) -> None:
    video.verify(avi, 40, 50, (48, 64))
    with pytest.raises(VideoError, match="not as written"):
        video.verify(avi, *expected)


# Headers are not trusted, damage has a name


def test_a_header_that_promises_more_frames_is_truncated(avi: Path) -> None:
    assert fault(patched(avi, b"strh", 32, 200)) == (
        "truncated: header says 200 frames, 40 decoded; copy it again from its source or leave it out"
    )


def test_a_header_that_promises_fewer_frames_is_wrong(avi: Path) -> None:
    assert fault(patched(avi, b"strh", 32, 10)).startswith("wrong header: header says 10 frames, 40 decoded")


def test_a_header_without_count_and_a_wrong_main_header_do_not_matter(avi: Path) -> None:
    expected = video.read(avi).frames
    for chunk, offset, value in ((b"avih", 16, 200), (b"strh", 32, 0)):
        assert np.array_equal(video.read(patched(avi, chunk, offset, value)).frames, expected)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
@pytest.mark.parametrize(
    ("write", "name"), [(video.write_avi, "a.avi"), (video.write_mp4, "a.mp4"), (video.write_gif, "a.gif")]
)
def test_a_file_cut_anywhere_is_truncated(tmp_path: Path, write: Callable[..., None], name: str, share: float) -> None:
    path = tmp_path / name
    rng = np.random.default_rng(0)
    write(path, rng.integers(0, 256, (20, 48, 64), dtype=np.uint8), 25)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert fault(path).startswith("truncated: ")


def test_damage_in_the_middle_is_not_decoded_over(avi: Path) -> None:
    data = bytearray(avi.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 300] = bytes(300)
    avi.write_bytes(data)
    assert fault(avi).startswith("truncated: header says 40 frames, ")


def test_zero_frames(tmp_path: Path, avi: Path) -> None:
    data = avi.read_bytes()
    avi.write_bytes(data[: data.index(b"movi") + 4])
    assert fault(avi).startswith("zero frames: header says 40, nothing could be decoded")
    empty = tmp_path / "empty.avi"
    with av.open(str(empty), "w") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuvj420p"
        container.start_encoding()
    assert fault(empty).startswith("zero frames: it holds none")


def test_what_is_no_video(tmp_path: Path) -> None:
    text = tmp_path / "text.avi"
    text.write_text("hello\n" * 100)
    # FFmpeg would read these three as videos: ANSI art, a still image, a list of further files to open.
    art = tmp_path / "art.txt"
    art.write_text("hello\n" * 100)
    still = tmp_path / "still.png"
    Image.fromarray(waves(1)[0]).save(still)
    playlist = tmp_path / "list.avi"
    playlist.write_text("ffconcat version 1.0\nfile /etc/hostname\n")
    nothing = tmp_path / "nothing.avi"
    nothing.touch()
    for path in (text, art, still, playlist, nothing):
        assert fault(path).startswith("unreadable: expected AVI, MP4, GIF, Matroska, MPEG or Windows Media")
    assert fault(tmp_path / "absent.avi").startswith("missing file: ")
    assert fault(tmp_path).startswith("missing file: ")


def test_a_lack_of_file_handles_is_not_blamed_on_the_video(avi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise av.error.OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(av, "open", refuse)
    with pytest.raises(OSError, match="too many open files"):
        video.read(avi)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert fault(path).startswith("unreadable: it has no video stream")


def without_a_rate(path: Path, num_frames: int) -> Path:
    """A Matroska file that says nothing about its frame rate, of 25 frames a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "gray"
        for frame in waves(num_frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        container.mux(stream.encode())
    data = bytearray(path.read_bytes())
    rate = data.index(b"\x23\xe3\x83")  # the element DefaultDuration, made a void one of the same length
    length = data[rate + 3] & 0x7F
    data[rate : rate + 4 + length] = bytes([0xEC, 0x80 | (2 + length)]) + bytes(2 + length)
    path.write_bytes(data)
    return path


def test_no_frame_rate_is_an_error_unless_it_is_given(tmp_path: Path) -> None:
    path = without_a_rate(tmp_path / "a.mkv", 1)
    assert fault(path).startswith("no frame rate: the container has none; give it: --fps")
    assert video.read(path, fps=12.5).fps == 12.5
    assert np.array_equal(video.read(path, fps=12.5).frames, waves(1))


def test_time_stamps_tell_the_rate_where_the_container_does_not(tmp_path: Path) -> None:
    found = video.read(without_a_rate(tmp_path / "a.mkv", 3))
    assert found.fps == 25
    assert np.array_equal(found.frames, waves(3))


def test_a_limited_range_grey_mp4_is_stretched(tmp_path: Path) -> None:
    """Other people's encoders mark nothing; 16..235 must still become 0..255."""
    path = tmp_path / "a.mp4"
    frames = waves()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray").reformat(format="yuv420p")))
        container.mux(stream.encode())
    found = video.read(path).frames
    assert (found.min(), found.max()) == (frames.min(), frames.max())
    assert psnr(found, frames) > 45


def test_good_and_bad_files_are_closed(avi: Path) -> None:
    handles = Path("/proc/self/fd")
    if not handles.exists():
        pytest.skip("counts open files in /proc")
    cut = avi.with_name("cut.avi")
    cut.write_bytes(avi.read_bytes()[:20_000])
    before = len(list(handles.iterdir()))
    kept = []
    for _ in range(5):
        video.read(avi)
        video.size(avi)
        with pytest.raises(BadVideoError) as caught:
            video.read(cut)
        kept.append(caught)
    assert len(list(handles.iterdir())) == before


def test_the_mean_of_rgb_of_an_almost_neutral_video_is_darker_than_its_luma(
    write_as_opencv: Callable[..., None], tmp_path: Path
) -> None:
    levels = np.random.default_rng(0).integers(40, 200, (4, 8, 8), np.uint8).repeat(8, 1).repeat(8, 2)
    write_as_opencv(tmp_path / "grey.avi", levels, 50)
    luma, rgb = video.read(tmp_path / "grey.avi"), video.read(tmp_path / "grey.avi", grey=False)
    assert np.abs(luma.grey().astype(int) - levels).mean() < 0.2
    assert 0.6 < (luma.grey().astype(float) - rgb.grey()).mean() < 1.2
    assert np.abs(rgb.frames.mean(axis=-1) - rgb.grey()).max() < 0.4
