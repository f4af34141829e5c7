"""Features of a set, one video in memory at a time, in chunk files that a killed run finds again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from echosyn import rng
from echosyn.data.background import zeroed
from echosyn.data.clips import resampled
from echosyn.data.resizing import resized
from echosyn.errors import DataError, StoppedError
from echosyn.files import whole
from echosyn.metrics.moments import Array, Moments
from echosyn.pipeline.evaluate.fidelity.feature_spaces import Frames, Places, Rows, Space, spaces
from echosyn.pipeline.evaluate.fidelity.protocols import Protocol, Sampling, Side
from echosyn.pipeline.evaluate.fidelity.video_sets import Item, VideoSet
from echosyn.pipeline.workers.executors import Executor, Lost
from echosyn.progress import Progress, silent

CHUNK = 16
"""Videos in a chunk file."""

ROWS_AT_ONCE = 512
"""Features that are joined to moments at once."""

Plan = Mapping[str, Sequence[Space]]
"""Feature spaces by sampling."""


@dataclass(frozen=True, eq=False)
class Features:
    """The extracted features of one side, on disk."""

    videos: VideoSet
    folder: Path
    files: Sequence[Path]
    counts: Mapping[str, NDArray[np.int64]]
    """Rows of each video, by `key`; 0 where it was left out."""

    def rows(self, key: str, chosen: NDArray[np.int64]) -> Array:
        """Features of some videos, in that order: ``(rows, d)`` float64."""
        wanted, found = set(chosen.tolist()), {}
        for i, part in self.stream(key):
            if i in wanted:
                found[i] = part
        return np.concatenate([found[i] for i in chosen.tolist()]).astype(np.float64)

    def moments(self, key: str, labels: NDArray[np.int64]) -> list[Moments]:
        """Moments of the videos of each label 0, 1, ..., a chunk in memory at a time; -1 stays out."""
        labelled = [_Buffered() for _ in range(int(labels.max(initial=-1)) + 1)]
        for i, rows in self.stream(key):
            if labels[i] >= 0:
                labelled[labels[i]].add(rows)
        return [one.finished() for one in labelled]

    def stream(self, key: str) -> Iterator[tuple[int, Rows]]:
        """Number and features of every video that was not left out, in order, a chunk in memory at a time."""
        start = 0
        for file in self.files:
            rows, counts = _read(file, key)
            ends = np.cumsum(counts)
            yield from ((start + i, rows[ends[i] - n : ends[i]]) for i, n in enumerate(counts) if n)
            start += len(counts)


@dataclass(eq=False)
class _Buffered:
    """Moments that are joined so many rows at a time, wherever chunks end: their last digits do not depend on those."""

    moments: Moments = field(default_factory=Moments)
    waiting: list[Rows] = field(default_factory=list)
    count: int = 0

    def add(self, rows: Rows) -> None:
        self.waiting.append(rows)
        self.count += len(rows)
        while self.count >= ROWS_AT_ONCE:
            together = np.concatenate(self.waiting)
            self.moments.update(together[:ROWS_AT_ONCE])
            self.waiting = [together[ROWS_AT_ONCE:]]
            self.count -= ROWS_AT_ONCE

    def finished(self) -> Moments:
        if self.count:
            self.moments.update(np.concatenate(self.waiting))
        return self.moments


def key(sampling: str, space: str) -> str:
    """Under which name the features of a space on a sampling are kept."""
    return f"{sampling}|{space}"


def extract(
    videos: VideoSet,
    side: Side,
    protocol: Protocol,
    plan: Plan,
    folder: Path,
    *,
    seed: int = 0,
    chunk: int = CHUNK,
    progress: Progress = silent,
) -> Features:
    """Decode every video once and keep what each feature space makes of it; chunks that are there are not made again.

    Args:
        videos: one side.
        side: which one.
        protocol: decides the frames.
        plan: feature spaces by sampling of the protocol.
        folder: for the chunk files.
        seed: of random starts; what a video gives depends on it and on the video's content alone.
        chunk: videos in a file; changes no number.
        progress: told how many videos are done.

    Raises:
        DataError: a video is damaged, of another size than the protocol's, or too short where that is not allowed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    taken = {name: _Taken(protocol.samplings[name], side) for name in plan}
    files: list[Path] = []
    counts: dict[str, list[int]] = {key(name, s.name): [] for name in plan for s in plan[name]}
    for start in range(0, len(videos.items), chunk):
        items = videos.items[start : start + chunk]
        file = chunk_file(folder, start, len(items))
        if not file.is_file():
            _write(file, [_features(item, side, protocol, plan, taken, seed) for item in items])
        else:
            for name, spaces in plan.items():
                taken[name].restore([_read(file, key(name, space.name))[1] for space in spaces])
        for name in counts:
            counts[name] += _read(file, name)[1].tolist()
        files.append(file)
        progress(f"features of {side} videos", start + len(items), len(videos.items))
    return Features(videos, folder, files, {name: np.array(c, dtype=np.int64) for name, c in counts.items()})


