"""Fetch published weights: resumed after a dropped connection, checked against their SHA-256, and there whole or not at all."""

import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import cast
from urllib.parse import quote

from echosyn import hashing
from echosyn.errors import ConfigError, ModelError
from echosyn.hashing import file_hash
from echosyn.progress import Progress, silent
from echosyn.weights.registry import Source

SUMS = "SHA256SUMS"
"""Hashes of what was fetched, as ``sha256sum -c`` reads them; what it says is expected from then on."""

PART = ".part"
ATTEMPTS = 5
TIMEOUT_S = 30.0
BLOCK = 1 << 20


@dataclass(frozen=True)
class _File:
    name: str
    """Path below the folder that is fetched into."""
    place: str
    digest: str | None


def fetch(
    chosen: Sequence[Source],
    out: Path,
    *,
    mirror: str | None = None,
    offline: bool = False,
    trust_on_first_use: bool = False,
    pause_s: float = 1.0,
    progress: Progress = silent,
) -> dict[str, str]:
    """Bring the files of sources into ``out``, in the published layout; what is there and right stays.

    Args:
        chosen: what to fetch.
        out: folder of models.
        mirror: folder or URL that holds the same layout, instead of the original place.
        offline: never open a connection.
        trust_on_first_use: accept files whose hash nobody published, and record it.
        pause_s: wait before trying again, doubled each time.
        progress: told how many files are there.

    Returns:
        SHA-256 by path below ``out``.

    Raises:
        ModelError: a file cannot be had, or is not what it should be; nothing wrong is left in its place.
    """
    known = read_sums(out)
    files = [_wanted(source, file, known, mirror) for source in chosen for file in source.files]
    missing = [file for file in files if not (out / file.name).is_file()]
    _refuse_unknown([file.name for file in missing if not file.digest], trust_on_first_use)
    if offline and (remote := [file.place for file in missing if _is_url(file.place)]):
        raise ModelError(
            f"--offline: {len(remote)} file(s) are missing, first {remote[0]}; copy them to this computer and give --from FOLDER"
        )
    fetched: dict[str, str] = {}
    for done, file in enumerate(files, 1):
        if file in missing:
            _bring(file.place, out / file.name, file.digest, pause_s)
        fetched[file.name] = check(out / file.name, file.digest)
        hashing.write_sums(out / SUMS, known | fetched)
        progress("fetch", done, len(files))
    return fetched


def verify(out: Path) -> dict[str, str]:
    """Recompute the hashes of everything that was fetched into a folder.

    Raises:
        ModelError: there is no record, a file is gone or is not what it was.
    """
    known = read_sums(out)
    if not known:
        raise ModelError(
            f"{out / SUMS}: no such record; for a folder that came another way write one with: echosyn weights fetch "
            f"echonet-synthetic --to {out} --offline --trust-on-first-use"
        )
    for name, digest in known.items():
        check(out / name, digest)
    return known


def check(path: Path, digest: str | None) -> str:
    """The SHA-256 of a file; `ModelError` if it is not what was expected (a prefix is enough)."""
    if not path.is_file():
        raise ModelError(f"{path}: no such file; fetch it again")
    found = file_hash(path)
    if digest and not found.startswith(digest):
        raise ModelError(
            f"{path}: its SHA-256 is {found[:12]}..., expected {digest[:12]}...; remove it and fetch it again"
        )
    return found


def read_sums(folder: Path) -> dict[str, str]:
    """Hash by path of a folder's record; empty if it has none."""
    return hashing.read_sums(folder / SUMS) if (folder / SUMS).is_file() else {}


def _refuse_unknown(files: Sequence[str], trusted: bool) -> None:
    if files and not trusted:
        raise ModelError(
            f"no published SHA-256 for {len(files)} file(s), first {files[0]}; if you trust the connection, give "
            "--trust-on-first-use: the hash is then recorded and checked from then on"
        )


def _wanted(source: Source, file: str, known: Mapping[str, str], mirror: str | None) -> _File:
    name = f"{source.folder}/{file}"
    place = (
        source.address(file) if mirror is None else f"{mirror.rstrip('/')}/{quote(name) if _is_url(mirror) else name}"
    )
    return _File(name, place, known.get(name) or source.files[file])


def _is_url(place: str) -> bool:
    return place.startswith(("http://", "https://"))


def _bring(place: str, path: Path, digest: str | None, pause_s: float) -> None:
    """Copy or download to a temporary name, check, rename."""
    if not _is_url(place) and "://" in place:
        raise ConfigError(f"{place}: expected a folder, or a URL that begins with http:// or https://")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + PART)
    if digest is None:
        part.unlink(missing_ok=True)  # two halves of different files could not be told apart
    if _is_url(place):
        _download(place, part, pause_s)
    elif not Path(place).is_file():
        raise ModelError(f"{place}: no such file; expected the published layout in the folder given")
    else:
        shutil.copyfile(place, part)
    try:
        check(part, digest)
    except ModelError as error:
        part.unlink()
        raise ModelError(f"{place}: {str(error).partition(': ')[2]}".replace("remove it and ", "")) from error
    part.replace(path)


def _download(url: str, part: Path, pause_s: float) -> None:
    """Append to ``part`` until the whole file is there; a dropped connection is taken up where it broke."""
    tag: str | None = None
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(pause_s * 2 ** (attempt - 1))
        try:
            with _opened(url, part.stat().st_size if part.exists() else 0, tag) as response:
                tag = response.headers.get("ETag")
                if _append(response, part):
                    return
        except urllib.error.HTTPError as error:
            if error.code == 416:  # all of it was there before, or it has become shorter: the hash decides
                return
            if error.code < 500:
                raise ModelError(
                    f"{url}: the server says {error.code} {error.reason}; see `echosyn weights list`"
                ) from error
            reason: object = f"{error.code} {error.reason}"
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
        else:
            reason = "the connection was dropped"
    raise ModelError(
        f"{url}: download failed ({reason}) after {ATTEMPTS} tries; run the same command again "
        "to continue, or give a mirror with --from"
    )


def _opened(url: str, have: int, tag: str | None) -> HTTPResponse:
    headers = {"User-Agent": "echosyn"}
    if have:
        headers["Range"] = f"bytes={have}-"
        headers |= {"If-Range": tag} if tag else {}
    request = urllib.request.Request(url, headers=headers)
    return cast(HTTPResponse, urllib.request.urlopen(request, timeout=TIMEOUT_S))


def _append(response: HTTPResponse, part: Path) -> bool:
    """Write what comes; whether all of it came."""
    resumed = response.status == 206
    expected = response.headers.get("Content-Length")
    came = 0
    with part.open("ab" if resumed else "wb") as file:
        while block := response.read(BLOCK):
            came += file.write(block)
    return expected is None or came == int(expected)
