"""Content hashes: what a result was made from, independent of where it lay."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from echosyn.files import whole

PROVENANCE = "provenance.json"


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_hash(folder: Path) -> str:
    """SHA-256 over names and contents of all files below ``folder``; its own provenance record does not count."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != PROVENANCE):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{file_hash(path)}\n".encode())
    return digest.hexdigest()


def content_hash(path: Path) -> str:
    """`file_hash` of a file or `folder_hash` of a folder."""
    return folder_hash(path) if path.is_dir() else file_hash(path)


def write_sums(path: Path, sums: Mapping[str, str]) -> None:
    """Write SHA-256 by relative path, as ``sha256sum -c`` reads it."""
    with whole(path) as temporary:
        temporary.write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())))


def read_sums(path: Path) -> dict[str, str]:
    """SHA-256 by relative path of a file that `write_sums` or ``sha256sum`` wrote."""
    lines = (line.split(maxsplit=1) for line in path.read_text().splitlines() if line.strip())
    return {name.removeprefix("*"): digest for digest, name in lines}
