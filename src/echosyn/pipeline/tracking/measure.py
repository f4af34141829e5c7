"""Does each video show a beating heart? Rhythm and ejection off the tracked cavity, checks, and a table of all videos."""

import csv
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from echosyn.data import filelist, video
from echosyn.data.records import Record
from echosyn.errors import ConfigError
from echosyn.files import whole
from echosyn.metrics import physiology
from echosyn.metrics.area import LeftVentricle, ef_from_area, track_lv
from echosyn.metrics.cavity import View
from echosyn.pipeline.workers.compute import HERE, Compute
from echosyn.pipeline.workers.executors import InProcess, Lost, Processes, cores

CHECKS: Mapping[str, str] = {
    "contrast": "collapsed",
    "motion": "static",
    "cavity": "no cavity",
    "smooth": "jump",
    "rhythm": "irregular",
    "ef": "EF off",
}
"""What can be required of a video, and the flag of one that fails."""
LARGEST_JUMP = 5.0
"""Change between two frames over the median one; beating hearts reach 4."""
MOST_IRREGULAR = 0.3
"""Standard deviation over mean of the times between beats."""
FEWEST = 4
"""Videos for which a process is started."""
EF_TOLERANCE = 15.0
"""Points between requested and measured EF: about five times the standard error of the measurement."""


@dataclass(frozen=True)
class Measured:
    """One video. ``None``: not to be told from it."""

    name: str
    view: View
    ef: float | None
    """Requested, or known of a real heart; percent."""
    ef_by_area: float | None
    """From the tracked cavity, percent."""
    heart_rate: float | None
    """Beats per minute."""
    beats: float | None
    """How many the video holds."""
    irregularity: float | None
    """Standard deviation over mean of the times between beats."""
    end_diastole: int | None
    """First frame of largest cavity of a beat."""
    end_systole: int | None
    """The frame of smallest cavity that follows it, or the first one."""
    contrast: float
    """Of the cavity's outline, 1 is tissue against blood."""
    change: float
    """See `echosyn.metrics.physiology.change`."""
    jump: float
    """Largest change between neighbouring frames over the median one; 1 is smooth."""
    flags: tuple[str, ...]
    """Of the values of `CHECKS`; empty for a beating heart of the right EF."""


def view_of(record: Record) -> View:
    """The column ``View`` of the file list; apical four-chamber where there is none, as in EchoNet-Dynamic."""
    return "PSAX" if record.extra.get("View") == "PSAX" else "A4C"


def measure(frames: NDArray[np.uint8], fps: float, record: Record) -> Measured:
    """Track one video's cavity and check it.

    Args:
        frames: grey, ``(t, 112, 112)``.
        fps: their rate.
        record: what is said about it.
    """
    return tracked(frames, fps, record)[0]


def tracked(frames: NDArray[np.uint8], fps: float, record: Record) -> tuple[Measured, LeftVentricle]:
    """As `measure`, with the cavity that was found."""
    view = view_of(record)
    cavity = track_lv(frames, view)
    return _measured(frames, fps, record, view, cavity), cavity


def _measured(frames: NDArray[np.uint8], fps: float, record: Record, view: View, tracked: LeftVentricle) -> Measured:
    ef, beats = ef_from_area(tracked.areas, view), physiology.rhythm(tracked.areas, fps, view)
    diastole = int(beats.end_diastole[0]) if len(beats.end_diastole) else None
    after = [int(f) for f in beats.end_systole if diastole is None or f > diastole] or [
        int(f) for f in beats.end_systole
    ]
    irregularity = float(beats.irregularity) if np.isfinite(beats.irregularity) else None
    jumped = physiology.jump(frames)
    found = physiology.flags(frames, tracked.areas, view)
    found += ["jump"] if jumped > LARGEST_JUMP else []
    found += ["irregular"] if irregularity is not None and irregularity > MOST_IRREGULAR else []
    off = ef is not None and record.ef is not None and abs(ef - record.ef) > EF_TOLERANCE
    return Measured(
        record.name,
        view,
        record.ef,
        ef,
        beats.heart_rate,
        beats.num_beats if beats.heart_rate is not None else None,
        irregularity,
        diastole,
        after[0] if after else None,
        tracked.contrast,
        physiology.change(frames),
        jumped,
        (*found, *(["EF off"] if off else [])),
    )


def measure_all(dataset: Path, records: Sequence[Record], compute: Compute = HERE) -> list[Measured]:
    """`measure` each of the given videos of a dataset folder (about 0.3 s each).

    Tracking holds Python's lock, so where it would be this process, and ``compute`` allows it, processes of their own do it.
    """
    workers, work, found = min(cores(), len(records) // FEWEST), Tracked(dataset), dict[int, Measured]()
    given = compute.workers()
    own = isinstance(given, InProcess) and compute.side_by_side and workers > 1
    with Processes(workers) if own else nullcontext(given) as executor:
        for numbered, row in executor.map([work], enumerate(records)):
            found[numbered[0]] = work.measured(numbered) if isinstance(row, Lost) else row
            compute.progress("track LV area", len(found), len(records))
    return [found[i] for i in range(len(records))]


@dataclass(frozen=True)
class Tracked:
    """Work: measures a video of a dataset folder, given its record and a number that stands for it."""

    dataset: Path
    device: str = "cpu"

    def start(self) -> Callable[[tuple[int, Record]], Measured]:
        """Nothing to load."""
        return self.measured

    @cached_property
    def _index(self) -> filelist.VideoIndex:
        return filelist.VideoIndex(self.dataset)

    def measured(self, numbered: tuple[int, Record]) -> Measured:
        """What `measure` says of a record's video."""
        recording = video.read(self._index.path(numbered[1]))
        return measure(recording.grey(), recording.fps, numbered[1])


def summary(rows: Sequence[Measured]) -> dict[str, Any]:
    """Median and 5th to 95th percentile of each figure, and how many videos have each flag."""
    found: dict[str, Any] = {"n": len(rows)}
    for name in ("heart_rate", "beats", "irregularity", "change", "jump"):
        values = [value for row in rows if (value := getattr(row, name)) is not None]
        if values:
            low, middle, high = (float(v) for v in np.quantile(values, [0.05, 0.5, 0.95]))
            found[name] = {"n": len(values), "median": middle, "p5": low, "p95": high}
    found["flagged"] = sum(bool(row.flags) for row in rows)
    found["flags"] = {flag: sum(flag in row.flags for row in rows) for flag in CHECKS.values()}
    return found


def write_csv(path: Path, rows: Sequence[Measured]) -> None:
    """One line a video, a column a figure; ``flags`` separated by semicolons, unknown values empty."""
    names = [f.name for f in fields(Measured)]
    with whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows([_cell(getattr(row, name)) for name in names] for row in rows)


def required(names: Collection[str]) -> frozenset[str]:
    """The flags that videos must not have, from names of checks; ``all`` means every check.

    Raises:
        ConfigError: a name is no check.
    """
    unknown = sorted(set(names) - set(CHECKS) - {"all"})
    if unknown:
        raise ConfigError(f"--require {unknown[0]}: expected one of {', '.join(CHECKS)} or all")
    return frozenset(CHECKS.values()) if "all" in names else frozenset(CHECKS[name] for name in names)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return ";".join(value) if isinstance(value, tuple) else "" if value is None else str(value)
