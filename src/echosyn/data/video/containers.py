"""Opening a video file: which containers are read, and the named faults of those that cannot be."""

import errno
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import av
import psutil
from av.stream import Disposition

from echosyn.errors import VideoError

Fault = Literal[
    "missing file", "unreadable", "truncated", "wrong header", "zero frames", "no frame rate", "not as written"
]

EXTENSIONS = (".avi", ".mp4", ".gif", ".mov", ".m4v", ".mkv", ".webm", ".mpg", ".mpeg", ".m2v", ".ts", ".wmv", ".asf")
"""What counts as a video file, in order of preference when two files have the same stem."""

EXPECTED = "expected AVI, MP4, GIF, Matroska, MPEG or Windows Media"
# Only containers that hold pixels themselves: no play lists (which open further files), no text, no still images.
_CONTAINERS = "avi,mov,gif,matroska,mpeg,mpegts,mpegvideo,asf"
_ENOUGH_MEMORY = 1 << 30
_SEGMENT = bytes.fromhex("18538067")
_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_NESTED = {b"AVI ", b"AVIX", b"movi", b"rec "}


class BadVideoError(VideoError):
    """A video file that cannot be used; ``fault`` says why in a fixed word, for counting."""

    def __init__(self, path: Path, fault: Fault, detail: str) -> None:
        super().__init__(f"{path}: {fault}: {detail}")
        self.fault = fault
        self.detail = detail


def machine_is_full(error: OSError) -> bool:
    """Whether a fault is this computer's, and so no reason to leave a video out.

    A damaged header may ask for more memory than any computer has: with plenty left it is the file's fault.
    """
    if error.errno == errno.ENOMEM:
        return bool(psutil.virtual_memory().available < _ENOUGH_MEMORY)
    return error.errno in (errno.EMFILE, errno.ENFILE)


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """Container and video stream of a file.

    Raises:
        BadVideoError: there is no file, it is of another kind, or it has no video.
    """
    if not path.is_file():
        raise BadVideoError(path, "missing file", "expected a video file; check the name")
    try:
        container = av.open(str(path.absolute()), options={"format_whitelist": _CONTAINERS}, metadata_errors="replace")
    except av.error.FFmpegError as error:
        if machine_is_full(error):
            raise
        detail = f"{EXPECTED} ({error.strerror}); copy it again from its source or leave it out"
        raise BadVideoError(path, "unreadable", detail) from error
    with container:
        stream = next((s for s in container.streams.video if not s.disposition & Disposition.attached_pic), None)
        if stream is None:
            raise BadVideoError(path, "unreadable", "it has no video stream; leave it out")
        if stream.codec_context is None:
            raise BadVideoError(path, "unreadable", "its codec is not known here; convert it")
        stream.codec_context.thread_count = 1
        if stream.codec_context.name == "mjpeg":
            # Report damage instead of concealing it.
            stream.codec_context.options = {"err_detect": "explode"}
        yield container, stream


def is_cut(path: Path, container: Any) -> bool:
    """Whether the file ends before its container does, for those without a count of frames that say where they end."""
    check = {"gif": _gif_is_cut, "matroska,webm": _matroska_is_cut, "asf": _asf_is_cut}.get(container.format.name)
    return check is not None and check(path)


def _gif_is_cut(path: Path) -> bool:
    """The last byte says that it is whole (some writers pad with zeros)."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 1024))
        return not file.read().rstrip(b"\0").endswith(b";")


def _matroska_is_cut(path: Path) -> bool:
    """Its segment says how long it is; a live recording says that it does not know."""
    with path.open("rb") as file:
        head = file.read(4096)
    at = head.find(_SEGMENT)
    if at < 0 or at + 12 > len(head):
        return False
    first = head[at + 4]
    width = 9 - first.bit_length()
    length = int.from_bytes(head[at + 4 : at + 4 + width], "big") & ((1 << (7 * width)) - 1)
    unknown = length == (1 << (7 * width)) - 1
    return not unknown and at + 4 + width + length > path.stat().st_size


def _asf_is_cut(path: Path) -> bool:
    """Its file properties say how long it is, unless they are marked as those of a broadcast."""
    with path.open("rb") as file:
        head = file.read(65536)
    at = head.find(_FILE_PROPERTIES)
    if at < 0 or at + 92 > len(head):
        return False
    length, flags = struct.unpack_from("<Q", head, at + 40)[0], struct.unpack_from("<I", head, at + 88)[0]
    return not flags & 1 and length > path.stat().st_size


def dropped_chunks(path: Path, container: Any, stream: Any) -> int:
    """Chunks of an AVI without bytes: frames that its writer dropped, which repeat the one before them."""
    if container.format.name != "avi":
        return 0
    names = [b"%02d" % stream.index + kind for kind in (b"dc", b"db")]
    return sum(length == 0 and name in names for name, length in _chunks(path))


def _chunks(path: Path) -> Iterator[tuple[bytes, int]]:
    """Name and length of every chunk of a RIFF file, in order; lists are entered."""
    with path.open("rb") as file:
        while len(head := file.read(8)) == 8:
            name, length = head[:4], struct.unpack("<I", head[4:])[0]
            if name in (b"RIFF", b"LIST"):
                if file.read(4) not in _NESTED:
                    file.seek(max(0, length - 4 + length % 2), 1)
                continue
            yield name, length
            file.seek(length + length % 2, 1)
