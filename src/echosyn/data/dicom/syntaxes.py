"""Transfer syntaxes: which one a file has, and its name in words that can only be the standard's."""

import re
from typing import Any

from echosyn.data.dicom.faults import BadDicomError
from echosyn.extras import require

Dataset = Any
"""A ``pydicom.Dataset``."""

_STANDARD = re.compile(r"1\.2\.840\.10008\.1\.2(\.\d{1,3}){0,4}")
_NEWER = {
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
}
"""Not in the dictionary of every pydicom that we accept."""
_ITEM = b"\xfe\xff\x00\xe0"
"""How encapsulated pixels begin."""


def described(syntax: Any) -> str:
    """Name and UID; of a UID that is not the standard's nothing is quoted, as it could say anything."""
    uid = str(syntax)
    if not _STANDARD.fullmatch(uid):
        return "a private transfer syntax"
    name = _NEWER.get(uid) or re.sub(r" \(.*", "", getattr(syntax, "name", uid))
    return uid if name == uid else f"{name} ({uid})"


def is_film(syntax: Any) -> bool:
    """Whether all frames are one MPEG stream."""
    return "MPEG" in syntax.name or "HEVC" in syntax.name


def settle(found: Dataset) -> None:
    """Give a data set without meta information the syntax in which it could be read.

    Raises:
        BadDicomError: Nothing says how its pixels are compressed, or the syntax is none that we know.
    """
    uids = require("pydicom.uid", extra="dicom")
    syntax = found.file_meta.get("TransferSyntaxUID")
    if syntax is None:
        if found.PixelData[:4] == _ITEM:
            raise BadDicomError(
                "unsupported transfer syntax", "none is said, and the pixels are compressed; export the file again"
            )
        implicit, little = found.original_encoding
        plain = uids.ExplicitVRLittleEndian if little else uids.ExplicitVRBigEndian
        found.file_meta.TransferSyntaxUID = uids.ImplicitVRLittleEndian if implicit else plain
    elif str(syntax) in _NEWER or not syntax.is_transfer_syntax or syntax.is_private:
        raise BadDicomError("unsupported transfer syntax", unread(syntax))


def unread(syntax: Any) -> str:
    """What to do about pixels for which there is no decoder."""
    return (
        f"{described(syntax)}: no decoder for it is installed or known; export the file uncompressed or as JPEG 2000, or "
        "convert it"
    )
