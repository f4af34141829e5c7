"""Open a DICOM file without trusting it: is it an ultrasound cine, and are its claims bounded by its bytes?

Only the tags that are named here are read; the others, private ones among them, never come into memory.
"""

import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from echosyn.data.dicom.faults import BadDicomError
from echosyn.extras import require

Dataset = Any
"""A ``pydicom.Dataset``; pydicom is optional and imported where it is used."""

MAX_FILE_BYTES = 4 << 30
MAX_VIDEO_BYTES = 1 << 30
"""Of a video's grey frames in memory: 1,365 frames of 1024x768."""
MAX_FRAME_PIXELS = 1 << 24

_IDENTITY = [
    "SOPInstanceUID", "StudyInstanceUID", "PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate",
]  # fmt: skip
"""Who and what a file is of: read to make pseudonyms, never together with the pixels."""
_IMAGE = [
    "SOPClassUID", "Modality", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation",
    "PlanarConfiguration", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    *(f"{colour}PaletteColorLookupTable{part}" for colour in ("Red", "Green", "Blue") for part in ("Descriptor", "Data")),
    *(f"Segmented{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")),
    "FrameTimeVector", "FrameTime", "CineRate", "RecommendedDisplayFrameRate", "SequenceOfUltrasoundRegions",
    "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PixelData",
]  # fmt: skip
_INDEX = ["DirectoryRecordSequence"]

_ENVELOPED = bytes.fromhex("2a864886f70d0107")
"""Start of the object identifiers of PKCS #7 (RFC 5652), in which Secure DICOM files are wrapped."""
_DEFLATED = "1.2.840.10008.1.2.1.99"
_ULTRASOUND = ("1.2.840.10008.5.1.4.1.1.3.1", "1.2.840.10008.5.1.4.1.1.3")
"""Ultrasound Multi-frame Image Storage and its retired predecessor."""
_ULTRASOUND_STILLS = ("1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.6")
_VOLUMES = "1.2.840.10008.5.1.4.1.1.6.2"
"""Enhanced US Volume Storage: its frames are slices of space, not moments."""
_MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"


def header(path: Path) -> Dataset:
    """Who and what a file is, without its pixels.

    Raises:
        BadDicomError: It cannot be read, or is no DICOM file.
        MissingExtraError: pydicom is not installed.
    """
    return _read(path, [*_IDENTITY, *_IMAGE, *_INDEX], pixels=False)


def cine(path: Path) -> Dataset:
    """A file's pixels, still encoded, and what describes them, if it is an ultrasound cine whose claims its bytes support.

    Raises:
        BadDicomError: It cannot be read, is something else, or claims more than it holds or than we decode.
        MissingExtraError: pydicom is not installed.
    """
    check_kind(header(path))
    found = _read(path, _IMAGE, pixels=True)
    with _own_words("unreadable"):
        _check_size(found)
    return found


def check_kind(found: Dataset) -> None:
    """Refuse what is not a multi-frame ultrasound image, by its header.

    Raises:
        BadDicomError: It is something else.
    """
    with _own_words("unreadable"):
        kind, modality = str(found.get("SOPClassUID", "")), str(found.get("Modality", ""))
        if kind == _MEDIA_DIRECTORY or "DirectoryRecordSequence" in found:
            raise BadDicomError("DICOMDIR", "an index of other files")
        if kind not in _ULTRASOUND + _ULTRASOUND_STILLS and modality not in ("US", "IVUS"):
            raise BadDicomError("not ultrasound")
        if kind == _VOLUMES:
            raise BadDicomError("no 2-D tissue region", "a 3-D volume: its frames are slices")
        if "Rows" not in found:
            raise BadDicomError("no pixels", "a report or a measurement")
        if _number(found, "NumberOfFrames", 1) < 2:
            raise BadDicomError("single frame")


