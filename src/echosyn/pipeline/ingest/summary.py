"""What an import says once its videos are there, alike for one job and for parts that are merged."""

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from echosyn.data import filelist, leftovers, table
from echosyn.data.dicom.item import BLACKENED
from echosyn.data.leftovers import LeftOut
from echosyn.data.records import Record, Tracing
from echosyn.data.splits import SPLITS, Split, split_patients
from echosyn.errors import DataError
from echosyn.pipeline.folder import note, write_json
from echosyn.pipeline.ingest import review, twinning
from echosyn.pipeline.workers.parts import Part, place_videos
from echosyn.progress import Progress

T = TypeVar("T")

FOUND = "found.json"
"""In the folder of a shard: what `Found` knows that is in no table."""
REPORT = "import.csv"
"""Of a DICOM import: what became of every file."""


@dataclass
class Found:
    """What was found on the videos of a source, by their positions among all of them."""

    notes: Sequence[str]
    """Of the layout."""
    folds: Mapping[str, Split]
    num_tracings: int
    """Rows of the source, imported or not."""
    records: dict[int, Record] = field(default_factory=dict)
    stretched: list[int] = field(default_factory=list)
    differs: dict[int, list[str]] = field(default_factory=dict)
    """Columns of the source that were wrong."""
    bad: dict[int, str] = field(default_factory=dict)
    """Why videos were not imported."""
    tracings: dict[int, Tracing] = field(default_factory=dict)
    """By their row in the source."""
    mended: dict[int, list[str]] = field(default_factory=dict)
    """What was done to videos so that they are as a player shows them."""
    beyond: dict[int, str] = field(default_factory=dict)
    """Rows of tracings at frames that their videos do not have, and the videos' names."""
    names: dict[int, str] = field(default_factory=dict)
    """Of the bad videos."""
    refused: Sequence[tuple[str, str]] = ()
    """Name and reason of videos that the source's list keeps out."""
    left_out: Sequence[LeftOut] = ()
    """Of the layout."""

    def write(self, folder: Path) -> None:
        """Write `FOUND`; records and tracings are in the tables already."""
        said = {
            name: sorted(map(list, getattr(self, name).items()))
            for name in ("folds", "differs", "bad", "mended", "beyond", "names")
        }
        said |= {name: sorted(getattr(self, name)) for name in ("stretched", "records", "tracings")}
        whole = {"refused": sorted(map(list, self.refused)), "left_out": [row.to_json() for row in self.left_out]}
        write_json(folder / FOUND, said | whole | {"notes": list(self.notes), "num_tracings": self.num_tracings})

    @classmethod
    def read(cls, part: Part) -> "Found":
        """What a part has found."""
        said = json.loads((part.folder / FOUND).read_text())
        traced = filelist.read_tracings(part.folder)
        return cls(
            said["notes"],
            dict(said["folds"]),
            said["num_tracings"],
            dict(zip(said["records"], part.records(), strict=True)),
            said["stretched"],
            dict(said["differs"]),
            dict(said["bad"]),
            dict(zip(said["tracings"], traced, strict=True)),
            dict(said["mended"]),
            dict(said["beyond"]),
            dict(said["names"]),
            [(name, reason) for name, reason in said["refused"]],
            [LeftOut(**row) for row in said["left_out"]],
        )

    def join(self, other: "Found") -> None:
        """Add those of another part."""
        self.stretched = [*self.stretched, *other.stretched]
        for name in ("records", "differs", "bad", "tracings", "mended", "beyond", "names"):
            setattr(self, name, getattr(self, name) | getattr(other, name))

    def reasons(self) -> list[tuple[str, str]]:
        """Name and reason of every video that is not imported."""
        return [*sorted(self.refused), *((self.names[i], self.bad[i]) for i in sorted(self.bad))]

    def table(self) -> list[LeftOut]:
        """What was left out, and why."""
        nowhere = self.num_tracings - len(self.tracings) - len(self.beyond)
        return [
            *leftovers.by_reason("video", self.reasons()),
            *([LeftOut("tracing row", "its video is not imported", nowhere)] if nowhere else []),
            *leftovers.of("tracing row", "beyond the last frame of its video", _in_order(self.beyond)),
            *self.left_out,
        ]


