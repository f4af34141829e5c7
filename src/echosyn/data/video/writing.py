"""Arrays of pixels -> video files, whole or not at all."""

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from echosyn.data import images
from echosyn.data.frames import Frames
from echosyn.data.video import reading
from echosyn.data.video.containers import BadVideoError
from echosyn.data.video.pixels import FULL, LIMITED, ONE_THREAD
from echosyn.errors import VideoError
from echosyn.files import whole


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
        _encode(temporary, frames, _rate(fps), "avi", "mjpeg", "yuvj420p", FULL, {"qmin": "1", "qmax": "1"})
        if verify:
            _compare(temporary, path, len(frames), fps, (frames.shape[1], frames.shape[2]))

    _whole(path, write)


H264 = {"crf": "16", "x264-params": "mbtree=0"}
"""The macroblock tree of libx264 with assembly gave equal frames other bytes from one call to the next."""


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
    _whole(path, lambda temporary: _encode(temporary, even, _rate(fps), "mp4", "libx264", "yuv420p", LIMITED, H264))


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
    _whole(path, lambda temporary: _encode(temporary, frames, rate, "gif", "gif", pixels, FULL, {}))


def write_images(folder: Path, frames: Frames, suffix: str = ".png") -> None:
    """Write a new folder of images ``000000.png``, ``000001.png``, ...; the frame rate is not kept.

    PNG is lossless, JPEG (``.jpg``) in its highest quality is not.

    Raises:
        VideoError: The frames cannot be written, or the folder exists.
    """
    _require_frames(folder, frames, 1.0)
    if folder.exists():
        raise VideoError(f"{folder}: exists already; expected a new folder: choose another name or remove it")

    def write(temporary: Path) -> None:
        temporary.mkdir()
        for i, frame in enumerate(frames):
            images.save(temporary / f"{i:06d}{suffix}", frame, suffix)

    _whole(folder, write)


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
    """Let ``write`` write a file or folder, whole or not at all."""
    try:
        with whole(path) as temporary:
            write(temporary)
    except av.error.FFmpegError as error:
        if isinstance(error, OSError):
            raise
        raise VideoError(f"{path}: cannot be written ({error}); try another size or frame rate") from error


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
    return source.reformat(format=pixels, src_color_range=FULL, dst_color_range=color_range, **ONE_THREAD)


def _palette_frame(frame: Frames) -> Any:
    image = Image.fromarray(frame).quantize(256)
    colours = np.zeros((256, 4), np.uint8)
    colours[:, 0] = 255
    palette = np.asarray(image.getpalette() or [], np.uint8).reshape(-1, 3)
    colours[: len(palette), 1:] = palette
    return av.VideoFrame.from_ndarray((np.asarray(image), colours), format="pal8")


def _compare(path: Path, shown: Path, num_frames: int, fps: float, size: tuple[int, int]) -> None:
    found = reading.probe(path)
    expected = (num_frames, *size, exact_fps(fps))
    if found[:3] != expected[:3] or not math.isclose(found[3], expected[3], rel_tol=1e-6):
        raise BadVideoError(shown, "not as written", f"{_said(found)}, expected {_said(expected)}; write it again")


def _said(facts: tuple[int, int, int, float]) -> str:
    num_frames, height, width, fps = facts
    return f"{num_frames} frames of {width}x{height} at {fps:g} fps"