@contextmanager
def _own_words(fault: Any) -> Iterator[None]:
    """Turn whatever a parser or decoder raises into a fault that quotes nothing of the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (BadDicomError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - parsers of hostile bytes raise anything
        raise BadDicomError(fault, type(error).__name__) from None


decoding = _own_words


def _read(path: Path, tags: list[str], *, pixels: bool) -> Dataset:
    pydicom = require("pydicom", extra="dicom")
    if not path.is_file():
        raise BadDicomError("missing file")
    try:
        with _own_words("unreadable"):
            if path.stat().st_size > MAX_FILE_BYTES:
                raise BadDicomError("too large", f"the file has more than {MAX_FILE_BYTES >> 30} GiB")
            force = _has_no_preamble(path)
            _check_inflated(path)
            return pydicom.dcmread(path, stop_before_pixels=not pixels, force=force, specific_tags=tags)
    except BadDicomError as error:
        if error.detail in ("EOFError", "BytesLengthException"):
            raise BadDicomError("truncated", "the file ends in the middle of a tag") from None
        raise


def _has_no_preamble(path: Path) -> bool:
    """Whether it is a data set alone, as some archives store it; what is no DICOM file is refused."""
    with path.open("rb") as file:
        start = file.read(256)
    if start[128:132] == b"DICM":
        return False
    if start[:1] == b"\x30" and _ENVELOPED in start[:64]:
        raise BadDicomError("encrypted", "a PKCS #7 envelope; decrypt it first")
    if start[:2] in (b"\x08\x00", b"\x02\x00") and start[2:4] < b"\x20\x00":
        return True
    raise BadDicomError("not DICOM")


def _check_inflated(path: Path) -> None:
    """A deflated data set is inflated at once when it is read, so find out before how large it would be."""
    filereader = require("pydicom.filereader", extra="dicom")
    with path.open("rb") as file:
        if file.read(132)[128:] != b"DICM":
            return
        meta = filereader.read_file_meta_info(path)
        if meta.get("TransferSyntaxUID") != _DEFLATED:
            return
        file.seek(132 + 12 + meta.FileMetaInformationGroupLength)
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        size = 0
        while not inflate.eof and (chunk := inflate.unconsumed_tail or file.read(1 << 20)):
            size += len(inflate.decompress(chunk, 1 << 24))
            if size > MAX_VIDEO_BYTES:
                raise BadDicomError("too large", "its deflated data set never ends")


def _check_size(found: Dataset) -> None:
    """What the header claims, against what is there and what we are willing to decode."""
    rows, columns = _number(found, "Rows"), _number(found, "Columns")
    num_frames, samples = _number(found, "NumberOfFrames"), _number(found, "SamplesPerPixel", 1)
    bits = _number(found, "BitsAllocated")
    if min(rows, columns, num_frames) < 1 or samples not in (1, 3) or bits not in (8, 16):
        raise BadDicomError(
            "wrong header", f"{num_frames} frames of {columns}x{rows}, {samples} samples of {bits} bits"
        )
    data = found.get("PixelData")
    if not data:
        raise BadDicomError("truncated", f"the header says {num_frames} frames, there are no pixels")
    held = _frames_held(found, data, rows * columns * bits // 8, samples)
    if held < num_frames:
        raise BadDicomError("truncated", f"the header says {num_frames} frames, its bytes can hold {held}")
    if rows * columns > MAX_FRAME_PIXELS or rows * columns * num_frames > MAX_VIDEO_BYTES:
        raise BadDicomError("too large", f"{num_frames} frames of {columns}x{rows}")


def _frames_held(found: Dataset, data: bytes, plane: int, samples: int) -> int:
    """How many frames the bytes can hold at most."""
    syntax = found.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        halved = found.get("PhotometricInterpretation") == "YBR_FULL_422"
        return len(data) // (plane * 2 if halved else plane * samples)
    if is_film(syntax):
        return _number(found, "NumberOfFrames")
    count, _ = require("pydicom.encaps", extra="dicom").parse_fragments(data)
    return int(count) - 1  # the first item is the table of offsets


def is_film(syntax: Any) -> bool:
    """Whether all frames are one MPEG stream."""
    return "MPEG" in syntax.name or "HEVC" in syntax.name


def _number(found: Dataset, keyword: str, default: int = 0) -> int:
    value = found.get(keyword)
    return default if value is None else int(value)
