"""Check a dataset folder against its files: every row, every video decoded, every problem with its reason."""

import math
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from echosyn.data import cells, filelist, leftovers, table, twins, unmatched, video
from echosyn.data.filelist import Entry, VideoIndex
from echosyn.data.records import Record
from echosyn.data.splits import FOLDS, SPLITS
from echosyn.errors import DataError
from echosyn.progress import Progress, silent

Reason = Literal[
    "bad row",
    "EF out of range",
    "EF as a fraction",
    "bad split",
    "duplicate name",
    "missing file",
    "unreadable",
    "truncated",
    "wrong header",
    "zero frames",
    "no frame rate",
    "not as written",
    "size differs",
    "fps differs",
    "frame count differs",
    "bad tracing",
    "tracing beyond the last frame",
    "tracing of an unknown video",
    "not listed",
    "left out by an import",
    "twin",
]

FPS_TOLERANCE = 0.005
"""Relative difference between file list and container that rounding explains (29.97 written as 30)."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong; ``line`` is that of the file list, or None."""

    line: int | None
    name: str
    reason: Reason
    detail: str


@dataclass(frozen=True)
class Summary:
    """What is in the dataset, counted over the videos that could be decoded."""

    videos: int = 0
    frames: int = 0
    splits: dict[str, int] = field(default_factory=dict)
    ef_range: tuple[float, float] | None = None
    """Smallest and largest known ejection fraction in percent."""
    fps_range: tuple[float, float] | None = None
    folds: dict[str, str] = field(default_factory=dict)
    """Which fold numbers stood for which split, if any did."""


