"""The seal of a release: hashes of every file, of the videos alone, and of the record that says so."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from echosyn import hashing
from echosyn.data import filelist
from echosyn.data.checksum import hash_of_videos, videos_hash
from echosyn.data.video import EXTENSIONS
from echosyn.errors import DataError
from echosyn.files import read_json, whole
from echosyn.hashing import PROVENANCE, file_hash

SUMS = "SHA256SUMS"
CROISSANT = "croissant.json"
AUDIT = "audit.json"

_UNSEALED = frozenset({SUMS, PROVENANCE})
_OF_THE_HUB = re.compile(r"\.gitattributes|\.git/.*|\.cache/huggingface/.*")


def close(folder: Path, record: Mapping[str, Any]) -> str:
    """Write the hashes of all files and the sealed record; returns the seal."""
    hashing.write_sums(folder / SUMS, {name: file_hash(folder / name) for name in files(folder)})
    facts = dict(record) | {"files": file_hash(folder / SUMS), "videos": videos_hash(folder)}
    with whole(folder / PROVENANCE) as temporary:
        temporary.write_text(_sealed(facts))
    return _seal(facts)


def files(folder: Path) -> list[str]:
    """Paths of a release's files below it, without the seal itself and what the hub adds."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in names if name not in _UNSEALED and not _OF_THE_HUB.fullmatch(name))


def record_of(folder: Path) -> dict[str, Any]:
    """The sealed record of a release.

    Raises:
        DataError: there is none.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected a release made by `echosyn publish`")
    try:
        record = json.loads((folder / PROVENANCE).read_text())
        assert isinstance(record["seal"], str)
        assert (folder / SUMS).is_file()
    except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
        raise DataError(
            f"{folder}: not a sealed release; make one of a dataset with `echosyn publish DATASET OUT`, or download it again"
        ) from error
    return dict(record)


def problems(folder: Path, record: Mapping[str, Any]) -> list[str]:
    """All that is not as it was sealed, one line each: record, files, videos, audit, Croissant."""
    found = []
    facts = {name: value for name, value in record.items() if name != "seal"}
    if record["seal"] != _seal(facts) or (folder / PROVENANCE).read_text() != _sealed(facts):
        found.append(f"{PROVENANCE}: changed since it was sealed")
    if file_hash(folder / SUMS) != record.get("files"):
        found.append(f"{SUMS}: changed since it was sealed")
    expected, present = hashing.read_sums(folder / SUMS), files(folder)
    found += [f"{name}: gone" for name in sorted(set(expected) - set(present))]
    found += [f"{name}: added after the release was sealed" for name in sorted(set(present) - set(expected))]
    actual = {name: file_hash(folder / name) for name in present if name in expected}
    found += [f"{name}: changed since it was sealed" for name, digest in actual.items() if digest != expected[name]]
    return found + _broken_links(folder, record, actual)


def _broken_links(folder: Path, record: Mapping[str, Any], actual: Mapping[str, str]) -> list[str]:
    """Hashes in the release's own papers that are not those of its files."""
    found = []
    videos = hash_of_videos({Path(n).name: digest for n, digest in actual.items() if _is_video(n)})
    if videos != record.get("videos"):
        found.append(f"{PROVENANCE}: describes other videos")
    if (folder / AUDIT).is_file() and read_json(folder / AUDIT).get("videos") != videos:
        found.append(f"{AUDIT}: is the audit of other videos")
    listed = read_json(folder / CROISSANT).get("distribution", [])
    pairs = {str(entry.get("contentUrl")): entry.get("sha256") for entry in listed if isinstance(entry, dict)}
    found += [
        f"{CROISSANT}: lists a different hash for {name}"
        for name, digest in pairs.items()
        if digest and digest != actual.get(name)
    ]
    return found


def _is_video(name: str) -> bool:
    return name.startswith(f"{filelist.VIDEOS}/") and name.lower().endswith(EXTENSIONS)


def _sealed(facts: Mapping[str, Any]) -> str:
    return json.dumps(dict(facts) | {"seal": _seal(facts)}, indent=2, sort_keys=True) + "\n"


def _seal(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
