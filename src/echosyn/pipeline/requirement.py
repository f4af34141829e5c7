"""What is asked of every generated video besides being nobody's: that it shows a heart which beats as requested."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from echosyn.data import filelist
from echosyn.pipeline.evaluating import labels, physiology
from echosyn.pipeline.evaluating.physiology import Measured
from echosyn.pipeline.progress import Progress, silent

MEASUREMENTS = "measurements.csv"


class Requirement:
    """Measures the videos of a dataset folder that is being written, and says which ones pass.

    Args:
        folder: of the dataset; its file list says what was requested.
        checks: names of `echosyn.pipeline.evaluating.physiology.CHECKS`, or ``all``.
        progress: told what is done.

    Raises:
        ConfigError: there is no such check.
    """

    def __init__(self, folder: Path, checks: Sequence[str], progress: Progress = silent) -> None:
        self.folder, self.checks, self.progress = folder, list(checks), progress
        self.refused = physiology.required(checks)
        self.rows: dict[str, Measured] = {}
        """Of every video that was looked at, by name."""

    def fits(self, paths: list[Path]) -> list[bool]:
        """Whether the video of each file has none of the flags."""
        wanted = {path.stem for path in paths}
        records = [r for r in filelist.read(self.folder) if r.name in wanted]
        self.rows |= {row.name: row for row in physiology.measure_all(self.folder, records, self.progress)}
        return [not self.refused & set(self.rows[path.stem].flags) for path in paths]

    def finish(self) -> dict[str, Any]:
        """Write labels, tracings and ``measurements.csv`` of the videos that stayed; what the provenance says."""
        stayed = labels.add(self.folder, self.rows, self.progress)
        physiology.write_csv(self.folder / MEASUREMENTS, [self.rows[r.name] for r in stayed])
        failed = [row for row in self.rows.values() if self.refused & set(row.flags)]
        reasons = {flag: sum(flag in row.flags for row in failed) for flag in sorted(self.refused)}
        return {"checks": self.checks, "videos_measured": len(self.rows), "replaced": len(failed), "reasons": reasons}
