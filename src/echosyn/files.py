"""Files that we write: whole or not at all, journals, their permissions, and copies that take no room where the disk can.

Safetensors keeps its files to their owner, a shared folder needs the usual permissions.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from echosyn.errors import DataError


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling, ``NAME.tmp``, to write a file or a folder into; it gets its name when the block ends well.

    Whatever happens in between, readers find what was there before, or nothing; what a killed process left is overwritten.
    A folder must not be there yet.
    """
    temporary = path.with_name(path.name + ".tmp")
    _remove(temporary)
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        _remove(temporary)
        raise


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def refuse_existing(out: Path) -> None:
    """Raise `DataError` if a step's output is already there."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: exists already; expected a new folder: choose another name or remove it")
    if out.exists():
        out.rmdir()


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is none that can be read."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def journal_of(path: Path) -> Iterator[dict[str, Any]]:
    """What a journal holds, entry by entry; one that a kill has torn is left out."""
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            yield json.loads(line)
        except ValueError:
            continue


@contextmanager
def journal(path: Path) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Yield a function that adds an entry to a file of JSON lines: on disk before it returns."""
    with path.open("a", encoding="utf-8") as file:
        file.write("\n")  # a line that a kill has torn ends here

        def add(entry: Mapping[str, Any]) -> None:
            file.write(json.dumps(entry) + "\n")
            file.flush()

        yield add


def usual_permissions(path: Path) -> None:
    """Give a file, or all files below a folder, the permissions that new files have (0666 less the umask)."""
    umask = os.umask(0)
    os.umask(umask)
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            file.chmod(0o666 & ~umask)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file another name, or copy it where the disk cannot.

    Raises:
        FileNotFoundError: there is no such file.
    """
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)
