"""Video files <-> arrays of pixels, with PyAV: frames are decoded and counted, headers never trusted."""

import errno
import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from echosyn.errors import VideoError

Frames = NDArray[np.uint8]
"""``(T, H, W)`` grey or ``(T, H, W, 3)`` RGB, 0..255."""

Fault = Literal[
    "missing file", "unreadable", "truncated", "wrong header", "zero frames", "no frame rate", "not as written"
]

EXTENSIONS = (".avi", ".mp4", ".gif", ".mov", ".m4v", ".mkv")
"""What counts as a video file, in order of preference when two files have the same stem."""

# Only containers that hold pixels themselves: no play lists (which open further files), no text, no still images.
_CONTAINERS = "avi,mov,gif,matroska"
_LIMITED, _FULL = 1, 2
# Not the file's fault, so not a reason to leave a video out.
_MACHINE_IS_FULL = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_NEUTRAL_CHROMA = 2
ONE_THREAD: dict[str, Any] = {"threads": 1} if int(av.__version__.partition(".")[0]) >= 17 else {}
"""For conversions of pixels. PyAV 17 begins threads for every frame unless told, which costs more than they bring."""
_EIGHT_BIT_YUV = tuple(f"yuv{full}{layout}p" for full in ("", "j") for layout in (411, 420, 422, 440, 444))


class BadVideoError(VideoError):
    """A video file that cannot be used; ``fault`` says why in a fixed word, for counting."""

    def __init__(self, path: Path, fault: Fault, detail: str) -> None:
        super().__init__(f"{path}: {fault}: {detail}")
        self.fault = fault
        self.detail = detail


@dataclass(frozen=True, eq=False)
class Video:
    """A recording in memory."""

    frames: Frames
    fps: float

    def grey(self) -> Frames:
        """Frames as ``(T, H, W)``: the mean over the channels, rounded to the nearest level."""
        return self.frames if self.frames.ndim == 3 else _mean(self.frames)


def read(path: Path, *, grey: bool = True, fps: float | None = None) -> Video:
    """Decode a whole video file.

    Grey means the average of R, G and B, as in the published code. Where a frame carries no colour (no chroma sample
    further than 2 levels from neutral) that average is the luma plane, which is taken directly: faster, and up to
    1.7 dB nearer to what was written. Limited-range video is stretched to 0..255.

    Args:
        path: AVI, MP4/MOV, GIF or Matroska file.
        grey: Return ``(T, H, W)``; otherwise ``(T, H, W, 3)`` RGB.
        fps: Frame rate to use instead of the container's. A GIF counts in ticks of 10 ms: its rate is rounded.

    Raises:
        BadVideoError: The file is missing, no video, truncated or damaged, has no frames, or has no frame rate.
    """
    convert = _grey if grey else _rgb
    with _opened(path) as (container, stream):
        frames = np.stack([convert(frame) for frame in _decoded(path, container, stream)])
        return Video(frames, fps if fps is not None else _fps(path, stream))


def probe(path: Path, see: Callable[[Frames], None] | None = None) -> tuple[int, int, int, float]:
    """``(num_frames, height, width, fps)`` of a video, by decoding it without keeping the frames.

    Args:
        path: As `read`.
        see: Shown each frame, grey ``(H, W)``.

    Raises:
        BadVideoError: As `read`.
    """
    with _opened(path) as (container, stream):
        num_frames = height = width = 0
        for frame in _decoded(path, container, stream):
            num_frames, height, width = num_frames + 1, frame.height, frame.width
            if see:
                see(_grey(frame))
        return num_frames, height, width, _fps(path, stream)


def size(path: Path) -> tuple[int, int]:
    """``(height, width)`` of a video, by decoding its first frame only.

    Raises:
        BadVideoError: The file is missing, no video, or its first frame cannot be decoded.
    """
    with _opened(path) as (container, stream):
        first = next(_decoded(path, container, stream))
        return first.height, first.width


def verify(path: Path, num_frames: int, fps: float, size: tuple[int, int]) -> None:
    """Re-open a written video and compare what it holds with what it should: frames, rate, ``(height, width)``.

    Raises:
        BadVideoError: It cannot be read, or something differs.
    """
    _compare(path, path, num_frames, fps, size)


def exact_fps(fps: float) -> float:
    """The frame rate that a container will hold for ``fps``: the nearest fraction with denominator up to 100,000."""
    return float(_rate(fps))


