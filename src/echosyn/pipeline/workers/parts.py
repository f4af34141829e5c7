"""Parts of a job that ``--shard`` made, and how their files come together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from echosyn.data import filelist, video
from echosyn.data.records import Record
from echosyn.errors import DataError
from echosyn.files import link_or_copy
from echosyn.progress import Progress


@dataclass(frozen=True)
class Part:
    """One part of a job."""

    folder: Path
    said: Mapping[str, Any]
    """Its provenance."""

    @property
    def number(self) -> int:
        """From 1 on."""
        return int(self.said["call"]["shard"]["number"])

    @property
    def count(self) -> int:
        """Of all parts."""
        return int(self.said["call"]["shard"]["count"])

    @property
    def call(self) -> dict[str, Any]:
        """What was asked for, alike for all parts."""
        return {name: value for name, value in self.said["call"].items() if name != "shard"}

    def records(self) -> list[Record]:
        """Of its videos, in order; there may be none."""
        with (self.folder / filelist.FILE_LIST).open() as file:
            empty = len(list(islice(file, 2))) < 2
        return [] if empty else filelist.read(self.folder)


def place_videos(rows: Sequence[tuple[Part, Record]], folder: Path, progress: Progress) -> None:
    """Link or copy the videos of some records, each from its part, and look at the size of each.

    Raises:
        DataError: one is missing, or not of the size that its record says.
    """
    (folder / filelist.VIDEOS).mkdir()
    for done, (part, record) in enumerate(rows, 1):
        source = part.folder / filelist.VIDEOS / f"{record.name}.avi"
        place(source, folder / filelist.VIDEOS / source.name)
        if video.size(source) != (record.height, record.width):
            raise DataError(f"{source}: is not of {record.width}x{record.height} pixels; make this part again")
        progress("merge", done, len(rows))


def place(source: Path, target: Path) -> None:
    """Link a file, or copy it where the disk cannot.

    Raises:
        DataError: there is none.
    """
    target.unlink(missing_ok=True)
    try:
        link_or_copy(source, target)
    except FileNotFoundError as error:
        raise DataError(f"{source}: is missing; make this part again") from error
