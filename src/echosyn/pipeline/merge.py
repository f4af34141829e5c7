"""``echosyn merge``: the parts that ``--shard`` made become what one job would have made, to the byte."""

import csv
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from echosyn.data import filelist, latents, lineage, stills
from echosyn.data.records import Record
from echosyn.data.splits import split_by_order
from echosyn.errors import DataError
from echosyn.files import journal_of, whole
from echosyn.pipeline.folder import PARTIAL, new_folder_of, note, read_provenance
from echosyn.pipeline.generate.generate import JOURNAL
from echosyn.pipeline.generate.outcome import Outcome, finish, from_json
from echosyn.pipeline.generate.sample import PER_FILE
from echosyn.pipeline.ingest.summary import joined
from echosyn.pipeline.privacy_filter.rules import Rules
from echosyn.pipeline.workers.parts import Part, place, place_videos
from echosyn.progress import Progress, silent


def merge(folders: Sequence[Path], out: Path, *, progress: Progress = silent) -> dict[str, Any]:
    """Check the parts and join them in a new folder. Files are linked where the disk can, else copied; the parts stay.

    Raises:
        DataError: a part is missing, double, unfinished, of another job, or lacks a file; or the parts of a `generate` have
            not enough videos together.
    """
    if len(folders) == 1 and "call" in (said := read_provenance(folders[0])) and "shard" not in said["call"]:
        with new_folder_of(out, said["call"], lineage.steps(folders[0])) as folder:  # --shard 1/1 is the whole
            shutil.copytree(folders[0], folder, copy_function=lambda a, b: place(Path(a), Path(b)), dirs_exist_ok=True)
        return {"folder": str(out), "parts": 1, "command": str(said["call"]["command"])}
    parts = _checked(folders)
    command = str(parts[0].call["command"])
    chains = [lineage.steps(part.folder) for part in parts]
    with new_folder_of(out, parts[0].call, chains[0] if all(chains) else None) as folder:
        result = _JOIN[command](parts, folder, progress)
    return {"folder": str(out), "parts": len(parts), "command": command, **result}


def _checked(folders: Sequence[Path]) -> list[Part]:
    """All parts of one job, in order."""
    parts = []
    for folder in folders:
        said = read_provenance(folder)
        if folder.name.endswith(PARTIAL) or "call" not in said:
            raise DataError(f"{folder}: not a finished folder; run its --shard again, it continues")
        if "shard" not in said["call"]:
            raise DataError(f"{folder}: complete, not a part; expected a folder made with --shard")
        parts.append(Part(folder, said))
    if not parts:
        raise DataError("nothing to merge: give the folders of all parts")
    first = parts[0]
    for part in parts[1:]:
        if part.call != first.call or part.count != first.count:
            raise DataError(
                f"{part.folder}: is a part of another job than {first.folder} ({_difference(part, first)} differs); expected "
                "the same command, settings, inputs and versions"
            )
    by_number: dict[int, Part] = {}
    for part in parts:
        if part.number in by_number:
            raise DataError(f"{part.folder}: is part {part.number}/{part.count}, as is {by_number[part.number].folder}")
        by_number[part.number] = part
    missing = [f"{k}/{first.count}" for k in range(1, first.count + 1) if k not in by_number]
    if missing:
        raise DataError(f"part {', '.join(missing)} is missing; make it with --shard, or give its folder")
    if str(first.call["command"]) not in _JOIN:
        raise DataError(f"{first.folder}: parts of `{first.call['command']}` are not known to merge")
    return [by_number[k] for k in sorted(by_number)]


def _difference(a: Part, b: Part) -> str:
    if a.count != b.count:
        return "the number of parts"
    for name in ("command", "settings", "inputs", "versions"):
        if a.call.get(name) != b.call.get(name):
            inner = a.call.get(name), b.call.get(name)
            if isinstance(inner[0], dict) and isinstance(inner[1], dict):
                keys = [k for k in {*inner[0], *inner[1]} if inner[0].get(k) != inner[1].get(k)]
                return f"{name}: {', '.join(sorted(keys))}"
            return name
    return "the call"


def _in_turn(parts: Sequence[Part]) -> list[tuple[Part, Record]]:
    """The rows of all parts in the order of the whole, of which part k has every n-th row."""
    rows = [part.records() for part in parts]
    found = []
    for i in range(max(map(len, rows))):
        found += [(part, of[i]) for part, of in zip(parts, rows, strict=True) if i < len(of)]
    return found


