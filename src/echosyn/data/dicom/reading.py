"""Open a DICOM file without trusting it: is it an ultrasound cine, and are its claims bounded by its bytes?

Only the tags that are named here are read; the others, private ones among them, never come into memory.
"""

import errno
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from echosyn.data.dicom import counting, syntaxes
from echosyn.data.dicom.faults import BadDicomError
from echosyn.errors import MissingExtraError
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
    "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence",
    "WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence", "PixelSpacing", "PixelAspectRatio",
    "StartTrim", "StopTrim", "FrameTimeVector", "FrameTime", "CineRate", "RecommendedDisplayFrameRate",
    "SequenceOfUltrasoundRegions",
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
_MODELS = {
    "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT",
    "YBR_PARTIAL_420",
}  # fmt: skip
_REFUSED_MODELS = {"ARGB", "CMYK", "HSV", "YBR_PARTIAL_422", "XYB"}
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
    return opened(path)[0]


def opened(path: Path) -> tuple[Dataset, str]:
    """As `cine`, and in which point its header was not believed.

    The number of frames and the colour model are set to what the bytes say, where that is certain.

    Raises:
        BadDicomError: As `cine`.
    """
    check_kind(header(path))
    found = _read(path, _IMAGE, pixels=True)
    with _own_words("unreadable", "a number of its header is missing or malformed"):
        return found, _checked(found)


def check_kind(found: Dataset) -> None:
    """Refuse what is no ultrasound image, by its header. How many frames there are, only the pixels say.

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


@contextmanager
def _own_words(fault: Any, doing: str = "its tags cannot be parsed") -> Iterator[None]:
    """Turn whatever a parser or decoder raises into a fault that says what failed, and quotes nothing of the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (BadDicomError, MemoryError):
        raise
    except MissingExtraError:
        raise
    except Exception as error:  # noqa: BLE001 - parsers of hostile bytes raise anything
        number = error.errno if isinstance(error, OSError) and type(error).__module__ == "builtins" else None
        why = f"the file cannot be read ({errno.errorcode.get(number, number)})" if number else doing
        raise BadDicomError(fault, f"{why}; copy it again from its source") from None


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
        if type(error.__context__).__name__ in ("EOFError", "BytesLengthException"):
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


def _checked(found: Dataset) -> str:
    """Hold what the header claims against what is there and what we are willing to decode; returns what was corrected."""
    rows, columns = _number(found, "Rows"), _number(found, "Columns")
    said, samples = _number(found, "NumberOfFrames"), _number(found, "SamplesPerPixel", 1)
    bits = _number(found, "BitsAllocated")
    model = str(found.get("PhotometricInterpretation") or "")
    if model not in _MODELS:
        named = f"{model} is not read; " if model in _REFUSED_MODELS else ""
        raise BadDicomError(
            "unsupported colour model", f"{named}expected grey, a palette, RGB or YBR: export it as RGB"
        )
    if min(rows, columns) < 1 or said < 0 or samples not in (1, 3) or bits not in (8, 16):
        raise BadDicomError("wrong header", f"{said} frames of {columns}x{rows}, {samples} samples of {bits} bits")
    if not found.get("PixelData"):
        raise BadDicomError("truncated", f"the header says {said} frames, there are no pixels")
    syntaxes.settle(found)
    held = counting.held(found, said)
    if held.num_frames < max(1, said):
        raise BadDicomError("truncated", f"the header says {max(1, said)} frames, its bytes can hold {held.num_frames}")
    note = _believed(found, said, held)
    num_frames = int(found.NumberOfFrames)
    if num_frames < 2:
        raise BadDicomError("single frame")
    if rows * columns > MAX_FRAME_PIXELS or rows * columns * num_frames > MAX_VIDEO_BYTES:
        raise BadDicomError("too large", f"{num_frames} frames of {columns}x{rows}")
    return note


def _believed(found: Dataset, said: int, held: counting.Held) -> str:
    """Correct the header by the bytes; refuse where they contradict it and do not say what is right."""
    notes = []
    if held.samples:
        notes.append(f"the header says YBR_FULL_422, the length {held.samples} bytes a pixel: taken as RGB")
        found.PhotometricInterpretation = "RGB"
    more = held.num_frames > max(said, 0)
    alone = said == 0 and held.num_frames == 1
    if more and not (alone or held.is_certain or syntaxes.is_film(found.file_meta.TransferSyntaxUID)):
        raise BadDicomError(
            "wrong header",
            f"it says {said or 'no number of'} frames, there are bytes of {held.num_frames} or more that do not divide "
            "into frames; export the file again",
        )
    if more and not alone:
        claim = f"the header says {said} frame(s)" if said else "the header does not say how many frames"
        notes.append(f"{claim}, there are {held.num_frames}: all taken")
    found.NumberOfFrames = held.num_frames if more else said
    return "; ".join(notes)


is_film = syntaxes.is_film


def _number(found: Dataset, keyword: str, default: int = 0) -> int:
    value = found.get(keyword)
    return default if value is None else int(value)
