"""Names of a file list that have no video, and videos that no row names."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from echosyn.data import filelist, leftovers, spreadsheets
from echosyn.data.filelist import Entry, VideoIndex
from echosyn.data.leftovers import LeftOut


@dataclass(frozen=True)
class Missing:
    """A name of a list that has no video."""

    words: str
    """What is said of it."""
    path: Path | None
    """The one video that it can only mean: a spreadsheet has changed the name and nothing but zeros is lost."""


def missing(entries: Sequence[Entry], index: VideoIndex) -> dict[str, Missing]:
    """The names of a list that have no video in ``Videos/``, with what may have become of them."""
    lost = [entry.name for entry in entries if entry.name and index.find(entry.name) is None]
    named = {index.find(entry.name) for entry in entries if entry.name}
    free = {path.stem: path for path in index.files if path not in named}
    changed = spreadsheets.meant(lost, free)
    others: dict[str, list[Path]] = defaultdict(list)
    if lost:
        for there in sorted(index.folder.glob("*")):
            others[there.name.casefold()].append(there)
            others[there.stem.casefold()].append(there)
    found = {}
    for name in lost:
        words = f"no video of this name in {index.folder}"
        path: Path | None = None
        if name in changed:
            one = changed[name]
            path = free[one.name] if one.exact else None
            words += (
                f"; {free[one.name].name} has no row and is what a spreadsheet turns into {name}: write its name into "
                f"{filelist.FILE_LIST}, the column saved as text"
            )
        elif similar := others[name.casefold()]:
            words += f"; {similar[0].name} is there, which is not read as a video: convert it to AVI or MP4"
        found[name] = Missing(words, path)
    return found


def unlisted(entries: Sequence[Entry], index: VideoIndex, taken: Collection[Path] = ()) -> list[LeftOut]:
    """Videos in ``Videos/`` that no row names, or whose name another file has; ``taken`` are not counted."""
    listed = {index.find(entry.name) for entry in entries if entry.name} | set(taken)
    rest = [path for path in index.files if path not in listed]
    double = [path.name for path in rest if index.find(path.stem) in listed]
    unnamed = [path.name for path in rest if index.find(path.stem) not in listed]
    return [
        *leftovers.of("video", f"not in {filelist.FILE_LIST}", unnamed),
        *leftovers.of("video", "another file of the same name is taken", double),
    ]