def finish(folder: Path, found: Found, made_in: Sequence[Path] | None = None) -> dict[str, Any]:
    """Write the tables and say what was found; returns what it says.

    Args:
        folder: of the dataset.
        found: what is said.
        made_in: folder of each video's fingerprint, to find twins; None for a part, whose twins may be in others.
    """
    records: list[Record] = _in_order(found.records)
    twin_notes: list[str] = []
    if made_in is not None:
        records, twin_notes = twinning.together(records, made_in)
        twinning.forget(folder)
    filelist.write(folder, records)
    if found.tracings:
        filelist.write_tracings(folder, _in_order(found.tracings))
    wrong = Counter(column for columns in _in_order(found.differs) for column in columns)
    mended = counts(what for each in _in_order(found.mended) for what in each)
    untraced = found.num_tracings - len(found.tracings) - len(found.beyond)
    beyond = len(found.beyond)
    stretched = len(found.stretched)
    notes = [
        *found.notes,
        *([f"{stretched} video(s) were not square and were stretched: cut a square with crop"] if stretched else []),
        *(f"{count} video(s) {what}" for what, count in mended.items()),
        *(f"{column} in the source was wrong for {count} video(s): corrected" for column, count in wrong.items()),
        *([f"{untraced} tracing row(s) left out: their video is not imported"] if untraced else []),
        *([f"{beyond} tracing row(s) left out: beyond the last frame of their video"] if beyond else []),
        *twin_notes,
    ]
    summary = {
        "videos": len(records),
        "frames": sum(record.num_frames or 0 for record in records),
        "splits": _splits(records),
        "folds": dict(found.folds),
        "skipped": counts(reason for _, reason in found.reasons()),
        "notes": notes,
        "left_out": [row.to_json() for row in found.table()],
    }
    note(folder, **summary)
    return summary