@dataclass(frozen=True)
class Extract:
    """Work: writes the chunk file of some videos, given as ``(start, items)``; see `beforehand`."""

    side: Side
    protocol: Protocol
    names: Mapping[str, tuple[str, ...]]
    """Of feature spaces, by sampling."""
    places: Places
    folder: Path
    seed: int

    @property
    def device(self) -> str:
        """Where the networks are."""
        return self.places.device

    def start(self) -> Callable[[tuple[int, Sequence[Item]]], int]:
        """Load the networks."""
        loaded = spaces({name for names in self.names.values() for name in names}, self.places)
        plan = {sampling: [loaded[name] for name in names] for sampling, names in self.names.items()}

        def run(chunk: tuple[int, Sequence[Item]]) -> int:
            start, items = chunk
            file = chunk_file(self.folder, start, len(items))
            if not file.is_file():
                taken = {name: _Taken(self.protocol.samplings[name], self.side) for name in plan}
                rows = [_features(item, self.side, self.protocol, plan, taken, self.seed) for item in items]
                _write(file, rows)
            return len(items)

        return run


def beforehand(
    videos: VideoSet, work: Extract, executor: Executor, *, chunk: int = CHUNK, progress: Progress = silent
) -> None:
    """Let workers write the chunk files that `extract` will find.

    Where a protocol takes only the first so many videos or images, what a video gives depends on those before it; then
    nothing is done, and `extract` goes through them in order.

    Raises:
        StoppedError: workers died at some videos.
    """
    samplings = [work.protocol.samplings[name] for name in work.names]
    if not samplings or any(s.max_videos is not None or s.max_synthetic_images is not None for s in samplings):
        return
    work.folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(videos.items), chunk)
    done = 0
    for (_, items), count in executor.map([work], ((s, tuple(videos.items[s : s + chunk])) for s in starts)):
        if isinstance(count, Lost):
            raise StoppedError(f"workers died each time at the videos from {items[0].path} on; remove or replace them")
        done += count
        progress(f"features of {work.side} videos", done, len(videos.items))


def chunk_file(folder: Path, start: int, count: int) -> Path:
    """Where the features of ``count`` videos from number ``start`` on are."""
    return folder / f"{start:06d}-{start + count:06d}.safetensors"


