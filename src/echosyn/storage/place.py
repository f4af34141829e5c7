"""A folder at a URL (any filesystem that fsspec knows), where this computer keeps its copy, and what its faults mean."""

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import fsspec

from echosyn.errors import ConfigError, DataError, EchosynError, MissingExtraError

MARKER = ".uploading"
"""Object that a folder holds while it is sent."""

FILES_AT_ONCE = 8

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
_TAGS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "updated", "created")
_CLIENTS = {"botocore", "aiobotocore", "s3fs", "aiohttp", "gcsfs", "google", "fsspec", "requests", "urllib3"}
_NO_FOLDERS = {*_EXTRAS, "memory"}
"""Storage whose names are plain keys: nothing has to be made before a file."""


class Stat(NamedTuple):
    """What a listing says of a file; equal means the same content."""

    size: int
    tag: str | None
    """ETag, checksum or time of change; None where the storage tells none, which equals nothing."""


class Place:
    """A folder or file at a URL.

    Raises:
        ConfigError: the scheme is unknown, or has no folders.
        MissingExtraError: its package is not installed.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        scheme = url.partition("://")[0]
        if scheme in ("http", "https"):
            raise ConfigError(f"{url}: the web lists no folders; expected s3://, gs:// or file://")
        try:
            fsspec.get_filesystem_class(scheme)
            options = {"use_listings_cache": False, "skip_instance_cache": scheme != "memory"}
            self.fs, self.root = fsspec.url_to_fs(self.url, **options)
        except ImportError as error:
            extra = _EXTRAS.get(scheme)
            cure = f"pip install 'echosyn[{extra}]'" if extra else "install the package that it names"
            raise MissingExtraError(f"{url}: {scheme}:// needs a package: {cure} ({error})") from error
        except ValueError as error:
            raise ConfigError(f"{url}: no such storage; expected s3://, gs://, file:// or a local folder") from error
        self.root = self.root.rstrip("/")
        self.is_flat = scheme in _NO_FOLDERS

    def listing(self) -> dict[str, Stat]:
        """Every file by its path below the folder; a file's own URL has the one name ``""``.

        Raises:
            DataError: a name leads out of the folder.
        """
        found = self.fs.find(self.root, detail=True)
        files = {
            path[len(self.root) :].lstrip("/"): _stat(info)
            for path, info in found.items()
            if info["type"] == "file" and not path.endswith("/")
        }
        if outside := [name for name in files if ".." in PurePosixPath(name).parts]:
            raise DataError(f"{self.url}: the name {outside[0]!r} leads out of the folder; remove that object")
        return files

    def get(self, files: Mapping[str, Path], arrived: Callable[[str], None]) -> None:
        """Download files, several at a time; ``arrived(name)`` after each."""
        _together(lambda name: self.fs.get_file(self.path(name), str(files[name])), files, arrived)

    def put(self, files: Mapping[str, Path], arrived: Callable[[str], None]) -> None:
        """Upload files, several at a time; ``arrived(name)`` after each."""
        self._make_room(files)
        _together(lambda name: self.fs.put_file(str(files[name]), self.path(name)), files, arrived)

    def read(self, name: str) -> str:
        """A short text."""
        return str(self.fs.cat_file(self.path(name)).decode())

    def write(self, name: str, text: str) -> None:
        """Write a short text."""
        self._make_room([name])
        self.fs.pipe_file(self.path(name), text.encode())

    def remove(self, name: str) -> None:
        """Remove one file."""
        self.fs.rm_file(self.path(name))

    def path(self, name: str) -> str:
        """What fsspec calls a file."""
        return f"{self.root}/{name}" if name else self.root

    def _make_room(self, names: Iterable[str]) -> None:
        for folder in set() if self.is_flat else {self.path(name).rpartition("/")[0] for name in names}:
            self.fs.makedirs(folder, exist_ok=True)


def _together(do: Callable[[str], object], names: Iterable[str], done: Callable[[str], None]) -> None:
    """``do(name)`` for all names, several at a time, and ``done(name)`` here after each; the first fault ends it."""
    with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
        running = {pool.submit(do, name): name for name in names}
        try:
            for future in as_completed(running):
                future.result()
                done(running[future])
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def cached(url: str) -> Path:
    """Where a URL's local copy is, or will be: the same for the same URL, and called like the folder there.

    Below ``$ECHOSYN_CACHE/objects``, or ``~/.cache/echosyn/objects``, readable by its owner only.
    """
    url = url.rstrip("/")
    name = url.partition("://")[2].rpartition("/")[2]
    if name in ("", ".", ".."):
        raise ConfigError(f"{url}: names no folder; expected such as s3://bucket/folder")
    root = Path(os.environ.get("ECHOSYN_CACHE") or "~/.cache/echosyn").expanduser().resolve()
    return root / "objects" / hashlib.sha256(url.encode()).hexdigest()[:24] / name


@contextmanager
def locked(entry: Path, url: str, *, wait_for_it: bool) -> Iterator[None]:
    """Make a URL's folder of the cache and let nobody else change it; a lock ends with its process.

    Raises:
        DataError: another process has it, and it is not waited for.
    """
    entry.parent.mkdir(parents=True, exist_ok=True)
    entry.parent.chmod(0o700)
    with entry.with_name(entry.name + ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait_for_it else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise DataError(f"{url}: another command on this computer is writing to it; wait until it ends") from error
        entry.mkdir(mode=0o700, exist_ok=True)
        try:
            yield
        finally:
            if entry.exists() and not any(entry.iterdir()):
                entry.rmdir()


@contextmanager
def explained(url: str) -> Iterator[None]:
    """A storage's fault as one line; faults of our own stay what they are."""
    try:
        yield
    except Exception as error:
        if (meant := _meaning(error, url)) is None:
            raise
        raise meant from error


def _meaning(error: Exception, url: str) -> EchosynError | None:
    kind, reason = type(error).__name__, " ".join(str(error).split())[:200]
    if isinstance(error, EchosynError):
        return None
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DataError(f"{url}: the disk is full; free some space, or set ECHOSYN_CACHE to a folder elsewhere")
    if isinstance(error, FileNotFoundError):
        return DataError(f"{url}: no such folder, file or bucket ({reason}); check the name")
    if isinstance(error, PermissionError) or "Credential" in kind:
        return DataError(f"{url}: not allowed ({reason or kind}); expected credentials that may read or write it there")
    if isinstance(error, OSError | TimeoutError) or type(error).__module__.partition(".")[0] in _CLIENTS:
        return DataError(
            f"{url}: the storage does not answer as it should ({reason or kind}); run the same command again: it continues"
        )
    return None


def _stat(info: dict[str, Any]) -> Stat:
    tag = next((info[name] for name in _TAGS if info.get(name) is not None), None)
    if isinstance(tag, datetime):  # some listings say it in seconds
        tag = tag.timestamp()
    return Stat(int(info["size"]), None if tag is None else str(tag))
