"""What an import leaves out, and why: rows of one table, for files, videos, rows of a list and tracings alike."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from echosyn.data.video import EXTENSIONS

MAX_NAMED = 3

_SYSTEM = frozenset(["thumbs.db", "desktop.ini", "ehthumbs.db", "__macosx", "$recycle.bin", "lost+found"])
_WHY: Mapping[str, str] = {
    **dict.fromkeys(
        ("flv", "mts", "m2ts", "3gp", "ogv", "vob"),
        "a video in a container that is not read: convert it to AVI or MP4 without loss",
    ),
    **dict.fromkeys(("dcm", "dicom", "ima"), "DICOM: import it with --from dicom"),
    **dict.fromkeys(("zip", "tar", "gz", "tgz", "bz2", "xz", "7z", "rar"), "an archive or compressed: unpack it"),
    **dict.fromkeys(
        ("nii", "nii.gz", "mhd", "raw", "hdf5", "h5", "npy", "npz", "mat", "pt"),
        "an array, no video: import CAMUS with --from camus",
    ),
    **dict.fromkeys(("jpg", "jpeg", "png", "bmp", "tif", "tiff"), "a still picture"),
    **dict.fromkeys(("csv", "tsv", "txt", "xlsx", "xls", "json", "cfg", "md", "pdf", "xml"), "a table or text"),
}


@dataclass(frozen=True)
class LeftOut:
    """A row of the table."""

    what: str
    """Such as "video", ".mpg file", "tracing row"."""
    why: str
    count: int
    examples: Sequence[str] = ()
    """The first few names, where they have one."""

    def to_json(self) -> dict[str, Any]:
        """As a dictionary."""
        return asdict(self) | {"examples": list(self.examples)}


def of(what: str, why: str, names: Sequence[str]) -> list[LeftOut]:
    """A row for things of one kind, left out for one reason; none if there are no such things."""
    return [LeftOut(what, why, len(names), tuple(names[:MAX_NAMED]))] if names else []


def by_reason(what: str, reasons: Iterable[tuple[str, str]]) -> list[LeftOut]:
    """Rows for ``(name, reason)``, one a reason, the most common first."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons:
        names.setdefault(reason, []).append(name)
    ordered = sorted(names.items(), key=lambda item: -len(item[1]))
    return [row for reason, found in ordered for row in of(what, reason, found)]


def files(
    src: Path,
    read: Collection[Path],
    folders: Collection[Path] = (),
    own: Mapping[str, tuple[str, str]] | None = None,
) -> list[LeftOut]:
    """Every file below ``src`` that is not ``read``, by extension; nothing is followed that is a link to a folder.

    Args:
        src: Searched with its sub-folders.
        read: Files that are left out of the table.
        folders: Folders that are not looked into.
        own: What files are and why they are left out, by extension such as ``nii.gz``, where the layout knows better.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for path in sorted(_below(src, folders)):
        if path in read:
            continue
        name = path.relative_to(src).as_posix()
        groups.setdefault(_kind(path, name, own or {}), []).append(name)
    return [row for (what, why), names in sorted(groups.items()) for row in of(what, why, names)]


def _below(src: Path, folders: Collection[Path]) -> Iterator[Path]:
    """Files, and links to folders."""
    for root, inner, names in os.walk(src):
        here = Path(root)
        yield from (here / name for name in names)
        yield from (here / name for name in inner if (here / name).is_symlink())
        inner[:] = [name for name in inner if here / name not in folders]


def _kind(path: Path, name: str, own: Mapping[str, tuple[str, str]]) -> tuple[str, str]:
    if path.is_symlink() and path.is_dir():
        return "link to a folder", "not followed: pass that folder, or copy it"
    if any(part.startswith(".") or part.casefold() in _SYSTEM for part in name.split("/")):
        return "system file", "hidden, or written by the operating system"
    if not path.is_file():
        return "broken link", "what it points to is not there"
    extension = "nii.gz" if name.lower().endswith(".nii.gz") else path.suffix.lower().lstrip(".")
    if extension in own:
        return own[extension]
    what = f".{extension} file" if extension else "file without extension"
    if path.suffix.lower() in EXTENSIONS:
        return what, "a video where none is looked for: move it to the others"
    if extension not in _WHY and _is_dicom(path):
        return what, _WHY["dcm"]
    if not extension:
        return what, "not known to be a video: add .avi or .mp4 if it is one"
    return what, _WHY.get(extension, "not known as a video")


def _is_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False
