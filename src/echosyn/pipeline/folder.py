"""A step's output folder: written under a temporary name, renamed when whole, resumable, and it says what it was made from."""

import errno
import json
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from echosyn import __version__
from echosyn.data import lineage
from echosyn.errors import DataError, EchosynError, StoppedError
from echosyn.files import read_json, refuse_existing, whole
from echosyn.hashing import PROVENANCE, content_hash
from echosyn.pipeline import finished
from echosyn.pipeline.workers.shards import WHOLE, Shard

PARTIAL = ".partial"
GUARDED = frozenset([*lineage.INVENTED, *lineage.CARRIED, "calibrate", "export"]) - {"publish"}
"""Steps that, given again after a stop, take only what they had finished themselves; `publish` empties its folder."""


def provenance(
    command: str, settings: Mapping[str, Any], inputs: Mapping[str, Path], hashes: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What a step was made from: command, resolved settings, versions, content hashes of every input folder.

    ``hashes`` are those of further inputs, which are not at hand.
    """
    return {
        "command": command,
        "settings": json.loads(json.dumps(dict(settings), default=str)),
        "inputs": {name: content_hash(path) for name, path in inputs.items()} | dict(hashes or {}),
        "versions": {"echosyn": __version__, "python": platform.python_version()}
        | {package: installed(package) or "not installed" for package in ("torch", "diffusers", "av", "numpy")},
    }


@contextmanager
def new_folder(
    out: Path,
    command: str,
    settings: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Path] | None = None,
    *,
    hashes: Mapping[str, str] | None = None,
    keep: bool = False,
    shard: Shard = WHOLE,
) -> Iterator[Path]:
    """Yield ``OUT.partial`` to write into and rename it to ``OUT`` when the block ends well.

    A leftover ``.partial`` of the very same call (equal provenance) is handed back with what it holds, so the step can
    skip finished items; a leftover of another call is thrown away. For a step whose output may leave the house it holds no
    more than what `echosyn.pipeline.finished` vouches for. A user's mistake removes the partial folder (unless
    ``keep``, for steps of many minutes whose inputs were checked before); a crash, a kill or a full disk leaves it for the
    next try. The provenance record can be extended in the block with `note`; it tells a ``shard`` from the whole.

    Raises:
        DataError: ``out`` exists already, or the disk is full.
    """
    refuse_existing(out)
    record = provenance(command, settings or {}, inputs or {}, hashes)
    if shard != WHOLE:
        record["shard"] = shard.described()
    with new_folder_of(out, record, lineage.chain(command, inputs or {}), keep=keep, resume=True) as folder:
        yield folder


@contextmanager
def new_folder_of(
    out: Path, record: Mapping[str, Any], made_by: Sequence[str] | None, *, keep: bool = False, resume: bool = False
) -> Iterator[Path]:
    """As `new_folder`, of a call whose provenance is known; without a chain of steps the folder may show patients.

    A leftover counts only if ``resume``.
    """
    refuse_existing(out)
    partial = out.with_name(out.name + PARTIAL)
    if partial.exists() and not (resume and read_json(partial / PROVENANCE).get("call") == record):
        shutil.rmtree(partial)
    if partial.exists() and record["command"] in GUARDED:
        finished.sweep(partial)
    try:
        partial.mkdir(parents=True, exist_ok=True)
        if not (partial / PROVENANCE).exists():
            write_json(partial / PROVENANCE, {"call": record})
        yield partial
        if made_by is not None and record["command"] != "publish":  # a release is sealed already
            note(partial, **{lineage.MADE: lineage.entry(partial, made_by)})
        partial.rename(out)
    except EchosynError as error:
        if not keep and not isinstance(error, StoppedError):
            shutil.rmtree(partial, ignore_errors=True)
        raise
    except (OSError, SafetensorError) as error:
        if not disk_is_full(error):
            raise
        raise DataError(
            f"{out}: the disk is full; free some space and run the same command again: it continues with the finished "
            f"items kept in {partial.name}, or remove that folder"
        ) from error


def disk_is_full(error: OSError | SafetensorError) -> bool:
    """Whether a file could not be written for want of space; safetensors says so only in words."""
    full = (errno.ENOSPC, errno.EDQUOT)
    return getattr(error, "errno", None) in full or any(f"(os error {number})" in str(error) for number in full)


def note(folder: Path, **facts: Any) -> None:
    """Add facts that are known only after the work (counts, rates, warnings) to a folder's provenance record."""
    path = folder / PROVENANCE
    write_json(path, read_json(path) | facts)


def read_provenance(folder: Path) -> dict[str, Any]:
    """The provenance record of a folder, empty if it has none."""
    return read_json(folder / PROVENANCE)


def write_json(path: Path, value: object) -> None:
    """Write JSON; a reader never sees half of it."""
    with whole(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def installed(package: str) -> str | None:
    """The version of an installed package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
