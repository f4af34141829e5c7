"""Why a DICOM file does not become a video, in fixed words: they go into a report that must not name anybody."""

from typing import Literal, get_args

from echosyn.errors import DataError

Skipped = Literal[
    "not DICOM",
    "DICOMDIR",
    "not ultrasound",
    "no pixels",
    "single frame",
    "too short",
    "colour Doppler",
    "no 2-D tissue region",
    "duplicate",
    "text inside the sector",
]
"""Nothing is wrong with these files: they are not what an import is for."""

Failed = Literal[
    "missing file",
    "not retrieved",
    "outside the source",
    "unreadable",
    "truncated",
    "encrypted",
    "too large",
    "unsupported transfer syntax",
    "unsupported colour model",
    "wrong header",
    "wrong colours",
    "no frame rate",
    "pause between frames",
    "several tissue regions",
    "no sector found",
    "decoder crashed",
]
"""These should perhaps have become videos: worth a look."""

Fault = Skipped | Failed


class BadDicomError(DataError):
    """A file that does not become a video.

    Args:
        fault: Why, for counting.
        detail: Numbers and our own words only: never a value of a tag, a path or another program's message.
    """

    def __init__(self, fault: Fault, detail: str = "") -> None:
        super().__init__(f"{fault}: {detail}" if detail else fault)
        self.fault: Fault = fault
        self.detail = detail


def is_harmless(fault: str) -> bool:
    """Whether such a file is left out on purpose, not for a damage."""
    return fault in get_args(Skipped)
