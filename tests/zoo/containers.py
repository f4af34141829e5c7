"""Every container and pixel format that an import can be expected to meet, and what it promises to do with each."""

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from echosyn.data.video import Frames
from zoo.case import Case

NUM_FRAMES, HEIGHT, WIDTH, FPS = 16, 48, 64, 25.0
LOSSLESS, LOSSY = 1.0, 4.0


def discs(num_frames: int = NUM_FRAMES, height: int = HEIGHT, width: int = WIDTH) -> Frames:
    """A bright disc with a smooth inside that beats and drifts over black, from 0 to 255; no two frames are equal."""
    t, y, x = np.meshgrid(np.arange(num_frames), np.arange(height), np.arange(width), indexing="ij")
    far = np.hypot(x - width * 0.42 - t, y - height * 0.5 + 3 * np.sin(t / 2))
    radius = min(height, width) * (0.36 + 0.05 * np.sin(t / 2.5))
    inside = 255 * (0.3 + 1.3 * (x + y) / (height + width - 2))
    return np.round(np.clip((radius - far) / 3, 0, 1) * np.clip(inside + 40 * np.cos(far / 4), 0, 255)).astype(np.uint8)


@dataclass(frozen=True)
class Container(Case):
    """A video file, what must come out of it, and how near."""

    truth: Callable[[], Frames] = discs
    fps: float = FPS
    within: float = LOSSLESS
    """Mean grey levels between what is read and the truth."""


@dataclass(frozen=True)
class Recipe:
    """How a file is encoded."""

    codec: str
    pixels: str
    rate: float | Fraction = 25
    full: bool | None = None
    """The range of grey that is stored and said; None: as the pixel format has it, nothing said."""
    options: Mapping[str, str] = field(default_factory=dict)
    container: str | None = None
    muxing: Mapping[str, str] = field(default_factory=dict)
    aspect: Fraction | None = None
    turn: int = 0
    sound: str | None = None
    stamps: Sequence[int] | None = None
    """When frames are shown, in milliseconds."""
    frames: Callable[[], Frames] = discs


def encode(path: Path, recipe: Recipe) -> Path:
    """Write the frames of a recipe."""
    frames = recipe.frames()
    with av.open(str(path), "w", format=recipe.container, options=dict(recipe.muxing)) as output:
        stream: Any = output.add_stream(recipe.codec, rate=Fraction(recipe.rate).limit_denominator(1000))
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], recipe.pixels
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"strict": "-2", **recipe.options}
        if recipe.full is not None:
            stream.codec_context.color_range = 2 if recipe.full else 1
        if recipe.aspect is not None:
            stream.codec_context.sample_aspect_ratio = recipe.aspect
            stream.sample_aspect_ratio = recipe.aspect
        if recipe.turn:
            stream.set_display_rotation(recipe.turn)
        if recipe.stamps is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        sound: Any = output.add_stream(recipe.sound, rate=44100) if recipe.sound else None
        if sound is not None:
            output.mux(sound.encode(_silence()))
        for i, frame in enumerate(frames):
            made = _frame(frame, recipe)
            if recipe.stamps is not None:
                made.pts, made.time_base = recipe.stamps[i], Fraction(1, 1000)
            output.mux(stream.encode(made))
        output.mux(stream.encode())
        if sound is not None:
            output.mux(sound.encode())
    return path


def _frame(frame: Frames, recipe: Recipe) -> Any:
    if recipe.pixels == "pal8":
        grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 4, axis=1)
        grey[:, 0] = 255
        return av.VideoFrame.from_ndarray((frame, grey), format="pal8")
    if recipe.pixels.startswith("gray1"):
        bits = int(recipe.pixels[4:6])
        wide = np.round(frame.astype(np.float64) / 255 * (2**bits - 1)).astype(np.uint16)
        return _grey_of_many_bits(wide, recipe.pixels)
    source = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="gray")
    limited = recipe.full is False or (
        recipe.full is None and recipe.pixels.startswith(("yuv", "uyvy")) and "j" not in recipe.pixels
    )
    return source.reformat(format=recipe.pixels, src_color_range=2, dst_color_range=1 if limited else 2)


