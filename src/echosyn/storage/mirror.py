"""Inputs: a folder at a URL as a local one, of which only what is new or changed is downloaded."""

import hashlib
import os
import shutil
from collections.abc import Collection
from pathlib import Path

from echosyn.errors import DataError
from echosyn.progress import Progress, silent
from echosyn.storage.place import MARKER, Place, Stat, cached, explained, locked
from echosyn.storage.upload import has_work


def local(url: str, progress: Progress = silent) -> Path:
    """A local copy of the folder (or file) at ``url``, equal to what is there now.

    A file appears under its name when it is whole; files that are gone there go here too. Given again after a stop, it
    continues with the files that are missing.

    Raises:
        DataError: there is nothing, an upload to it has not ended, or the storage cannot be read.
        ConfigError: the scheme is unknown.
        MissingExtraError: its package is not installed.
    """
    place, target = Place(url), cached(url)
    with explained(place.url):
        files = place.listing()
        if MARKER in files:
            raise DataError(
                f"{place.url}: incomplete: its upload has not finished; wait for it, or run the command that writes it again"
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
    missing = [name for name, stat in files.items() if not _is_here(target / name, stat)]
    part = {name: parts / str(number) for number, name in enumerate(missing)}
    done = len(files) - len(missing)

    def arrived(name: str) -> None:
        nonlocal done
        if (size := part[name].stat().st_size) != files[name].size:
            raise DataError(
                f"{place.url}/{name}: {size} bytes came, expected {files[name].size}: it changes while it is read; try again"
            )
        os.utime(part[name], ns=(_time(files[name]),) * 2)
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        part[name].replace(target / name)
        done += 1
        progress("download", done, len(files))

    place.get(part, arrived)
    parts.rmdir()
    if "" not in files:
        _forget_others(target, {target / name for name in files})


def _is_here(path: Path, stat: Stat) -> bool:
    """Whether the local file is the one that was downloaded when the listing said the same: its time says so."""
    if stat.tag is None or not path.is_file():
        return False
    here = path.stat()
    return (here.st_size, here.st_mtime_ns) == (stat.size, _time(stat))


def _time(stat: Stat) -> int:
    """The time in ns that a copy of a file is given: one of the years 2000 to 2025, another one for another tag."""
    tag = int.from_bytes(hashlib.sha256(str(stat.tag).encode()).digest()[:8])
    return 946_684_800 * 10**9 + tag % (25 * 365 * 86_400 * 10**9)


def _forget_others(target: Path, kept: Collection[Path]) -> None:
    for path in sorted(target.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif path not in kept:
            path.unlink()
