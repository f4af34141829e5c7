"""Every file below a folder, and those that a DICOMDIR names, each once and in an order that is always the same."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from echosyn.data.dicom import reading
from echosyn.data.dicom.faults import BadDicomError, Fault
from echosyn.errors import DataError

MEDIA_DIRECTORY = "DICOMDIR"


@dataclass(frozen=True)
class Source:
    """A file to import."""

    path: Path
    name: str
    """Its path below the source folder, printable."""
    fault: Fault | None = None
    """What is wrong with it, if that is known before it is opened."""
    detail: str = ""
    """More on that, in our own words."""

    @cached_property
    def state(self) -> str:
        """What changes when the file does: its name, size and time, as they are when first asked for."""
        try:
            facts = self.path.stat() if self.fault is None else None
        except OSError:
            facts = None
        return f"{self.name}\0{facts.st_size}\0{facts.st_mtime_ns}" if facts else f"{self.name}\0{self.fault}"


def sources(src: Path) -> list[Source]:
    """All files below ``src`` (links to folders are not followed) and what a DICOMDIR promises beyond them.

    Args:
        src: A folder, or a DICOMDIR file: then only what it names.

    Raises:
        DataError: It is neither, or holds no files.
        MissingExtraError: There is a DICOMDIR and pydicom is not installed.
    """
    if src.is_file():
        found = {source.name: source for source in _listed(src)}
    elif src.is_dir():
        found = {source.name: source for source in _below(src)}
        index = src / MEDIA_DIRECTORY
        for source in _listed(index) if index.is_file() else ():
            found.setdefault(source.name, source)
    else:
        raise DataError(f"{src}: no such folder; expected a folder with DICOM files, or a {MEDIA_DIRECTORY}")
    if not found:
        raise DataError(f"{src}: no files below it; expected DICOM files: pass the folder that holds them")
    return [found[name] for name in sorted(found)]


def _below(src: Path) -> Iterator[Source]:
    for folder, folders, files in os.walk(src):
        folders.sort()
        for file in files:
            path = Path(folder, file)
            yield Source(path, _printable(path.relative_to(src)), None if path.is_file() else "missing file")


def _listed(index: Path) -> Iterator[Source]:
    """The files that a DICOMDIR names; a name that leads out of its folder is not opened."""
    try:
        found = reading.header(index)
        with reading.decoding("unreadable"):
            names = [entry.get("ReferencedFileID") for entry in found.get("DirectoryRecordSequence") or []]
    except BadDicomError as error:
        raise DataError(f"{index}: not a {MEDIA_DIRECTORY} ({error}); pass the folder that holds the files") from error
    root = index.parent.resolve()
    for name in filter(None, names):
        relative = Path(*([name] if isinstance(name, str) else [str(part) for part in name]))
        path = root / relative
        if not path.resolve().is_relative_to(root):
            yield Source(path, _printable(relative), "outside the source")
        else:
            yield Source(path, _printable(relative), None if path.is_file() else "missing file")


def _printable(path: Path) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")