def _grey_of_many_bits(frame: Any, pixels: str) -> Any:
    made = av.VideoFrame(frame.shape[1], frame.shape[0], pixels)
    plane = made.planes[0]
    padded = np.zeros((frame.shape[0], plane.line_size // 2), ">u2" if pixels.endswith("be") else "<u2")
    padded[:, : frame.shape[1]] = frame
    plane.update(padded.tobytes())
    return made


def _silence() -> Any:
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
    frame.sample_rate = 44100
    return frame


def _made(name: str, recipe: Recipe) -> Callable[[Path], Path]:
    return lambda folder: encode(folder / name, recipe)


def avi_chunks(data: bytes) -> list[bytes]:
    """The bodies of an AVI's frames, in order."""
    at, end, found = data.index(b"movi") + 4, data.index(b"idx1"), []
    while at < end:
        length = struct.unpack("<I", data[at + 4 : at + 8])[0]
        if data[at : at + 4] == b"00dc":
            found.append(data[at + 8 : at + 8 + length])
        at += 8 + length + length % 2
    return found


def avi_of(data: bytes, chunks: Sequence[bytes], *, index: bool = True, count: int | None = None) -> bytes:
    """An AVI with the headers of another and these frames: empty ones are frames that were dropped."""
    body, entries = b"movi", b""
    for chunk in chunks:
        entries += b"00dc" + struct.pack("<III", 16, len(body), len(chunk))
        body += b"00dc" + struct.pack("<I", len(chunk)) + chunk + b"\0" * (len(chunk) % 2)
    made = bytearray(data[: data.index(b"movi") - 8] + b"LIST" + struct.pack("<I", len(body)) + body)
    if index:
        made += b"idx1" + struct.pack("<I", len(entries)) + entries
    struct.pack_into("<I", made, 4, len(made) - 8)
    struct.pack_into("<I", made, made.index(b"strh") + 8 + 32, len(chunks) if count is None else count)
    return bytes(made)


def with_dropped_frames(folder: Path, *, index: bool) -> Path:
    """An AVI in which frames 5, 6 and the last two were dropped, so that each repeats the one before."""
    path = encode(folder / "dropped.avi", Recipe("mjpeg", "yuvj420p", options=_BEST))
    data = path.read_bytes()
    chunks = [b"" if i in _DROPPED else chunk for i, chunk in enumerate(avi_chunks(data))]
    path.write_bytes(avi_of(data, chunks, index=index))
    return path


def _grey_jpegs(folder: Path) -> Path:
    """JPEGs of one component, with padding of odd chunks and a main header that counts other frames."""
    path = encode(folder / "grey.avi", Recipe("mjpeg", "yuvj420p", options=_BEST))
    jpegs = []
    for frame in discs():
        file = BytesIO()
        Image.fromarray(frame).save(file, "JPEG", quality=97)
        jpegs.append(file.getvalue() + b"\0" * (len(file.getvalue()) % 2 == 0))
    data = bytearray(avi_of(path.read_bytes(), jpegs))
    struct.pack_into("<I", data, data.index(b"avih") + 8 + 16, 1000)
    path.write_bytes(data)
    return path


def _cut_avi(folder: Path) -> Path:
    path = encode(folder / "cut.avi", Recipe("mjpeg", "yuvj420p", options=_BEST))
    path.write_bytes(path.read_bytes()[:-9000])
    return path


def _cut(name: str, recipe: Recipe) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = encode(folder / name, recipe)
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
        return path

    return make


def dropped() -> Frames:
    """What `with_dropped_frames` shows."""
    return discs()[[4 if i in (5, 6) else min(i, 13) for i in range(NUM_FRAMES)]]


def merged_gif(folder: Path) -> Path:
    """Two seconds at 8 frames a second, as Pillow writes them: equal frames become one of a longer delay."""
    images = [Image.fromarray(frame) for frame in repeated()]
    path = folder / "merged.gif"
    images[0].save(path, save_all=True, append_images=images[1:], duration=125, loop=0)
    return path


def repeated() -> Frames:
    """16 frames of which some equal the one before."""
    return discs()[[0, 1, 2, 3, 4, 4, 4, 7, 8, 9, 10, 11, 12, 13, 14, 14]]


VARIABLE = [*range(0, 1000, 20), *range(1000, 1960, 60)]
"""Milliseconds: 50 frames a second for one second, then 16 at 16.7 a second."""


def many() -> Frames:
    """As many frames as `VARIABLE` has stamps."""
    return discs(len(VARIABLE), width=96)


def held() -> Frames:
    """What `many` shows at 50 frames a second; its encoder gives the last frame 20 ms."""
    frames = many()
    return np.concatenate([frames[:50], np.repeat(frames[50:-1], 3, axis=0), frames[-1:]])


def _squeezed() -> Frames:
    """`discs`, each pixel as wide as 4/3 of its height."""
    images = [Image.fromarray(frame).resize((48, HEIGHT), Image.Resampling.BOX) for frame in discs()]
    return np.stack([np.asarray(image) for image in images])


def _odd() -> Frames:
    return discs(height=47, width=63)


def _trimmed(folder: Path) -> Path:
    """An MP4 whose edit list begins 0.2 s late, so that 5 of its frames are not shown."""
    path = encode(folder / "trimmed.mp4", Recipe("libx264", "yuv444p", options={"qp": "0", "bf": "0"}))
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 12  # its one entry: duration in the movie's scale, begin in the medium's
    scale = struct.unpack_from(">I", data, data.index(b"mdhd") + 16)[0]
    duration = struct.unpack_from(">I", data, at)[0]
    struct.pack_into(">II", data, at, duration - 200, scale // 5)
    path.write_bytes(data)
    return path


def _play_list(folder: Path) -> Path:
    path = folder / "list.avi"
    path.write_text("ffconcat version 1.0\nfile /etc/hostname\n")
    return path


def _turned_a_little(folder: Path) -> Path:
    path = encode(folder / "askew.mp4", Recipe("libx264", "yuv444p", options={"qp": "0"}))
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    cosine, sine = round(65536 * math.cos(0.5)), round(65536 * math.sin(0.5))
    struct.pack_into(">iiiii", data, at, cosine, sine, 0, -sine, cosine)
    path.write_bytes(data)
    return path


def _sound_alone(folder: Path) -> Path:
    path = folder / "sound.mp4"
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("aac", rate=44100)
        output.mux(stream.encode(_silence()))
        output.mux(stream.encode())
    return path


_BEST = {"qmin": "1", "qmax": "1"}
_FINE = {"qmin": "1", "qmax": "2"}
_DROPPED = (5, 6, 14, 15)
_X264 = {"crf": "10"}
_X265 = {"crf": "8", "x265-params": "log-level=none:pools=1:frame-threads=1"}
_VPX = {"crf": "4", "b": "4M", "cpu-used": "5", "deadline": "good"}
_AV1 = {"crf": "10", "preset": "10", "svtav1-params": "lp=1"}


def _plain(group: str, name: str, extension: str, recipe: Recipe, within: float, **more: Any) -> Container:
    read = more.pop(
        "read", "exact to one grey level" if within <= LOSSLESS else f"within {within:g} grey levels on average"
    )
    return Container(group, name, _made(f"a.{extension}", recipe), read, within=within, **more)


def _motion_jpeg() -> list[Container]:
    formats = ("yuvj420p", "yuvj422p", "yuvj444p")
    return [
        Container("Motion JPEG", "grey in AVI, chunks of odd lengths", _grey_jpegs, "within 2 grey levels", within=2),
        *(
            _plain("Motion JPEG", f"{p} in {e.upper()}", e, Recipe("mjpeg", p, options=_BEST), 2)
            for e in ("avi", "mov", "mkv")
            for p in formats
        ),
    ]


def _lossless() -> list[Container]:
    table = [
        (
            "FFV1",
            "ffv1",
            "mkv",
            "gray gray10le gray12le gray16le yuv420p yuv422p yuv444p yuv420p10le yuv444p12le bgr0 gbrp10le",
        ),
        ("FFV1", "ffv1", "avi", "gray gray16le yuv420p"),
        ("Not compressed", "rawvideo", "avi", "yuv420p bgr24 gray pal8"),
        ("Not compressed", "rawvideo", "mov", "rgb24 uyvy422"),
        ("Not compressed", "rawvideo", "mkv", "gray yuv420p"),
        ("HuffYUV and UT Video", "huffyuv", "avi", "yuv422p rgb24"),
        ("HuffYUV and UT Video", "ffvhuff", "avi", "yuv420p"),
        ("HuffYUV and UT Video", "utvideo", "avi", "yuv420p gbrp"),
        ("PNG and QuickTime Animation", "png", "mov", "rgb24 gray pal8 gray16be"),
        ("PNG and QuickTime Animation", "qtrle", "mov", "rgb24 gray"),
        ("Palettes", "msrle", "avi", "pal8"),
        ("GIF", "gif", "gif", "gray pal8"),
    ]
    return [
        _plain(group, f"{codec} {p} in {e.upper()}", e, Recipe(codec, p), LOSSLESS)
        for group, codec, e, formats in table
        for p in formats.split()
    ]


def _grey_of_a_said_range() -> list[Container]:
    return [
        _plain(
            "FFV1",
            f"{pixels} in MKV, {'full' if full else 'limited'} range said",
            "mkv",
            Recipe("ffv1", pixels, full=full),
            LOSSLESS,
        )
        for pixels in ("gray", "gray10le", "gray16le")
        for full in ((True, False) if pixels == "gray" else (True,))
    ]


def _h26x() -> list[Container]:
    made = []
    for pixels in ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"):
        for full in (None, False, True):
            said = {None: "range not said", False: "limited range", True: "full range"}[full]
            recipe = Recipe("libx264", pixels, full=full, options=_X264)
            made.append(_plain("H.264 in MP4", f"{pixels}, {said}", "mp4", recipe, 2))
    for pixels in ("yuv420p", "yuv420p10le", "yuv420p12le"):
        for full in (False, True):
            recipe = Recipe("libx265", pixels, full=full, options=_X265)
            name = f"{pixels}, {'full' if full else 'limited'} range"
            made.append(_plain("H.265 in MP4", name, "mp4", recipe, 2))
    return made


def _streams() -> list[Container]:
    table = [
        ("MPEG-1", "mpeg1video", "yuv420p", "mpg", "mpeg", _FINE),
        ("MPEG-1", "mpeg1video", "yuv420p", "avi", None, _FINE),
        ("MPEG-2", "mpeg2video", "yuv420p", "mpg", "vob", _FINE),
        ("MPEG-2", "mpeg2video", "yuv420p", "ts", "mpegts", _FINE),
        ("MPEG-2", "mpeg2video", "yuv422p", "m2v", "mpeg2video", _FINE),
        ("MPEG-4", "mpeg4", "yuv420p", "avi", None, _FINE),
        ("MPEG-4", "mpeg4", "yuv420p", "mp4", None, _FINE | {"bf": "2"}),
        ("H.264 elsewhere", "libx264", "yuv420p", "mkv", None, _X264),
        ("H.264 elsewhere", "libx264", "yuv420p", "ts", "mpegts", _X264),
        ("H.264 elsewhere", "libx264", "yuv420p", "avi", None, _X264 | {"bf": "3"}),
        ("H.264 elsewhere", "libx264", "yuv420p", "mov", None, _X264 | {"bf": "3"}),
        ("VP8 and VP9", "libvpx", "yuv420p", "webm", None, _VPX),
        ("VP8 and VP9", "libvpx-vp9", "yuv420p", "webm", None, _VPX),
        ("VP8 and VP9", "libvpx-vp9", "yuv444p", "webm", None, _VPX),
        ("AV1", "libsvtav1", "yuv420p", "mp4", None, _AV1),
        ("AV1", "libsvtav1", "yuv420p10le", "webm", None, _AV1),
        ("Windows Media", "wmv1", "yuv420p", "wmv", "asf", _FINE),
        ("Windows Media", "wmv2", "yuv420p", "wmv", "asf", _FINE),
        ("Windows Media", "msmpeg4", "yuv420p", "avi", None, _FINE),
        ("ProRes and DNxHD", "prores_ks", "yuv422p10le", "mov", None, {}),
        ("Palettes", "cinepak", "rgb24", "avi", None, {}),
    ]
    return [
        _plain(
            group, f"{codec} {pixels} in {ext.upper()}", ext, Recipe(codec, pixels, container=c, options=options), LOSSY
        )
        for group, codec, pixels, ext, c, options in table
    ]


def _shapes() -> list[Container]:
    exact = {"qp": "0", "bf": "0"}
    x264 = ("libx264", "yuv444p")
    return [
        *(
            _plain(
                "Shape",
                f"turned by {turn} degrees",
                "mp4",
                Recipe(*x264, options=exact, turn=turn),
                LOSSLESS,
                truth=lambda turn=turn: np.rot90(discs(), turn // 90, (1, 2)),
                read="turned upright",
            )
            for turn in (90, 180, 270)
        ),
        _plain(
            "Shape",
            "pixels of 4:3 in MP4",
            "mp4",
            Recipe(*x264, options=exact, aspect=Fraction(4, 3), frames=_squeezed),
            6,
            read="made square, the coarser direction enlarged",
        ),
        *(
            _plain(
                "Shape",
                f"pixels of 4:3 in {ext.upper()}",
                ext,
                Recipe(codec, pixels, options=options, aspect=Fraction(4, 3), frames=_squeezed),
                6,
                read="made square, the coarser direction enlarged",
            )
            for codec, pixels, ext, options in (
                ("mpeg4", "yuv420p", "avi", _FINE),
                ("libx264", "yuv444p", "mkv", exact),
            )
        ),
        Container("Shape", "turned by 29 degrees", _turned_a_little, refused="expected quarter turns"),
        Container(
            "Shape",
            "pixels of 1:9",
            _made("a.mp4", Recipe(*x264, options=exact, aspect=Fraction(1, 9))),
            refused="expected up to 4:1",
        ),
        _plain(
            "Shape",
            "odd height and width, MJPEG",
            "avi",
            Recipe("mjpeg", "yuvj420p", options=_BEST, frames=_odd),
            2,
            truth=_odd,
        ),
        _plain(
            "Shape", "odd height and width, FFV1", "mkv", Recipe("ffv1", "yuv420p", frames=_odd), LOSSLESS, truth=_odd
        ),
        _plain(
            "Shape",
            "odd height and width, H.264 4:4:4",
            "mp4",
            Recipe(*x264, options=exact, frames=_odd),
            LOSSLESS,
            truth=_odd,
        ),
        _plain(
            "Shape",
            "interlaced MPEG-2",
            "mpg",
            Recipe("mpeg2video", "yuv420p", container="vob", options=_FINE | {"flags": "+ilme+ildct"}),
            LOSSY,
            read="as stored, both fields woven",
        ),
    ]


def _times() -> list[Container]:
    exact = {"qp": "0"}
    x264 = ("libx264", "yuv444p")
    steady = {"read": "at 50 frames a second, each frame for as long as a player shows it", "truth": held, "fps": 50.0}
    one: Callable[[], Frames] = lambda: discs(1)  # noqa: E731
    return [
        _plain(
            "Time",
            "variable rate in MP4",
            "mp4",
            Recipe(*x264, 50, options=exact, stamps=VARIABLE, frames=many),
            LOSSLESS,
            **steady,
        ),
        _plain(
            "Time",
            "variable rate in MKV",
            "mkv",
            Recipe("ffv1", "gray", 50, stamps=VARIABLE, frames=many),
            LOSSLESS,
            **steady,
        ),
        Container(
            "Time",
            "dropped frames in AVI",
            lambda folder: with_dropped_frames(folder, index=True),
            "the frame before each is repeated",
            truth=dropped,
            within=2,
        ),
        Container(
            "Time",
            "dropped frames in AVI without index",
            lambda folder: with_dropped_frames(folder, index=False),
            "the frame before each is repeated",
            truth=dropped,
            within=2,
        ),
        Container("Time", "GIF with merged frames", merged_gif, "each frame for its delay", truth=repeated, fps=8.25),
        _plain("Time", "8 frames a second in GIF", "gif", Recipe("gif", "gray", 8), LOSSLESS, fps=8.0),
        _plain("Time", "46.7 frames a second in MKV", "mkv", Recipe("ffv1", "gray", 46.7), LOSSLESS, fps=46.7),
        _plain(
            "Time",
            "46.7 frames a second in WMV",
            "wmv",
            Recipe("wmv2", "yuv420p", 46.7, container="asf", options=_FINE),
            LOSSY,
            fps=46.7,
        ),
        _plain("Time", "one frame in AVI", "avi", Recipe("mjpeg", "yuvj420p", options=_BEST, frames=one), 2, truth=one),
        _plain("Time", "one frame in MP4", "mp4", Recipe(*x264, options=exact, frames=one), LOSSLESS, truth=one),
        Container(
            "Time", "edit list that trims the start of MP4", _trimmed, "what the list shows", truth=lambda: discs()[5:]
        ),
        _plain(
            "Time",
            "fragmented MP4",
            "mp4",
            Recipe(*x264, options=exact, muxing={"movflags": "frag_keyframe+empty_moov"}),
            LOSSLESS,
        ),
        Container("Time", "AVI cut short", _cut_avi, refused="truncated: "),
        Container("Time", "MKV cut short", _cut("a.mkv", Recipe("ffv1", "gray")), refused="truncated: "),
        Container(
            "Time", "WMV cut short", _cut("a.wmv", Recipe("wmv2", "yuv420p", container="asf")), refused="truncated: "
        ),
    ]


def _sound() -> list[Container]:
    return [
        _plain(
            "Sound", "Motion JPEG with MP3 in AVI", "avi", Recipe("mjpeg", "yuvj420p", options=_BEST, sound="mp2"), 2
        ),
        _plain("Sound", "H.264 with AAC in MP4", "mp4", Recipe("libx264", "yuv420p", options=_X264, sound="aac"), 2),
        _plain("Sound", "FFV1 with AAC in MKV", "mkv", Recipe("ffv1", "gray", sound="aac"), LOSSLESS),
        Container("Sound", "sound alone", _sound_alone, refused="it has no video stream"),
        Container("Sound", "a play list called .avi", _play_list, refused="expected AVI, MP4, GIF"),
    ]


CASES: list[Container] = [
    *_motion_jpeg(), *_lossless(), *_grey_of_a_said_range(), *_h26x(), *_streams(), *_shapes(), *_times(), *_sound(),
]  # fmt: skip
