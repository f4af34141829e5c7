"""How many frames a file holds, by its bytes; the header's number is a claim."""

import io
from dataclasses import dataclass
from typing import Any

from echosyn.data.dicom import syntaxes
from echosyn.data.dicom.faults import BadDicomError
from echosyn.extras import require

Dataset = Any
"""A ``pydicom.Dataset``."""

_STREAMS = (b"\xff\xd8", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP")
"""How a JPEG or JPEG-LS, a JPEG 2000 codestream and a JP2 file begin."""
_RLE = "1.2.840.10008.1.2.5"


@dataclass(frozen=True)
class Held:
    """What the bytes say."""

    num_frames: int
    is_certain: bool
    """Whether there are exactly as many; else at most."""
    samples: int = 0
    """Bytes a pixel where the length contradicts the header's colour model; 0 if it does not."""


def held(found: Dataset, said: int) -> Held:
    """Count the frames of ``PixelData``, of which the header says that they are ``said`` (0: it does not say)."""
    syntax = found.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        return _native(found, said)
    if syntaxes.is_film(syntax):
        return Held(_pictures(found), is_certain=False)
    return _encapsulated(found, said)


def _native(found: Dataset, said: int) -> Held:
    """Uncompressed: by the length, which may have a byte more to be even."""
    plane = int(found.Rows) * int(found.Columns) * int(found.BitsAllocated) // 8
    samples = int(found.get("SamplesPerPixel") or 1)
    length = len(found.PixelData)
    if found.get("PhotometricInterpretation") != "YBR_FULL_422":
        return _exactly(length, plane * samples)
    halved, whole = _exactly(length, 2 * plane), _exactly(length, 3 * plane)
    if halved.is_certain and halved.num_frames == said:
        return halved
    if whole.is_certain and whole.num_frames == said:
        return Held(said, is_certain=True, samples=3)
    if halved.is_certain and whole.is_certain:
        raise BadDicomError(
            "wrong header",
            f"YBR_FULL_422 and {said} frames, but the length fits {halved.num_frames} of 2 and {whole.num_frames} of 3 "
            "bytes a pixel; export the file again",
        )
    return Held(whole.num_frames, is_certain=True, samples=3) if whole.is_certain else halved


def _exactly(length: int, frame: int) -> Held:
    return Held(length // frame, is_certain=length % frame <= (frame > 1))


def _encapsulated(found: Dataset, said: int) -> Held:
    """Compressed: a fragment that begins a picture begins a frame; else the tables of offsets count them."""
    encaps = require("pydicom.encaps", extra="dicom")
    fragments = list(encaps.generate_fragments(found.PixelData))[1:]  # the first item is the table of offsets
    rle = str(found.file_meta.TransferSyntaxUID) == _RLE
    starts = sum(rle or fragment.startswith(_STREAMS) for fragment in fragments)
    if starts == len(fragments):
        return Held(starts, is_certain=True)
    table = len(encaps.parse_basic_offsets(found.PixelData)) or len(found.get("ExtendedOffsetTable") or b"") // 8
    if table > said:
        return Held(table, is_certain=table == starts)
    return Held(max(said, starts) if said <= len(fragments) else len(fragments), is_certain=False)


def stream(found: Dataset) -> io.BytesIO:
    """The MPEG stream that all frames are."""
    generate = require("pydicom.encaps", extra="dicom").generate_fragments
    return io.BytesIO(b"".join(list(generate(found.PixelData))[1:]))


def _pictures(found: Dataset) -> int:
    """Coded pictures of a film, without decoding them."""
    import av

    with av.open(stream(found)) as container:
        return sum(packet.size > 0 for packet in container.demux(container.streams.video[0]))
