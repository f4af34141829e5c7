"""Dataset folders in Python: records, videos as arrays, and clips for training."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from echosyn.api import display
from echosyn.data import clips, filelist, video
from echosyn.data.frames import Frames
from echosyn.data.records import Record
from echosyn.errors import ConfigError, DataError

NUM_SHOWN = 4


@dataclass(frozen=True, eq=False)
class EchoVideo:
    """A video in memory."""

    name: str
    frames: Frames
    """Grey, uint8 ``(T, H, W)``, 0..255."""
    fps: float
    ef: float | None = None
    """Ejection fraction in percent: the label, or for a generated video the requested one."""
    measured_ef: float | None = None
    """Of a generated video: what tracking its left ventricle gives; None where it was not found."""

    def __repr__(self) -> str:
        t, h, w = self.frames.shape
        ef = "unknown" if self.ef is None else f"{self.ef:.1f} %"
        return f"EchoVideo({self.name!r}, {t} frames of {w}x{h} at {self.fps:g}/s, EF {ef})"

    def _repr_html_(self) -> str:
        return display.moving(self.frames, self.fps, repr(self)) + f"<br>{display.escaped(repr(self))}"

    def save(self, path: str | Path) -> Path:
        """Write it as AVI (as EchoNet-Dynamic's), MP4 or GIF, by the extension.

        Raises:
            ConfigError: another extension.
        """
        path = Path(path)
        writers: dict[str, Callable[[Path, Frames, float], None]] = {
            ".avi": video.write_avi,
            ".mp4": video.write_mp4,
            ".gif": video.write_gif,
        }
        if path.suffix.lower() not in writers:
            raise ConfigError(f"{path}: expected a name that ends in {', '.join(writers)}")
        writers[path.suffix.lower()](path, self.frames, self.fps)
        return path


class EchoDataset(Sequence[EchoVideo]):
    """A dataset folder in EchoNet-Dynamic's layout, real or synthetic; videos are decoded when they are asked for.

    Args:
        folder: with ``FileList.csv`` and ``Videos/``.
        records: its rows, perhaps only some of them.
    """

    def __init__(self, folder: Path, records: Sequence[Record]) -> None:
        self.folder, self.records = folder, list(records)

    @cached_property
    def _index(self) -> filelist.VideoIndex:
        return filelist.VideoIndex(self.folder)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return EchoDataset(self.folder, self.records[i])
        record = self.records[i]
        recording = video.read(self._index.path(record))
        return EchoVideo(record.name, recording.grey(), recording.fps, record.ef)

    def __iter__(self) -> Iterator[EchoVideo]:
        return (self[i] for i in range(len(self)))

    def split(self, name: str) -> "EchoDataset":
        """Only the videos of a split: ``TRAIN``, ``VAL``, ``TEST``."""
        return EchoDataset(self.folder, [r for r in self.records if r.split == name.upper()])

    def clips(
        self,
        num_frames: int = 32,
        period: int = 2,
        transform: Callable[[Tensor], Tensor] | None = None,
        seed: int | None = None,
    ) -> "ClipDataset":
        """A ``torch.utils.data.Dataset`` of (clip, EF), see `ClipDataset`."""
        return ClipDataset(self, num_frames, period, transform, seed)

    @property
    def _facts(self) -> dict[str, object]:
        efs = [r.ef for r in self.records if r.ef is not None]
        splits = Counter(r.split for r in self.records)
        return {
            "videos": len(self.records),
            "patients": len({r.patient for r in self.records}),
            "splits": ", ".join(f"{name} {count}" for name, count in splits.items()) or "none",
            "EF": f"{min(efs):g} to {max(efs):g} %, {len(efs)} labelled" if efs else "no labels",
        }

    def __repr__(self) -> str:
        return display.text_table(f"EchoDataset {self.folder}", self._facts)

    def _repr_html_(self) -> str:
        table = display.html_table(f"EchoDataset {self.folder}", self._facts)
        shown = [self[i] for i in clips.spaced(len(self), NUM_SHOWN)]
        same = [v for v in shown if v.frames.shape[1:] == shown[0].frames.shape[1:]]
        if not same:
            return table
        row = display.side_by_side([v.frames for v in same])
        return table + display.moving(row, same[0].fps, f"{len(same)} of the videos, side by side")


class ClipDataset(Dataset[tuple[Tensor, Tensor]]):
    """Clips with their EF, one a video: ``(float32 (1, num_frames, H, W) in [0, 1], EF in percent, float32 ())``.

    Videos without an EF are left out. A video that is too short is padded with zeros.

    Args:
        source: where the videos are.
        num_frames: frames of a clip.
        period: every so many-th frame is taken.
        transform: applied to the clip.
        seed: of where clips begin; by default each begins at the start of its video.
    """

    def __init__(
        self,
        source: EchoDataset,
        num_frames: int = 32,
        period: int = 2,
        transform: Callable[[Tensor], Tensor] | None = None,
        seed: int | None = None,
    ) -> None:
        if num_frames < 1 or period < 1:
            raise ConfigError(f"num_frames {num_frames}, period {period}: expected at least 1")
        self.source = EchoDataset(source.folder, [r for r in source.records if r.ef is not None])
        if not len(self.source):
            raise DataError(f"{source.folder}: no video with an EF; a clip needs a label")
        self.num_frames, self.period, self.transform = num_frames, period, transform
        self._draws = None if seed is None else np.random.default_rng(seed)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        if not 0 <= i < len(self):
            raise IndexError(i)
        echo = self.source[i]
        possible = clips.Windows(np.arange(len(echo.frames), dtype=np.int64), self.num_frames, self.period)
        start = 0 if self._draws is None else int(self._draws.integers(len(possible)))
        chosen = possible[start]
        clip = torch.zeros(1, self.num_frames, *echo.frames.shape[1:])
        clip[0, : len(chosen)] = torch.from_numpy(echo.frames[chosen]).float() / 255
        return (self.transform(clip) if self.transform else clip), torch.tensor(echo.ef, dtype=torch.float32)


def load_dataset(folder: str | Path, split: str | None = None) -> EchoDataset:
    """Open a dataset folder: real, imported, phantom or synthetic.

    Args:
        folder: with ``FileList.csv`` and ``Videos/``.
        split: only ``TRAIN``, ``VAL`` or ``TEST``; default all.

    Raises:
        DataError: there is no usable file list.
    """
    dataset = EchoDataset(Path(folder), filelist.read(Path(folder)))
    return dataset if split is None else dataset.split(split)
