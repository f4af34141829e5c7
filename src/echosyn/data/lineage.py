"""Whether a folder can show a patient: decided by the whole chain of steps that made it.

A step that invents begins a chain, and a few steps carry it on; each writes the chain into its provenance together with a
hash of what the folder shows. All else may show patients: the output of any other step, a folder without a chain, and one
whose pictures are no longer those that were made.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from echosyn.data import filelist, images
from echosyn.errors import DataError
from echosyn.files import read_json
from echosyn.hashing import PROVENANCE, file_hash

INVENTED = ("phantom", "sample", "generate")
"""Steps whose pictures come from noise or geometry alone; real recordings are only compared with."""

CARRIED: Mapping[str, str] = {
    "filter": "candidates",
    "animate": "kept",
    "decode": "source",
    "withdraw": "synthetic",
    "publish": "synthetic",
}
"""Steps that pass pictures on, and the input that the pictures are from."""

VIDEOS = ("phantom", "generate", "animate", "withdraw")
"""Steps whose output is a dataset that may be published."""

MADE = "made"
"""Entry of the provenance."""


def steps(folder: Path) -> list[str] | None:
    """The steps that made what a folder shows, none of which took it from recordings; None where this is not known.

    Reads every picture and video of the folder once.
    """
    record = read_json(folder / PROVENANCE)
    made, call = record.get(MADE), record.get("call")
    if not isinstance(made, dict) or not isinstance(call, dict) or not isinstance(made.get("steps"), list):
        return None
    first, *others = [str(step) for step in made["steps"]] or [""]
    known = first in INVENTED and all(step in CARRIED for step in others)
    if not known or call.get("command") != [first, *others][-1]:
        return None
    if any(path.is_symlink() and path.is_dir() for path in folder.rglob("*")):
        return None  # what lies behind a link is read by other steps and in no hash
    if made.get("shown") != shown(folder):
        return None
    return [first, *others]


def chain(command: str, inputs: Mapping[str, Path]) -> list[str] | None:
    """The steps of a new folder of ``command``, or None if it may show patients."""
    if command in INVENTED:
        return [command]
    source = inputs.get(CARRIED.get(command, ""))
    before = steps(source) if source is not None else None
    return None if before is None else [*before, command]


def entry(folder: Path, made_by: Sequence[str]) -> dict[str, Any]:
    """What the provenance of a finished folder says."""
    return {"steps": list(made_by), "shown": shown(folder)}


def required(dataset: Path, ends: Sequence[str], purpose: str) -> list[str]:
    """The steps of a dataset, the last of which is one of ``ends``.

    Raises:
        DataError: it may show patients.
    """
    found = steps(dataset)
    if found is None or found[-1] not in ends:
        raise DataError(
            f"{dataset}: may show patients: its provenance does not lead back to {', '.join(INVENTED)} by steps that take "
            f"nothing from recordings, or its videos or labels were changed; {purpose} only a dataset of "
            f"{', '.join(ends)} as it was made"
        )
    return found


def unrecorded(dataset: Path) -> bool:
    """Whether nothing says how a dataset was made: no provenance, or one that says only that videos were taken out of such a set.

    Such sets are those of other software; they begin no chain.
    """
    if not (dataset / PROVENANCE).exists():
        return True
    record = read_json(dataset / PROVENANCE)
    call = record.get("call")
    return isinstance(call, dict) and call.get("command") == "withdraw" and record.get("origin") == {}


def shown(folder: Path) -> str:
    """SHA-256 over names and contents of all videos, images, latents and tracings below a folder, and the labels of its list."""
    lines = [f"{path.relative_to(folder).as_posix()}\0{file_hash(path)}\n" for path in shown_files(folder)]
    return hashlib.sha256("".join([*lines, *_labels(folder)]).encode()).hexdigest()


def shown_files(folder: Path) -> list[Path]:
    """All videos, images, latents and tracings below a folder."""
    return sorted(path for path in folder.rglob("*") if _shows(path))


def _labels(folder: Path) -> list[str]:
    """What a release tells of each video; other columns stay in the house."""
    path = folder / filelist.FILE_LIST
    if not path.is_file():
        return []
    try:
        return sorted(f"{r.name}\0{r.ef}\0{r.esv}\0{r.edv}\0{r.split}\n" for r in filelist.read(folder))
    except DataError:  # a part of a merge may have no rows
        return [file_hash(path)]


def _shows(path: Path) -> bool:
    latents = path.suffix in (".safetensors", ".pt") and path.is_file()
    return latents or path.name == filelist.TRACINGS or images.is_image(path) or filelist.is_video(path)
