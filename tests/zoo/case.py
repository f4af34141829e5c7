"""One input of the matrix of formats: how it is made, and what the import promises to do with it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """A file or folder as others write it; exactly one of ``read`` and ``refused`` is given.

    The page docs/formats.md is made from these promises, and the tests hold the import to them.
    """

    group: str
    """Heading of its table on the page, such as "H.264 in MP4" or "Transfer syntaxes of DICOM"."""
    name: str
    """Its row, such as "4:2:0, 10 bit, limited range"."""
    make: Callable[[Path], Path]
    """Makes it below a new folder; returns the file or folder to import."""
    read: str | None = None
    """What is read, for the page: "exact", "within 2 grey levels", "rotated upright"."""
    refused: str | None = None
    """Words that the one-line refusal contains."""

    def __post_init__(self) -> None:
        assert (self.read is None) != (self.refused is None), self.name