def finish_dicom(
    folder: Path,
    records: Sequence[Record],
    became: Iterable[tuple[str, str]],
    inputs: str,
    sheets: int,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Write the file list of a DICOM import and say what was found; returns what it says.

    Args:
        folder: of the dataset.
        records: of its videos, in the order of their names.
        became: status and reason of every file.
        inputs: keyed hash of the files.
        sheets: how many are there to be looked at.
        notes: on twins.
    """
    filelist.write(folder, records)
    pairs = list(became)
    count = Counter(status for status, _ in pairs)
    left = sorted(("", reason or status) for status, reason in pairs if status != "imported")
    left_out = [replace(row, examples=()) for row in leftovers.by_reason("file", left)]
    summary = {
        "videos": len(records),
        "frames": sum(record.num_frames or 0 for record in records),
        "patients": len({record.patient for record in records}),
        "with_ef": sum(record.ef is not None for record in records),
        "splits": _splits(records),
        "skipped": count["skipped"],
        "failed": count["failed"],
        "reasons": dict(sorted(Counter(reason for _, reason in pairs if reason).items())),
        "sheets": sheets,
        "left_out": [row.to_json() for row in left_out],
    }
    summary["notes"] = [*notes, *_blackened(records)]
    note(folder, inputs=inputs, needs_review=True, **summary)
    return summary


def _blackened(records: Sequence[Record]) -> list[str]:
    """How much of the sectors was taken for text, for whoever looks at the sheets."""
    shares = [(float(share), record.name) for record in records if (share := record.extra.get(BLACKENED))]
    if not shares:
        return []
    most, name = max(shares)
    return [
        f"blackened as text: {median(share for share, _ in shares):.1f} % of the sector (median), at most {most:.1f} % ({name})"
    ]


def joined(parts: Sequence[Part], folder: Path, progress: Progress) -> dict[str, Any]:
    """Join the parts of an import, see `echosyn.pipeline.merge`.

    Raises:
        DataError: a part is not as it was made, or no part has a video.
    """
    if parts[0].call["settings"]["source"] == "dicom":
        return _joined_dicom(parts, folder, progress)
    each = [_unchanged(part, Found.read) for part in parts]
    first = each[0]
    found = Found(
        first.notes, first.folds, first.num_tracings, refused=first.refused, left_out=first.left_out
    )  # what is of the whole source, every part says alike
    for other in each:
        found.join(other)
    if not found.records:
        raise DataError(
            f"nothing to merge: no part has a video ({listed(reason for _, reason in found.reasons())}); none is left"
        )
    of = {i: part for part, one in zip(parts, each, strict=True) for i in one.records}
    place_videos([(of[i], record) for i, record in sorted(found.records.items())], folder, progress)
    summary = finish(folder, found, [of[i].folder for i in sorted(found.records)])
    return {"videos": len(found.records), "left_out": summary["left_out"]}


def _joined_dicom(parts: Sequence[Part], folder: Path, progress: Progress) -> dict[str, Any]:
    reports = [_unchanged(part, _report) for part in parts]
    rows = sorted((row for report in reports for row in report[1:]), key=lambda row: row[0])
    sources, files = parts[0].said["inputs"], parts[0].said["part"]["files"]
    differing = next((part for part in parts if part.said["inputs"] != sources), None)
    if differing is not None:
        raise DataError(f"{differing.folder}: was made from other files than {parts[0].folder}; make the parts again")
    if len({row[0] for row in rows}) != files or len(rows) != files:
        raise DataError(
            f"the parts have {len(rows)} rows of {files} files: one could be read by some and not by others; make the parts "
            "again, into new folders"
        )
    of = {record.name: (part, record) for part in parts for record in part.records()}
    if not of:
        raise DataError(f"nothing to merge: no part has a video ({listed(row[2] for row in rows)})")
    place_videos([of[name] for name in sorted(of)], folder, progress)
    ordered = [of[name][1] for name in sorted(of)]
    splits = split_patients([r.patient for r in ordered], int(parts[0].call["settings"]["seed"]))
    first = table.read(of[ordered[0].name][0].folder / filelist.FILE_LIST, required=("FileName",))
    empty = dict.fromkeys((column for column in first.columns if column not in filelist.COLUMNS), "")
    records = [replace(r, split=splits[r.patient], extra=empty | dict(r.extra)) for r in ordered]
    records, notes = twinning.together(records, [of[r.name][0].folder for r in records])
    table.write(folder / REPORT, reports[0][0], rows)
    sheets = review.write_sheets(folder, records, progress)
    finish_dicom(folder, records, [(row[1], row[2]) for row in rows], sources, sheets, notes)
    return {"videos": len(records), "sheets": sheets}


def _report(part: Part) -> list[list[str]]:
    """Header and rows of what became of a part's files."""
    with (part.folder / REPORT).open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def _unchanged(part: Part, read: Callable[[Part], T]) -> T:
    try:
        return read(part)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{part.folder}: is not as the import made it ({error}); make this part again") from error


def counts(reasons: Iterable[str]) -> dict[str, int]:
    """How often each reason is given, the most common first."""
    return dict(Counter(reasons).most_common())


def listed(reasons: Iterable[str]) -> str:
    """`counts`, for a message."""
    return ", ".join(f"{count} {reason}" for reason, count in counts(reasons).items())


def _splits(records: Sequence[Record]) -> dict[str, int]:
    return {split: sum(record.split == split for record in records) for split in SPLITS}


def _in_order(found: Mapping[int, Any]) -> list[Any]:
    return [found[i] for i in sorted(found)]
