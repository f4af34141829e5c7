"""What a step that was stopped had finished itself; whatever else lies in its folder is made anew.

A file that somebody laid into ``OUT.partial`` under the name of one that is still to be made must not become the step's own. So
each finished item is logged with its SHA-256 and a MAC under the house's secret, which is bound to the call.
"""

import hashlib
import hmac
import json
import os
import secrets
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from echosyn import secret
from echosyn.data import lineage
from echosyn.errors import ConfigError, StoppedError
from echosyn.files import journal, journal_of, read_json
from echosyn.hashing import PROVENANCE, file_hash

LOG = "finished.jsonl"
_OF_THIS_PROCESS = secrets.token_bytes(secret.SIZE)


@dataclass(frozen=True)
class Entry:
    """An item that was finished."""

    files: Mapping[str, str]
    """SHA-256 by path below the folder."""
    said: Mapping[str, Any]
    """What the step wants to know of it."""


class Finished:
    """The log of a step's folder. Left without an error, it is closed: what is shown must be what was logged.

    Args:
        folder: ``OUT.partial``, with the step's provenance.
    """

    def __init__(self, folder: Path) -> None:
        call = json.dumps(read_json(folder / PROVENANCE).get("call"), sort_keys=True)
        self._key = hmac.new(_key(), f"finished\0{call}".encode(), hashlib.sha256).digest()
        self._folder = folder
        self.entries: list[Entry] = list(self._read())
        self._files = {name for entry in self.entries for name in entry.files}
        self._places = {place.as_posix() for name in self._files for place in Path(name).parents}

    def __enter__(self) -> "Finished":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._close()

    def has(self, *paths: Path) -> bool:
        """Whether all of these files, or some below a folder, were finished before this call or added since."""
        return all(self._name(path) in self._files or self._name(path) in self._places for path in paths)

    def add(self, *paths: Path, **said: Any) -> None:
        """Log files, or all files below folders, of an item that is finished, and what is to be known of it."""
        files = {self._name(file): file_hash(file) for path in paths for file in _below(path)}
        self._files |= files.keys()
        self._places |= {place.as_posix() for name in files for place in Path(name).parents}
        with journal(self._folder / LOG) as remember:
            remember({"files": files, "said": said, "mac": self._mac(files, said)})

    def _close(self) -> None:
        """Remove the log.

        Raises:
            StoppedError: what the folder shows is not what was logged.
        """
        logged = {name: sha for entry in self._read(check=False) for name, sha in entry.files.items()}
        shown = [path for path in lineage.shown_files(self._folder) if path.is_file()]
        others = [path for path in shown if logged.get(self._name(path)) != file_hash(path)]
        if others:
            raise StoppedError(
                f"{self._folder}: {len(others)} file(s) are not as this step made them, first {others[0].name}: somebody put "
                "them there while it ran; run the same command again, which makes them anew"
            )
        (self._folder / LOG).unlink(missing_ok=True)

    def _read(self, *, check: bool = True) -> Iterator[Entry]:
        """The entries of this house and call, of which all files are as they were."""
        for line in journal_of(self._folder / LOG):
            files, said = (line.get(name) if isinstance(line, dict) else None for name in ("files", "said"))
            if not isinstance(files, dict) or not isinstance(said, dict):
                continue
            fits = hmac.compare_digest(self._mac(files, said), str(line.get("mac")))
            if fits and (not check or all(self._unchanged(name, sha) for name, sha in files.items())):
                yield Entry(files, said)

    def _unchanged(self, name: str, sha: str) -> bool:
        path = self._folder / name
        return path.is_file() and not path.is_symlink() and file_hash(path) == sha

    def _mac(self, files: Mapping[str, str], said: Mapping[str, Any]) -> str:
        text = json.dumps([dict(files), dict(said)], sort_keys=True)
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

    def _name(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()


def sweep(partial: Path) -> None:
    """Leave of a stopped step's folder what it had finished itself; warn of what else there was."""
    paths = [Path(place) / name for place, folders, files in os.walk(partial) for name in [*folders, *files]]
    links = [path for path in paths if path.is_symlink()]
    for path in links:
        path.unlink()
    known = {LOG, PROVENANCE} | {name for entry in Finished(partial).entries for name in entry.files}
    others = [path for path in paths if path.is_file() and path.relative_to(partial).as_posix() not in known]
    for path in others:
        path.unlink()
    for path in sorted(paths, reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    if links or others:
        warnings.warn(
            f"{partial}: {len(links) + len(others)} file(s) are not known to be finished by this command in this house, and are "
            "made anew",
            stacklevel=2,
        )


def _below(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _key() -> bytes:
    """The house's secret; where none can be kept, one of this process: a step that is stopped then begins anew."""
    try:
        return secret.key()
    except ConfigError:
        return _OF_THIS_PROCESS