def write_avi(path: Path, frames: Frames, fps: float, *, verify: bool = True) -> None:
    """Write a Motion-JPEG AVI as EchoNet-Dynamic's, near-lossless (about 47 dB), any size, same frames same bytes.

    Args:
        path: Written under a temporary name beside it, renamed when whole.
        frames: ``(T, H, W)`` or ``(T, H, W, 3)`` uint8.
        fps: Frames per second, kept as it is.
        verify: Read the file back and compare frame count, rate and size.

    Raises:
        VideoError: The frames or the rate cannot be written, or the file read back differs.
    """
    _require_frames(path, frames, fps)

    def write(temporary: Path) -> None:
        _encode(temporary, frames, _rate(fps), "avi", "mjpeg", "yuvj420p", _FULL, {"qmin": "1", "qmax": "1"})
        if verify:
            _compare(temporary, path, len(frames), fps, (frames.shape[1], frames.shape[2]))

    _whole(path, write)


def write_mp4(path: Path, frames: Frames, fps: float) -> None:
    """Write an H.264 MP4 that every browser plays: for showing, not for measuring.

    An odd height or width gets its last row or column twice, because 4:2:0 needs even sizes. Pixels are stored in
    limited range, which is what players expect.

    Raises:
        VideoError: The frames or the rate cannot be written.
    """
    _require_frames(path, frames, fps)
    odd = [(0, 0), (0, frames.shape[1] % 2), (0, frames.shape[2] % 2)] + [(0, 0)] * (frames.ndim - 3)
    even = np.pad(frames, odd, mode="edge")
    _whole(
        path,
        lambda temporary: _encode(temporary, even, _rate(fps), "mp4", "libx264", "yuv420p", _LIMITED, {"crf": "16"}),
    )


def write_gif(path: Path, frames: Frames, fps: float) -> None:
    """Write an endless GIF. Grey is exact, colour has 256 colours a frame.

    A GIF counts in ticks of 10 ms and browsers slow down what is faster than two of them, so the rate becomes
    ``100 / max(2, round(100 / fps))``.

    Raises:
        VideoError: The frames or the rate cannot be written.
    """
    _require_frames(path, frames, fps)
    rate = Fraction(100, max(2, round(100 / fps)))
    pixels = "gray" if frames.ndim == 3 else "pal8"
    _whole(path, lambda temporary: _encode(temporary, frames, rate, "gif", "gif", pixels, _FULL, {}))


def write_png(folder: Path, frames: Frames) -> None:
    """Write a new folder of lossless images ``000000.png``, ``000001.png``, ...; the frame rate is not kept.

    Raises:
        VideoError: The frames cannot be written, or the folder exists.
    """
    _require_frames(folder, frames, 1.0)
    if folder.exists():
        raise VideoError(f"{folder}: exists already; expected a new folder: choose another name or remove it")

    def write(temporary: Path) -> None:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        for i, frame in enumerate(frames):
            Image.fromarray(frame).save(temporary / f"{i:06d}.png")

    _whole(folder, write)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    if not path.is_file():
        raise BadVideoError(path, "missing file", "expected a video file; check the name")
    try:
        container = av.open(str(path.absolute()), options={"format_whitelist": _CONTAINERS})
    except av.error.FFmpegError as error:
        if error.errno in _MACHINE_IS_FULL:
            raise
        detail = f"expected AVI, MP4, GIF or Matroska ({error.strerror}); copy it again from its source or leave it out"
        raise BadVideoError(path, "unreadable", detail) from error
    with container:
        if not container.streams.video:
            raise BadVideoError(path, "unreadable", "it has no video stream; leave it out")
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        if stream.codec_context.name == "mjpeg":
            # Report damage instead of concealing it.
            stream.codec_context.options = {"err_detect": "explode"}
        yield container, stream


def _decoded(path: Path, container: Any, stream: Any) -> Iterator[Any]:
    count = hidden = 0
    size: tuple[int, int] | None = None
    try:
        for packet in container.demux(stream):
            if packet.is_corrupt:
                raise _truncated(path, stream, count)
            hidden += packet.is_discard
            for frame in packet.decode():
                size = size or (frame.height, frame.width)
                if (frame.height, frame.width) != size:
                    raise BadVideoError(path, "unreadable", f"the picture size changes at frame {count}; convert it")
                yield frame
                count += 1
    except av.error.FFmpegError as error:
        if error.errno in _MACHINE_IS_FULL:
            raise
        raise _truncated(path, stream, count) from error
    if count == 0:
        said = f"header says {stream.frames}" if stream.frames else "it holds none"
        raise BadVideoError(path, "zero frames", f"{said}, nothing could be decoded; leave it out")
    if (stream.frames and stream.frames != count + hidden) or _gif_is_cut(path, container):
        raise _truncated(path, stream, count)


def _truncated(path: Path, stream: Any, count: int) -> BadVideoError:
    fault: Fault = "wrong header" if 0 < stream.frames < count else "truncated"
    said = f"header says {stream.frames} frames, {count} decoded" if stream.frames else f"damaged after {count} frames"
    return BadVideoError(path, fault, f"{said}; copy it again from its source or leave it out")


def _gif_is_cut(path: Path, container: Any) -> bool:
    """A GIF has no frame count, only a last byte that says that it is whole (some writers pad with zeros)."""
    if container.format.name != "gif":
        return False
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 1024))
        return not file.read().rstrip(b"\0").endswith(b";")


