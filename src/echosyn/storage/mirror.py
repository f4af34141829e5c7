"""Inputs: a folder at a URL as a local one, of which only what is new or changed is downloaded."""

import shutil
from collections.abc import Collection
from functools import partial
from pathlib import Path

from echosyn.errors import DataError
from echosyn.storage.journal import Journal
from echosyn.storage.place import MARKER, Place, Progress, Stat, cached, locked, together
from echosyn.storage.upload import has_work


def local(url: str, progress: Progress = lambda what, done, total: None) -> Path:
    """A local copy of the folder (or file) at ``url``, equal to what is there now.

    A file appears under its name when it is whole; files that are gone there go here too. Given again after a stop, it
    continues with the files that are missing.

    Args:
        url: such as ``s3://bucket/folder``.
        progress: told how many files are there.

    Raises:
        DataError: there is nothing, an upload to it has not ended, or the storage cannot be read.
        ConfigError: the scheme is unknown.
        MissingExtraError: its package is not installed.
    """
    place, target = Place(url), cached(url)
    files = place.listing()
    if MARKER in files:
        raise DataError(
            f"{place.url}: is not whole: its upload has not ended; wait for it, or run the command that makes it again"
        )
    if not files:
        raise DataError(f"{place.url}: no such folder: there are no files; check the name")
    if has_work(target.parent):
        raise DataError(f"{place.url}: the command that writes it has not ended; wait for it, or run it again")
    with locked(target.parent, place.url, wait_for_it=True):
        _mirror(place, files, target, progress)
    return target


def _mirror(place: Place, files: dict[str, Stat], target: Path, progress: Progress) -> None:
    parts = target.parent / ".parts"
    shutil.rmtree(parts, ignore_errors=True)
    parts.mkdir()
    if target.is_dir() == ("" in files) and target.exists():  # it was a file and became a folder, or the reverse
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    with Journal(target.parent / "mirror.jsonl") as journal:
        missing = [
            name for name, stat in files.items() if not _is_here(_path(target, name), stat, journal.facts.get(name))
        ]
        done = len(files) - len(missing)

        def arrived(name: str, mtime_ns: object) -> None:
            nonlocal done
            journal.add(name, *files[name], mtime_ns)
            done += 1
            progress("download", done, len(files))

        numbers = {name: str(number) for number, name in enumerate(missing)}
        fetch = partial(_fetch, place, files, target)
        together(lambda name: fetch(name, parts / numbers[name]), missing, arrived)
    parts.rmdir()
    if "" not in files:
        _forget_others(target, {_path(target, name) for name in files})


def _path(target: Path, name: str) -> Path:
    return target / name if name else target


def _is_here(path: Path, stat: Stat, known: list[object] | None) -> bool:
    """Whether the local file is the one that was downloaded when the listing said the same."""
    if known is None or stat.tag is None or not path.is_file():
        return False
    here = path.stat()
    return known == [*stat, here.st_mtime_ns] and here.st_size == stat.size


def _fetch(place: Place, files: dict[str, Stat], target: Path, name: str, part: Path) -> int:
    """Download, check the size, rename into place; the file's time."""
    place.get(name, part)
    if (size := part.stat().st_size) != files[name].size:
        raise DataError(
            f"{place.url}/{name}: {size} bytes came, expected {files[name].size}: it changes while it is read; try again"
        )
    path = _path(target, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    part.replace(path)
    return path.stat().st_mtime_ns


def _forget_others(target: Path, kept: Collection[Path]) -> None:
    for path in sorted(target.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif path not in kept:
            path.unlink()