def _encode(parts: Sequence[Part], folder: Path, progress: Progress) -> dict[str, Any]:
    rows = _in_turn(parts)
    (folder / "Latents").mkdir()
    for done, (part, record) in enumerate(rows, 1):
        place(latents.path(part.folder, record), latents.path(folder, record))
        progress("merge", done, len(rows))
    place(parts[0].folder / latents.INFO, folder / latents.INFO)
    filelist.write(folder, [record for _, record in rows])
    _keep(folder, parts, ("warnings", "needs_review"))
    return {"videos": len(rows)}


def _sample(parts: Sequence[Part], folder: Path, progress: Progress) -> dict[str, Any]:
    files = _stills(parts, folder, progress)
    num = int(parts[0].call["settings"]["num"])
    found = len(stills.located(folder))
    if found != num:
        raise DataError(
            f"{found} stills in {files} files, {num} were asked for, {PER_FILE} a file; make the parts again"
        )
    return {"stills": found}


def _filter(parts: Sequence[Part], folder: Path, progress: Progress) -> dict[str, Any]:
    _stills(parts, folder, progress)
    (folder / "private").mkdir()
    rows: list[list[str]] = []
    for part in parts:
        with (part.folder / "private" / "similarity.csv").open(newline="") as file:
            header, *body = list(csv.reader(file))
            rows += body
    rows.sort(key=lambda row: int(row[0]))
    with whole(folder / "private" / "similarity.csv") as path, path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    said = dict(parts[0].said["privacy"])
    kept = sum(int(part.said["privacy"]["num_kept"]) for part in parts)
    said |= {"candidates": len(rows), "num_kept": kept, "rejection_rate": (len(rows) - kept) / len(rows)}
    note(folder, privacy=said)
    if not kept:
        raise DataError(
            f"all {len(rows)} candidates are too similar to a real patient; sample more, or train the LIDM anew"
        )
    return {"num_kept": kept, "candidates": len(rows)}


def _stills(parts: Sequence[Part], folder: Path, progress: Progress) -> int:
    files = sorted(path for part in parts for path in part.folder.glob("stills-*.safetensors"))
    for done, path in enumerate(files, 1):
        place(path, folder / path.name)
        progress("merge", done, len(files))
    return len(files)


def _animate(parts: Sequence[Part], folder: Path, progress: Progress) -> dict[str, Any]:
    rows = sorted(_in_turn(parts), key=lambda row: row[1].name)
    place_videos(rows, folder, progress)
    splits = split_by_order(len(rows))
    filelist.write(folder, [replace(record, split=split) for (_, record), split in zip(rows, splits, strict=True)])
    lost = sorted(number for part in parts for number in part.said.get("lost", []))
    if lost:
        note(folder, lost=lost)
    return {"videos": len(rows)}


def _generate(parts: Sequence[Part], folder: Path, progress: Progress) -> dict[str, Any]:
    num = int(parts[0].call["settings"]["num"])
    of = {int(record.name.rpartition("_")[2]): (part, record) for part in parts for record in part.records()}
    end = min(int(part.said["part"]["end"]) for part in parts)
    stay = sorted(n for n in of if n < end)[:num]
    if len(stay) < num:
        raise DataError(
            f"the parts have {len(stay)} of the {num} videos requested, up to sample {end}: one part fell short of its "
            f"share; make the parts again with a larger --num, such as {num + max(2, num // 20)}, or without --shard"
        )
    place_videos([of[n] for n in stay], folder, progress)
    outcome = Outcome()
    for part in parts:
        outcome = outcome.joined(Outcome.from_json(part.said["part"]["outcome"]))
    rules = Rules(**parts[0].said["part"]["rules"])
    made = {one.number: one for part in parts for one in map(from_json, journal_of(part.folder / JOURNAL))}
    measured = {m.name: m for n in stay if (m := made[n].measured) is not None}
    tracings = [row for n in stay for row in made[n].tracings]
    privacy = finish(folder, [of[n][1] for n in stay], measured, tracings, outcome, rules, stay, stay[-1] + 1)
    return {"videos": len(stay), "privacy": privacy}


def _keep(folder: Path, parts: Sequence[Part], names: Sequence[str]) -> None:
    """Notes of the parts that hold for the whole."""
    said = {name: parts[0].said[name] for name in names if name in parts[0].said}
    if said:
        note(folder, **said)


_JOIN: Mapping[str, Callable[[Sequence[Part], Path, Progress], dict[str, Any]]] = {
    "import": joined,
    "encode": _encode,
    "sample": _sample,
    "filter": _filter,
    "animate": _animate,
    "generate": _generate,
}