def chosen_frames(
    num_frames: int, fps: float | None, sampling: Sampling, side: Side, seed: int, digest: str
) -> NDArray[np.int64] | None:
    """Indices of the frames that a sampling takes of a video, or None if it is too short.

    Raises:
        DataError: the sampling is in real time and the video has no frame rate.
    """
    if sampling.num_frames is None:
        return np.arange(num_frames)
    if sampling.spread:
        middles = (np.arange(sampling.num_frames) + 0.5) * num_frames / sampling.num_frames
        return np.floor(middles).astype(np.int64)
    if sampling.fps is not None and fps is None:
        raise DataError(
            "folders of images have no frame rate, and this protocol plays videos in real time: give videos"
        )
    places = np.arange(num_frames) if sampling.fps is None else resampled(num_frames, fps or 1.0, sampling.fps)
    room = len(places) - sampling.num_frames * sampling.step
    if room < 0:
        return None
    # the last clip may use up the step after its last frame
    last = room + sampling.step - 1
    draw = rng.numpy_generator(rng.key(seed, digest), "clip start")
    first = {"first": 0, "middle": room // 2, "random": int(draw.integers(last + 1))}[sampling.starts(side)]
    found: NDArray[np.int64] = places[first : first + (sampling.num_frames - 1) * sampling.step + 1 : sampling.step]
    return found


@dataclass(eq=False)
class _Taken:
    """How much a sampling has taken so far, for those that take only the first so many."""

    sampling: Sampling
    side: Side
    videos: int = 0
    images: int = 0

    def allows(self, num_frames: int) -> int:
        """How many of a video's frames are taken; counts them."""
        limit = self.sampling.max_synthetic_images if self.side == "synthetic" else None
        if self.sampling.max_videos is not None and self.videos >= self.sampling.max_videos:
            return 0
        taken = num_frames if limit is None else min(num_frames, limit - self.images)
        self.videos, self.images = self.videos + (taken > 0), self.images + taken
        return taken

    def restore(self, counts: Sequence[NDArray[np.int64]]) -> None:
        """Count what an earlier run took, from the rows of each space; a clip may be one row of several images."""
        most = np.max(counts, axis=0)
        self.videos, self.images = self.videos + int((most > 0).sum()), self.images + int(most.sum())


def _features(
    item: Item, side: Side, protocol: Protocol, plan: Plan, taken: Mapping[str, _Taken], seed: int
) -> dict[str, Rows | None]:
    frames, fps = item.read()
    if protocol.background == "zeroed":
        frames = zeroed(frames)
    frames = _sized(frames, item, protocol)
    found: dict[str, Rows | None] = {}
    for name, wanted in plan.items():
        sampling = protocol.samplings[name]
        indices = chosen_frames(len(frames), fps, sampling, side, seed, item.digest)
        if indices is None and sampling.refuses_short(side):
            raise DataError(
                f"{item.path}: {_length(len(frames), fps)}, too short for {_asked(sampling)}; leave it out or make it longer"
            )
        count = taken[name].allows(len(indices)) if indices is not None else 0
        clip = frames[indices[:count]] if indices is not None else frames[:0]
        for space in wanted:
            rows = space.extract(clip, sampling.fps or fps) if count >= space.min_frames else None
            found[key(name, space.name)] = rows
    return found


def too_short(sampling: Sampling) -> str:
    """Why a video was left out, in words."""
    return f"too short for {_asked(sampling)}"


def _asked(sampling: Sampling) -> str:
    count = (sampling.num_frames or 1) * sampling.step
    rate = f" at {sampling.fps:g} fps ({count / sampling.fps:g} s)" if sampling.fps else ""
    return f"{count} frames{rate}"


def _length(num_frames: int, fps: float | None) -> str:
    return f"{num_frames} frames" + (f" at {fps:g} fps" if fps else "")


def _sized(frames: Frames, item: Item, protocol: Protocol) -> Frames:
    if protocol.size is None or frames.shape[1:3] == (protocol.size, protocol.size):
        return frames
    if not protocol.resize:
        height, width = frames.shape[1:3]
        raise DataError(
            f"{item.path}: {width}x{height} pixels, but {protocol.id} takes {protocol.size}x{protocol.size} only; resize "
            "all videos alike (`echosyn import`)"
        )
    if frames.ndim == 3:
        return resized(frames, protocol.size)
    return np.stack([resized(frames[..., c], protocol.size) for c in range(3)], axis=-1)


def _write(file: Path, found: Sequence[Mapping[str, Any]]) -> None:
    """Rows and their counts of some videos, whole or not at all."""
    tensors: dict[str, Any] = {}
    for name in found[0]:
        parts = [video[name] for video in found]
        there = [p for p in parts if p is not None]
        tensors[name] = np.concatenate(there) if there else np.zeros((0, 0), np.float32)
        tensors[f"{name}|counts"] = np.array([0 if p is None else len(p) for p in parts], np.int64)
    with whole(file) as temporary:
        save_file(tensors, temporary)


def _read(file: Path, name: str) -> tuple[Rows, NDArray[np.int64]]:
    with safe_open(file, "numpy") as tensors:
        return tensors.get_tensor(name), tensors.get_tensor(f"{name}|counts")
