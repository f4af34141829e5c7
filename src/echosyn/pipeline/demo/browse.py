"""The folders that the page may read: datasets with their videos, and the reports that lie in them. Nothing else."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from echosyn.data import filelist, video
from echosyn.data.records import Record
from echosyn.data.video import Frames
from echosyn.errors import ConfigError, DataError

PAGE = 24
"""Videos of one answer at most."""
BINS = tuple(range(0, 101, 5))
"""Edges of the EF histogram, percent."""
REPORTS = ("index.html", "public.html", "report.html")
"""Names of pages that this program writes."""
MAX_REPORT_BYTES = 64_000_000
MAX_SIDE = 512
"""Of a dataset's video, in pixels: the page shows datasets, not archives."""


@dataclass(frozen=True)
class Filters:
    """Which videos of a dataset to show."""

    split: str = ""
    """One of TRAIN, VAL and TEST; all where it is empty."""
    low: float = 0.0
    high: float = 100.0
    """EF in percent; a video without one is shown where these are 0 and 100."""
    text: str = ""
    """Part of the name."""

    def keep(self, record: Record) -> bool:
        """Whether a video is to be shown."""
        if self.split and record.split != self.split:
            return False
        if self.text and self.text.casefold() not in record.name.casefold():
            return False
        if record.ef is None:
            return self.low <= 0 and self.high >= 100
        return self.low <= record.ef <= self.high


class Collection:
    """An allow-list of folders, each under a number that the page knows it by.

    Raises:
        DataError: one is no folder.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        for folder in folders:
            if not folder.is_dir():
                raise DataError(
                    f"{folder}: no such folder; expected a dataset, release or report that the page may show"
                )
        self.folders = [folder.resolve() for folder in folders]
        self._found = [self._reports(folder) for folder in self.folders]
        self._read: dict[Path, tuple[tuple[int, int], list[Record]]] = {}

    def described(self) -> list[dict[str, Any]]:
        """Every folder: its number, name, whether it is a dataset, and the reports that were there at the start."""
        return [
            {"key": i, "name": folder.name, "dataset": self._is_dataset(folder), "reports": self._found[i]}
            for i, folder in enumerate(self.folders)
        ]

    def dataset(self, key: int, filters: Filters, first: int = 0, num: int = PAGE) -> dict[str, Any]:
        """Some of a dataset's videos that pass the filters, spread in the file list's order, and the EFs of all that do."""
        folder = self._folder(key)
        records = self._records(folder)
        found = [r for r in records if filters.keep(r)]
        efs = np.array([r.ef for r in found if r.ef is not None], dtype=np.float64)
        counts = np.histogram(efs, BINS)[0]
        shown = found[max(0, first) : max(0, first) + min(max(1, num), PAGE)]
        return {
            "name": folder.name,
            "total": len(records),
            "found": len(found),
            "first": max(0, first),
            "splits": sorted({r.split for r in records}),
            "histogram": {"edges": list(BINS), "counts": counts.tolist()},
            "mean_ef": float(efs.mean()) if len(efs) else None,
            "videos": [
                {
                    "name": r.name,
                    "ef": r.ef,
                    "split": r.split,
                    "fps": r.fps,
                    "frames": r.num_frames,
                    "view": r.cell("View"),
                }
                for r in shown
            ],
        }

    def video(self, key: int, name: str) -> tuple[Frames, float]:
        """Frames and rate of a video that is in a dataset's file list.

        Raises:
            DataError: it is not, or its file lies outside of the dataset.
        """
        folder = self._folder(key)
        record = next((r for r in self._records(folder) if r.name == name), None)
        if record is None:
            raise DataError("no such video in this dataset")
        path = filelist.video_path(folder, record)
        self.inside(folder, path)
        height, width = video.size(path)
        if max(height, width) > MAX_SIDE:
            raise DataError(
                f"a video of {width}x{height}, expected {MAX_SIDE} pixels a side at most; import the dataset first"
            )
        found = video.read(path)
        return found.grey(), found.fps

    def report(self, key: int, number: int) -> Path:
        """The page of a report.

        Raises:
            ConfigError: there is no such report.
        """
        folder = self._folder(key)
        reports = self._found[key]
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(reports):
            raise ConfigError("no such report in this folder")
        path = folder / reports[number]["name"]
        self.inside(folder, path)
        return path

    @staticmethod
    def inside(folder: Path, path: Path) -> None:
        """Refuse what is not a regular file of the folder itself: links lead elsewhere, even within.

        Raises:
            DataError: it is not.
        """
        below = path.relative_to(folder).parts if path.is_relative_to(folder) else ("..",)
        steps = [folder.joinpath(*below[: i + 1]) for i in range(len(below))]
        if ".." in below or any(step.is_symlink() for step in steps) or not path.is_file():
            raise DataError(f"{path.name}: not a file of this folder, or a link out of it; it is not shown")

    def _folder(self, key: int) -> Path:
        if isinstance(key, bool) or not isinstance(key, int) or not 0 <= key < len(self.folders):
            raise ConfigError("no such folder: the page shows only those that the server was started with")
        return self.folders[key]

    def _records(self, folder: Path) -> list[Record]:
        """The file list of a dataset, read again only when it has changed."""
        path = folder / filelist.FILE_LIST
        self.inside(folder, path)
        state = path.stat().st_mtime_ns, path.stat().st_size
        if self._read.get(folder, (None,))[0] != state:
            self._read[folder] = state, filelist.read(folder)
        return self._read[folder][1]

    def _is_dataset(self, folder: Path) -> bool:
        return (folder / filelist.FILE_LIST).is_file() and (folder / filelist.VIDEOS).is_dir()

    def _reports(self, folder: Path) -> list[dict[str, str]]:
        """Pages in the folder, or up to two folders below, that are regular files of it."""
        found = []
        for pattern in ("", "*/", "*/*/"):
            for name in REPORTS:
                for path in sorted(folder.glob(pattern + name)):
                    try:
                        self.inside(folder, path)
                    except DataError:
                        continue
                    if path.stat().st_size <= MAX_REPORT_BYTES:
                        found.append({"name": str(path.relative_to(folder)), "title": _title(path)})
        return found


def _title(path: Path) -> str:
    """What a page calls itself."""
    start = path.read_bytes()[:4096].decode("utf-8", "replace")
    _, opened, rest = start.partition("<title>")
    title = rest.partition("</title>")[0].strip() if opened else ""
    return html.unescape(title)[:120] or path.name