def _fps(path: Path, stream: Any) -> float:
    if not stream.average_rate:
        raise BadVideoError(path, "no frame rate", "the container has none; give it: --fps NUMBER")
    return float(stream.average_rate)


def _grey(frame: Any) -> Frames:
    pixels = frame.format.name
    if pixels in _EIGHT_BIT_YUV:
        if any(_is_coloured(_plane(plane)) for plane in frame.planes[1:]):
            return _mean(_rgb(frame))
    elif not pixels.startswith("gray"):
        return _mean(_rgb(frame))
    if frame.color_range == _FULL or pixels.startswith("yuvj") or (pixels == "gray" and frame.color_range != _LIMITED):
        return _plane(frame.planes[0]).copy()
    return _array(frame.reformat(format="gray", dst_color_range=_FULL, **ONE_THREAD))


def _plane(plane: Any) -> Frames:
    return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


def _is_coloured(chroma: Frames) -> bool:
    return bool(chroma.min() < 128 - _NEUTRAL_CHROMA or chroma.max() > 128 + _NEUTRAL_CHROMA)


def _rgb(frame: Any) -> Frames:
    return _array(frame.reformat(format="rgb24", **ONE_THREAD))


def _array(frame: Any) -> Frames:
    array: Frames = frame.to_ndarray()
    return array


def _mean(rgb: Frames) -> Frames:
    red, green, blue = np.moveaxis(rgb, -1, 0)
    grey: Frames = ((red.astype(np.uint16) + green + blue + 1) // 3).astype(np.uint8)
    return grey


def _rate(fps: float) -> Fraction:
    return Fraction(fps).limit_denominator(100_000)


def _require_frames(path: Path, frames: Frames, fps: float) -> None:
    if frames.dtype != np.uint8 or frames.ndim not in (3, 4) or (frames.ndim == 4 and frames.shape[3] != 3):
        raise VideoError(f"{path}: got {frames.dtype} {frames.shape}, expected uint8 (T, H, W) or (T, H, W, 3)")
    if not frames.size:
        raise VideoError(f"{path}: nothing to write: the frames have shape {frames.shape}, expected at least one pixel")
    if not (math.isfinite(fps) and _rate(fps) > 0):
        raise VideoError(f"{path}: {fps} frames per second, expected a positive number")


def _whole(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary sibling and rename it; on any failure nothing is left."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        write(temporary)
        temporary.replace(path)
    except av.error.FFmpegError as error:
        if isinstance(error, OSError):
            raise
        raise VideoError(f"{path}: cannot be written ({error}); try another size or frame rate") from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        temporary.unlink(missing_ok=True)


def _encode(
    path: Path,
    frames: Frames,
    rate: Fraction,
    container: str,
    codec: str,
    pixels: str,
    color_range: int,
    options: dict[str, str],
) -> None:
    # One thread and no version stamps: equal frames give equal bytes.
    flags = {"fflags": "+bitexact"} | ({"movflags": "+faststart"} if container == "mp4" else {})
    with av.open(str(path.absolute()), "w", format=container, options=flags) as output:
        stream = output.add_stream(codec, rate=rate, options=options | {"flags": "+bitexact"})
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], pixels
        stream.codec_context.color_range = color_range
        stream.codec_context.thread_count = 1
        for frame in frames:
            output.mux(stream.encode(_to_av(frame, pixels, color_range)))
        output.mux(stream.encode())


def _to_av(frame: Frames, pixels: str, color_range: int) -> Any:
    if pixels == "pal8":
        return _palette_frame(frame)
    source = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="gray" if frame.ndim == 2 else "rgb24")
    return source.reformat(format=pixels, src_color_range=_FULL, dst_color_range=color_range, **ONE_THREAD)


def _palette_frame(frame: Frames) -> Any:
    image = Image.fromarray(frame).quantize(256)
    colours = np.zeros((256, 4), np.uint8)
    colours[:, 0] = 255
    palette = np.asarray(image.getpalette() or [], np.uint8).reshape(-1, 3)
    colours[: len(palette), 1:] = palette
    return av.VideoFrame.from_ndarray((np.asarray(image), colours), format="pal8")


def _compare(path: Path, shown: Path, num_frames: int, fps: float, size: tuple[int, int]) -> None:
    found = probe(path)
    expected = (num_frames, *size, exact_fps(fps))
    if found[:3] != expected[:3] or not math.isclose(found[3], expected[3], rel_tol=1e-6):
        raise BadVideoError(shown, "not as written", f"{_said(found)}, expected {_said(expected)}; write it again")


def _said(facts: tuple[int, int, int, float]) -> str:
    num_frames, height, width, fps = facts
    return f"{num_frames} frames of {width}x{height} at {fps:g} fps"
