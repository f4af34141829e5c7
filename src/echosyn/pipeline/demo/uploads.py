"""A frame or clip that somebody brings: read once, kept small and in memory only, cropped on request."""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from echosyn.data import video
from echosyn.data.resizing import resized
from echosyn.errors import ConfigError, DataError, VideoError
from echosyn.metrics.area import MIN_FRAMES, SIZE, lv_area
from echosyn.metrics.cavity import View
from echosyn.pipeline.demo.limits import Limits
from echosyn.pipeline.workers.processes import each

Pixels = NDArray[np.uint8]
MAX_SIDE = 336
"""Of what is kept in memory, in pixels: three times what the models see."""
MAX_PIXELS = 40_000_000
"""Of a still picture."""
MAX_VIDEO_BYTES = 512_000_000
"""Of a clip's grey frames while it is read."""
LIMIT_S = 60.0
"""Seconds that reading may take."""
KEPT = 4
"""Clips in memory; the oldest go first."""
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM")
_WRONG = "expected a PNG or JPEG picture, an AVI, MP4 or GIF clip, or an ultrasound DICOM file"


@dataclass(frozen=True)
class Box:
    """A square to cut out, in pixels of the kept picture."""

    x: int
    y: int
    side: int


@dataclass(frozen=True, eq=False)
class Clip:
    """What was brought."""

    frames: Pixels
    """``(T, H, W)``; one for a picture."""
    fps: float
    kind: str
    """``picture``, ``clip`` or ``DICOM``."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.frames.shape[1], self.frames.shape[2]

    @property
    def middle(self) -> Box:
        """The largest square in the middle."""
        height, width = self.size
        side = min(height, width)
        return Box((width - side) // 2, (height - side) // 2, side)

    def cut(self, box: Box) -> Pixels:
        """The square as the models see it: ``(T, 112, 112)``.

        Raises:
            ConfigError: it is not within the picture.
        """
        height, width = self.size
        inside = 0 <= box.x <= width - box.side and 0 <= box.y <= height - box.side
        if not (inside and box.side >= 16):
            raise ConfigError(
                f"crop {box.x},{box.y},{box.side}: expected a square of 16 pixels or more within {width}x{height}"
            )
        return resized(self.frames[:, box.y : box.y + box.side, box.x : box.x + box.side], SIZE)


def read(path: Path, fps: float, max_frames: int, limits: Limits | None = None) -> Clip:
    """Read a file by what it holds, whatever it is called; a clip is brought to ``fps`` and its first ``max_frames``.

    Raises:
        DataError: it is none of the kinds, damaged, or larger than allowed.
    """
    most = (limits or Limits()).upload_bytes
    if path.is_symlink() or not path.is_file():
        raise DataError("this upload is not there any more; upload the file again")
    if path.stat().st_size > most:
        raise DataError(f"the file has more than {most / 1e6:.0f} MB; cut it shorter")
    with path.open("rb") as file:
        start = file.read(132)
    if not start:
        raise DataError(f"the file is empty; {_WRONG}")
    if start.startswith(_PICTURES):
        return _picture(path)
    frames, rate, kind = _dicom(path) if start[128:132] == b"DICM" else _video(path)
    kept = np.arange(0, len(frames) / rate, 1 / fps)[:max_frames]
    return Clip(_small(frames[(kept * rate).astype(int).clip(max=len(frames) - 1)]), fps, kind)


@dataclass(frozen=True)
class Task:
    """What `read` is to read."""

    path: Path
    fps: float
    max_frames: int
    limits: Limits


def read_apart(task: Task) -> Clip:
    """As `read`, in a process of its own: a decoder that crashes or never ends on a hostile file takes no server with it.

    Raises:
        DataError: as `read`, or the process died.
    """
    [(_, found)] = each(_run, [task], 1, limit_s=LIMIT_S)
    if found is None:
        raise DataError("the file cannot be decoded; copy it again from its source")
    return found


def _run(task: Task) -> Clip:
    return read(task.path, task.fps, task.max_frames, task.limits)


def end_diastole(frames: Pixels, view: View) -> int:
    """The frame ``(T, 112, 112)`` in which the left ventricle is largest; the first where it is not found."""
    if len(frames) < MIN_FRAMES:
        return 0
    areas = lv_area(frames, view)
    return int(np.argmax(areas)) if np.isfinite(areas).all() else 0


def _picture(path: Path) -> Clip:
    try:
        with Image.open(path, formats=("PNG", "JPEG", "BMP")) as image:
            if image.width * image.height > MAX_PIXELS or min(image.size) < 16:
                raise DataError(
                    f"a picture of {image.width}x{image.height}; expected 16 pixels a side or more, {MAX_PIXELS} in all at most"
                )
            return Clip(_small(np.asarray(image.convert("L"))[None]), 0.0, "picture")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError("the picture is damaged; save it again as PNG") from error


def _video(path: Path) -> tuple[Pixels, float, str]:
    try:
        height, width = video.size(path)
        if height * width > MAX_PIXELS or min(height, width) < 16:
            raise DataError(
                f"a clip of {width}x{height}; expected 16 pixels a side or more, {MAX_PIXELS} in all at most"
            )
        most = max(1, MAX_VIDEO_BYTES // (height * width))
        if video.probe(path)[0] > most:
            raise DataError(f"the clip has more than {most} frames of {width}x{height}; cut it shorter")
        found = video.read(path)
    except video.BadVideoError as error:
        detail = _WRONG if error.fault == "unreadable" else "copy it again from its source"
        raise DataError(f"{error.fault}: {detail}") from error
    except VideoError as error:
        raise DataError(f"the clip cannot be read; {_WRONG}") from error
    return found.grey(), found.fps, "clip"


def _dicom(path: Path) -> tuple[Pixels, float, str]:
    from echosyn.data.dicom import deidentify
    from echosyn.data.dicom.faults import BadDicomError

    try:
        cine = deidentify.cine(path)
    except BadDicomError as error:
        raise DataError(f"DICOM: {error.fault}; expected an ultrasound cine") from error
    return cine.frames, cine.fps, "DICOM"


def _small(frames: Pixels) -> Pixels:
    height, width = frames.shape[1:]
    factor = MAX_SIDE / max(height, width)
    if factor >= 1:
        return np.ascontiguousarray(frames)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.stack([np.asarray(Image.fromarray(f).resize(size, Image.Resampling.BOX)) for f in frames])


@dataclass(eq=False)
class Clips:
    """The clips of the visits, in memory, by an unguessable name; forgotten after a while."""

    limits: Limits
    clock: Callable[[], float] = time.monotonic
    _kept: OrderedDict[str, tuple[float, Clip]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, clip: Clip) -> str:
        """Keep a clip; its name."""
        name = secrets.token_urlsafe(16)
        with self._lock:
            self._forget()
            self._kept[name] = self.clock(), clip
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return name

    def get(self, name: str) -> Clip:
        """The clip of a name.

        Raises:
            DataError: it was forgotten.
        """
        with self._lock:
            self._forget()
            if name not in self._kept:
                raise DataError("this upload was forgotten, as all are after a while; upload the file again")
            return self._kept[name][1]

    def _forget(self) -> None:
        old = [name for name, (since, _) in self._kept.items() if self.clock() - since > self.limits.age_s]
        for name in old:
            del self._kept[name]
