"""Training items: the item at position *g* of an endless, shuffled stream depends on (seed, *g*) alone.

A loader therefore resumes by starting at another position, and two processes split a batch by splitting its positions.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from echosyn import rng
from echosyn.data import clips, latents
from echosyn.data.records import Record
from echosyn.errors import DataError

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
DIASTOLE = 0.05
"""Frames in which no more of the stroke volume is gone are end-diastolic."""

ReadVideo = Callable[[Record], Pixels]
"""A recording's grey frames, uint8 ``(T, H, W)``."""
ReadFrame = Callable[[Record, np.random.Generator], Tensor]
"""A frame of a recording, drawn by the draws of its item and perhaps changed by them."""


class Positions(Sampler[int]):
    """Positions ``start .. stop`` of the stream in order, those of one process out of ``num_processes``."""

    def __init__(self, start: int, stop: int, batch: int, process: int = 0, num_processes: int = 1) -> None:
        self.positions, self.batch = range(start, stop), batch
        self.process, self.num_processes = process, num_processes

    def __iter__(self) -> Iterator[int]:
        return (g for g in self.positions if (g % self.batch) * self.num_processes // self.batch == self.process)

    def __len__(self) -> int:
        return len(self.positions) // self.num_processes


class Shuffle:
    """An endless stream of 0..n-1, each once an epoch, in an order that depends on (seed, epoch)."""

    def __init__(self, num_items: int, seed: int) -> None:
        if num_items < 1:
            raise DataError("no video of split TRAIN; expected at least one: set Split to TRAIN in FileList.csv")
        self.num_items, self.seed = num_items, seed
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def __getitem__(self, position: int) -> int:
        epoch, offset = divmod(position, self.num_items)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, rng.numpy_generator(self.seed, "order", epoch).permutation(self.num_items)
        return int(self._order[offset])


class Recent:
    """A bounded memory of decoded recordings: the most recently used, up to ``max_bytes``."""

    def __init__(self, read: ReadVideo, max_bytes: int = 2 << 30) -> None:
        self.read, self.max_bytes = read, max_bytes
        self._kept: OrderedDict[str, Pixels] = OrderedDict()
        self._bytes = 0

    @property
    def num_bytes(self) -> int:
        """What is kept now."""
        return self._bytes

    def __call__(self, record: Record) -> Pixels:
        """The grey frames of a recording, uint8 ``(T, H, W)``."""
        if record.name in self._kept:
            self._kept.move_to_end(record.name)
            return self._kept[record.name]
        frames = self.read(record)
        self._kept[record.name] = frames
        self._bytes += frames.nbytes
        while self._bytes > self.max_bytes and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return frames


class Items(Dataset[dict[str, Any]]):
    """Base: the draws of position ``g``."""

    def __init__(self, records: Sequence[Record], seed: int, purpose: str) -> None:
        self.records, self.seed, self.purpose = list(records), seed, purpose
        missing = [r.name for r in self.records if r.num_frames is None or r.fps is None]
        if missing:
            raise DataError(
                f"NumberOfFrames or FPS is unknown for {len(missing)} video(s), first {missing[0]}: complete the dataset "
                "with `echosyn import`"
            )

    @cached_property
    def shuffle(self) -> Shuffle:
        """The order of the items."""
        return Shuffle(len(self.records), self.seed)

    def draws(self, g: int) -> np.random.Generator:
        """The randomness of position ``g``."""
        return rng.numpy_generator(self.seed, self.purpose, g)


class Frames(Items):
    """Single frames for the VAE: ``{"frames": uint8 (H, W), "index": g}``, every ``stride``-th frame of every video.

    The file list only says how often a video's turn comes; which frames there are, the video says.
    """

    def __init__(self, records: Sequence[Record], read: ReadVideo, stride: int, seed: int) -> None:
        super().__init__(records, seed, "frames")
        self.read, self.stride = read, stride
        self.counts = np.cumsum([-(-(r.num_frames or 1) // stride) for r in self.records])

    @cached_property
    def shuffle(self) -> Shuffle:
        """The order over all frames of all videos."""
        return Shuffle(int(self.counts[-1]) if len(self.counts) else 0, self.seed)

    def __getitem__(self, g: int) -> dict[str, Any]:
        item = self.shuffle[g]
        video = int(np.searchsorted(self.counts, item, side="right"))
        turn = item - (int(self.counts[video - 1]) if video else 0)
        frames = self.read(self.records[video])[:: self.stride]
        return {"frames": torch.from_numpy(frames[turn % len(frames)]), "index": g}


class Clips(Items):
    """Pixel clips with their EF; short ones end in black.

    ``{"clip": uint8 (T, H, W), "length": frames before the black, "ef": percent, "index": g}``
    """

    def __init__(
        self,
        records: Sequence[Record],
        read: ReadVideo,
        fps: float,
        num_frames: int,
        seed: int,
        period: int | None = None,
    ) -> None:
        super().__init__([r for r in records if r.ef is not None], seed, "clips")
        self.read, self.fps, self.num_frames, self.period = read, fps, num_frames, period

    def __getitem__(self, g: int) -> dict[str, Any]:
        record = self.records[self.shuffle[g]]
        assert record.fps is not None
        frames = self.read(record)
        windows = clips.windows(len(frames), record.fps, self.fps, self.num_frames, self.period)
        indices = clips.anywhere(windows, self.draws(g).random())
        clip = pixel_clip(frames, indices, self.num_frames)
        return {"clip": clip, "length": len(indices), "ef": record.ef, "index": g}


class LatentClips(Items):
    """Latent clips for LIDM and LVDM.

    ``{"latents": (C, T, h, w), "mask": (T,) 0/1, "still": (C, h, w) a random frame of the same video, "index": g}`` and the
    video's labels; clips start anywhere, short ones are padded by zeros and masked there. With ``courses`` there is also
    ``"course": (T,)``, and stills, also clips of a single frame, are taken at end-diastole.

    Args:
        folder: latents folder.
        records: its videos.
        fps: frame rate of the clips; None takes every frame.
        num_frames: their length.
        seed: of order and draws.
        labels: further numbers of each video by name, such as its EF; as many as ``records``.
        courses: when each heart contracts, one number a frame of the recording (`latents.read_course`); as many.
    """

    def __init__(
        self,
        folder: Path,
        records: Sequence[Record],
        fps: float | None,
        num_frames: int,
        seed: int,
        labels: Sequence[Mapping[str, float]] = (),
        courses: Sequence[NDArray[np.float32]] = (),
    ) -> None:
        super().__init__(records, seed, "latent clips")
        self.folder, self.fps, self.num_frames = folder, fps, num_frames
        self.labels = labels or [{}] * len(self.records)
        self.courses = courses

    def first_still(self, video: int) -> Tensor:
        """The first still ``(C, h, w)`` of a video that could be an item."""
        return latents.read(self.folder, self.records[video], self._stills(video, 1)[:1])[0]

    def _stills(self, video: int, num_frames: int) -> NDArray[np.intp]:
        """The frames that may be a still: with courses, those at end-diastole."""
        return np.flatnonzero(self.courses[video] <= DIASTOLE) if self.courses else np.arange(num_frames)

    def __getitem__(self, g: int) -> dict[str, Any]:
        video, draws = self.shuffle[g], self.draws(g)
        record = self.records[video]
        assert record.fps is not None
        num_frames = latents.count(self.folder, record)
        indices = clips.clip(num_frames, record.fps, self.fps or record.fps, self.num_frames, draws.random())
        stills = self._stills(video, num_frames)
        course = {}
        if self.courses:
            course["course"] = torch.from_numpy(self.courses[video][np.resize(indices, self.num_frames)])
        frame = int(stills[draws.integers(len(stills))])
        if self.courses and self.num_frames == 1:
            indices = np.array([frame])
        found = latents.read(self.folder, record, indices).transpose(0, 1)
        still = latents.read(self.folder, record, [frame])[0]
        padded = found.new_zeros(found.shape[0], self.num_frames, *found.shape[2:])
        padded[:, : len(indices)] = found
        mask = (torch.arange(self.num_frames) < len(indices)).float()
        return {"latents": padded, "mask": mask, "still": still, **course, **self.labels[video], "index": g}


class Pairs(Items):
    """Pairs of frames for the re-identification model.

    ``{"a": frame, "b": frame, "same": 0 or 1, "patient": whose ``a`` is, as a number, "index": g}``; every patient is ``a``
    once an epoch, and any two frames of a patient may be a pair, of whichever videos.

    Args:
        records: videos of at least two patients (``Record.patient``).
        read: a drawn frame of a recording.
        same: share of pairs of one patient; the others are of two.
        seed: of the order and the draws.
    """

    def __init__(self, records: Sequence[Record], read: ReadFrame, same: float, seed: int) -> None:
        super().__init__(records, seed, "pairs")
        self.read, self.same = read, same
        videos: dict[str, list[Record]] = {}
        for record in self.records:
            videos.setdefault(record.patient, []).append(record)
        self.patients = list(videos.values())
        if len(self.patients) < 2:
            raise DataError(f"{len(self.patients)} TRAIN patient(s); telling patients apart needs at least 2")

    @cached_property
    def shuffle(self) -> Shuffle:
        """The order of the patients."""
        return Shuffle(len(self.patients), self.seed)

    def __getitem__(self, g: int) -> dict[str, Any]:
        first, draws = self.shuffle[g], self.draws(g)
        same = bool(draws.random() < self.same)
        other = first if same else (first + 1 + int(draws.integers(len(self.patients) - 1))) % len(self.patients)
        a, b = (self._frame(self.patients[i], draws) for i in (first, other))
        return {"a": a, "b": b, "same": float(same), "patient": first, "index": g}

    def _frame(self, videos: Sequence[Record], draws: np.random.Generator) -> Tensor:
        record = videos[int(draws.integers(len(videos)))]
        return self.read(record, draws)


def pixel_clip(frames: Pixels, indices: clips.Indices, length: int) -> Tensor:
    """Frames at ``indices`` as a uint8 tensor ``(length, H, W)``, black after the last."""
    clip = torch.zeros(length, *frames.shape[1:], dtype=torch.uint8)
    clip[: len(indices)] = torch.from_numpy(frames[indices])
    return clip