@dataclass(frozen=True)
class Report:
    """The result of `check`."""

    dataset: Path
    summary: Summary
    problems: Sequence[Problem]
    notes: Sequence[Problem]
    """Worth knowing, not wrong."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def counts(self) -> dict[str, int]:
        """Number of problems by reason, the most frequent first."""
        return dict(Counter(problem.reason for problem in self.problems).most_common())

    def table(self) -> str:
        """The report as text for people."""
        summary = self.summary
        splits = ", ".join(f"{split} {count}" for split, count in summary.splits.items())
        lines = [f"{self.dataset}: {summary.videos} videos, {summary.frames} frames ({splits})"]
        if summary.ef_range:
            lines.append("EF {:g}..{:g} %".format(*summary.ef_range))
        if summary.fps_range:
            lines.append("{:g}..{:g} frames per second".format(*summary.fps_range))
        if summary.folds:
            lines.append("folds: " + ", ".join(f"{fold} = {split}" for fold, split in summary.folds.items()))
        for title, entries in (("problem(s)", self.problems), ("note(s)", self.notes)):
            if entries:
                lines.append(table.listing(f"{len(entries)} {title}", [_line(entry) for entry in entries]))
        lines += [f"{count} x {reason}" for reason, count in self.counts.items()]
        return "\n".join([*lines, "ok" if self.ok else "not ok"])

    def to_json(self) -> dict[str, Any]:
        """The report as plain dictionaries and lists."""
        return {
            "dataset": str(self.dataset),
            "ok": self.ok,
            "summary": asdict(self.summary),
            "counts": self.counts,
            "problems": [asdict(problem) for problem in self.problems],
            "notes": [asdict(note) for note in self.notes],
        }


def check(dataset: Path, progress: Progress = silent) -> Report:
    """Check every row of a dataset folder against the files; go on after problems.

    Raises:
        DataError: There is no usable file list or no ``Videos`` folder at all.
    """
    entries = filelist.parse(dataset)
    index = VideoIndex(dataset)
    lost = unmatched.missing(entries, index)
    problems = _check_fractions(entries)
    found: dict[str, tuple[int, int, int, float]] = {}
    with tempfile.TemporaryDirectory() as prints:
        for done, entry in enumerate(entries, start=1):
            problems += [Problem(entry.line, entry.name, _reason(text), text) for text in entry.problems]
            problems += _check_video(entry, index, lost, found, Path(prints))
            progress("check", done, len(entries))
        apart, harmless = _check_twins(entries, Path(prints))
    tracing_problems, notes = _check_tracings(dataset, entries, found)
    problems += [*tracing_problems, *apart]
    notes += [*harmless, *_unlisted(entries, index), *_left_out(index)]
    return Report(dataset, _summary(entries, found), problems, notes)


def _check_fractions(entries: Sequence[Entry]) -> list[Problem]:
    """A whole column of fractions is one problem, single ones among percentages are one each."""
    known = [(e.line, e.record) for e in entries if e.record is not None and e.record.ef is not None]
    if cells.are_fractions([record.ef for _, record in known if record.ef is not None]):
        words = filelist.fractions_words([record for _, record in known])
        return [Problem(None, filelist.FILE_LIST, "EF as a fraction", words)]
    said = [(line, record.name, filelist.suspicious_ef(record)) for line, record in known]
    return [Problem(line, name, "EF out of range", words) for line, name, words in said if words]


def _check_video(
    entry: Entry,
    index: VideoIndex,
    lost: Mapping[str, unmatched.Missing],
    found: dict[str, tuple[int, int, int, float]],
    prints: Path,
) -> list[Problem]:
    """Decode the video of one row, remember its facts in ``found``, and compare them with the row."""
    if not entry.name or entry.name.casefold() in found:
        return []
    path = index.find(entry.name)
    if path is None:
        return [Problem(entry.line, entry.name, "missing file", lost[entry.name].words)]
    try:
        seen = twins.Thumbnails()
        facts = video.probe(path, seen.add)
    except video.BadVideoError as error:
        return [Problem(entry.line, entry.name, error.fault, error.detail)]
    found[entry.name.casefold()] = facts
    if entry.record is not None:
        twins.write(prints / f"{entry.line}.npz", seen.fingerprint())
    return [] if entry.record is None else _compare(entry.line, entry.record, facts)


def _check_twins(entries: Sequence[Entry], prints: Path) -> tuple[list[Problem], list[Problem]]:
    """Recordings under several names: wrong in several splits or patients, else worth knowing."""
    files = {entry.line: prints / f"{entry.line}.npz" for entry in entries if entry.record is not None}
    there = [(entry.line, entry.record) for entry in entries if entry.record and files[entry.line].exists()]
    wrong: list[Problem] = []
    harmless: list[Problem] = []
    for group in twins.groups([files[line] for line, _ in there]):
        (first_line, first), *others = [there[i] for i in group]
        apart = len({(record.split, record.patient) for record in (first, *(r for _, r in others))}) > 1
        for line, record in others:
            detail = f"{record.split}, the recording of {first.name} (line {first_line}, {first.split})"
            cure = "; give both one PatientId and one Split, or remove one: `echosyn import` does the former"
            problem = Problem(line, record.name, "twin", detail + (cure if apart else ""))
            (wrong if apart else harmless).append(problem)
    return wrong, harmless


def _compare(line: int, record: Record, facts: tuple[int, int, int, float]) -> list[Problem]:
    num_frames, height, width, fps = facts
    listed = (record.height or height, record.width or width)
    problems = []
    if listed != (height, width):
        detail = f"{filelist.FILE_LIST} says {listed[1]}x{listed[0]}, the video is {width}x{height}"
        problems.append(Problem(line, record.name, "size differs", detail))
    if record.fps is not None and not math.isclose(record.fps, fps, rel_tol=FPS_TOLERANCE):
        detail = f"{filelist.FILE_LIST} says {record.fps:g}, the video {fps:g}"
        problems.append(Problem(line, record.name, "fps differs", detail))
    if record.num_frames not in (None, num_frames):
        detail = f"{filelist.FILE_LIST} says {record.num_frames}, the video has {num_frames}"
        problems.append(Problem(line, record.name, "frame count differs", detail))
    return problems


def _check_tracings(
    dataset: Path, entries: Sequence[Entry], found: dict[str, tuple[int, int, int, float]]
) -> tuple[list[Problem], list[Problem]]:
    path = dataset / filelist.TRACINGS
    if not path.is_file():
        return [], []
    try:
        if not filelist.has_chords(dataset):
            return [], [Problem(None, path.name, "bad tracing", "no chords (X1, Y1, X2, Y2): not checked")]
        tracings = filelist.read_tracings(dataset)
    except DataError as error:
        return [Problem(None, path.name, "bad tracing", str(error))], []
    last: dict[str, int] = {}
    for tracing in tracings:
        last[tracing.name] = max(tracing.frame, last.get(tracing.name, 0))
    lines = {entry.name.casefold(): entry.line for entry in entries}
    problems = []
    for name, frame in last.items():
        key = filelist.stem(name).casefold()
        if key not in lines:
            problems.append(Problem(None, name, "tracing of an unknown video", f"not in {filelist.FILE_LIST}"))
        elif key in found and frame >= found[key][0]:
            detail = f"traced at frame {frame}, the video has {found[key][0]} frames (the first is 0)"
            problems.append(Problem(lines[key], name, "tracing beyond the last frame", detail))
    return problems, []


def _unlisted(entries: Sequence[Entry], index: VideoIndex) -> list[Problem]:
    listed = {index.find(entry.name) for entry in entries if entry.name}
    detail = f"in {index.folder.name}/ and not in {filelist.FILE_LIST}"
    return [Problem(None, path.name, "not listed", detail) for path in index.files if path not in listed]


def _left_out(index: VideoIndex) -> list[Problem]:
    """Files in ``Videos/`` that no import would take; those of the operating system are nothing to know."""
    rows = [row for row in leftovers.files(index.folder, set(index.files)) if row.what != "system file"]
    return [
        Problem(None, f"{row.count} {row.what}(s)", "left out by an import", f"{row.why} ({', '.join(row.examples)})")
        for row in rows
    ]


def _summary(entries: Sequence[Entry], found: dict[str, tuple[int, int, int, float]]) -> Summary:
    records = [e.record for e in entries if e.record is not None and e.name.casefold() in found]
    efs = [record.ef for record in records if record.ef is not None]
    rates = [found[record.name.casefold()][3] for record in records]
    return Summary(
        videos=len(records),
        frames=sum(found[record.name.casefold()][0] for record in records),
        splits={split: sum(record.split == split for record in records) for split in SPLITS},
        ef_range=(min(efs), max(efs)) if efs else None,
        fps_range=(min(rates), max(rates)) if rates else None,
        folds={e.fold: FOLDS[e.fold] for e in sorted(entries, key=lambda e: e.fold or "") if e.fold},
    )


def _reason(problem: str) -> Reason:
    if "listed twice" in problem:
        return "duplicate name"
    if problem.startswith("EF "):
        return "EF out of range"
    return "bad split" if problem.startswith("Split ") else "bad row"


def _line(problem: Problem) -> str:
    where = f"line {problem.line}: " if problem.line is not None else ""
    return f"  {where}{problem.name}: {problem.reason}: {problem.detail}"
