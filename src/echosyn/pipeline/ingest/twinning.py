"""Recordings that an import found more than once become those of one patient, in one split."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from echosyn.data import filelist, twins
from echosyn.data.records import Record
from echosyn.data.splits import EXTRA, SPLITS, Split

_SHOWN = 5
_WINS: tuple[Split, ...] = (*SPLITS, EXTRA)
"""What was trained on must not be held out, what was chosen on not be tested on."""


def together(records: Sequence[Record], folders: Sequence[Path]) -> tuple[list[Record], list[str]]:
    """The records with twins in one patient and one split, and what was found."""
    files = [
        twins.path(folder / filelist.VIDEOS / f"{record.name}.avi")
        for folder, record in zip(folders, records, strict=True)
    ]
    groups = twins.groups(files)
    if not groups:
        return list(records), []
    changed = list(records)
    for patients in _joined(records, groups):
        own = [i for i, record in enumerate(records) if record.patient in patients]
        first = min(own, key=lambda i: (_WINS.index(records[i].split), i))
        for i in own:
            extra = dict(records[i].extra)
            if len(patients) > 1:
                extra["PatientId"] = records[first].patient
            changed[i] = replace(records[i], split=records[first].split, extra=extra)
    return changed, _notes(records, changed, groups)


def forget(folder: Path) -> None:
    """Remove the fingerprints of a folder that is whole: they are derived from patients."""
    shutil.rmtree(folder / twins.FOLDER, ignore_errors=True)


def _joined(records: Sequence[Record], groups: Sequence[Sequence[int]]) -> list[set[str]]:
    """The patients who are one, as some of their videos are twins."""
    found: list[set[str]] = []
    for group in groups:
        patients = {records[i].patient for i in group}
        touching = [one for one in found if one & patients]
        found = [one for one in found if not one & patients] + [patients.union(*touching)]
    return found


def _notes(before: Sequence[Record], after: Sequence[Record], groups: Sequence[Sequence[int]]) -> list[str]:
    same = [twins.named([before[i].name for i in group]) for group in groups]
    moved = [f"{a.name} ({a.split} -> {b.split})" for a, b in zip(before, after, strict=True) if a.split != b.split]
    labels = [{before[i].name: before[i].ef for i in group if before[i].ef is not None} for group in groups]
    unlike = [
        ", ".join(f"{name} {ef:g}" for name, ef in list(known.items())[:_SHOWN])
        for known in labels
        if len(set(known.values())) > 1
    ]
    return [
        f"{len(same)} recording(s) are there under several names, kept as one patient in one split: {_some(same)}",
        *([f"split of {len(moved)} video(s) changed, as a twin is in another: {_some(moved)}"] if moved else []),
        *([f"EF of {len(unlike)} recording(s) differs between its names: {_some(unlike)}"] if unlike else []),
    ]


def _some(texts: Sequence[str]) -> str:
    return "; ".join(texts[:_SHOWN]) + ("; ..." if len(texts) > _SHOWN else "")
