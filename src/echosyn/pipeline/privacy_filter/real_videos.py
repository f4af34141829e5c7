"""The real patients as the privacy checks see them: a few frames a second of every video, and of those compared all others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from echosyn import device as devices
from echosyn.data import clips, filelist, latents, video
from echosyn.data.records import Record
from echosyn.diffusion.codec import LatentCodec, grey
from echosyn.errors import DataError
from echosyn.pipeline.models import codec
from echosyn.pipeline.workers.executors import Executor, Lost, Work
from echosyn.privacy.fingerprints import thumbnails
from echosyn.privacy.video_digests import RATE, REFERENCE_EVERY, DigestFile, VideoDigest
from echosyn.progress import Progress, silent

DECODED_AT_ONCE = 64
"""Frames of a latents file that are decoded together."""

Read = Callable[[Record, bool], VideoDigest]
"""(recording, whether all of its frames are kept besides) -> what is kept."""


@dataclass(frozen=True, eq=False)
class RealVideos:
    """Real recordings, about 0.15 MB a video of four seconds; twice that where every frame is kept."""

    records: Sequence[Record]
    digests: Sequence[VideoDigest]
    """In memory, or read when they are asked for."""

    def __post_init__(self) -> None:
        if not self.train or not self.held_out:
            raise DataError(
                f"{len(self.train)} TRAIN and {len(self.held_out)} held-out (VAL, TEST) videos; the checks compare with the "
                "first and are calibrated on the second, expected at least one of each"
            )

    @property
    def train(self) -> list[int]:
        """Positions of the TRAIN videos."""
        return [i for i, record in enumerate(self.records) if record.split == "TRAIN"]

    @property
    def held_out(self) -> list[int]:
        """Positions of the others."""
        return [i for i, record in enumerate(self.records) if record.split != "TRAIN"]

    def patients(self, positions: Sequence[int]) -> list[str]:
        """Whose videos those are."""
        return [self.records[i].patient for i in positions]


@dataclass(frozen=True)
class Reading:
    """Work: reads real recordings, given as ``(position, record)``, from videos or else from latents.

    Of held-out ones every frame is kept, as of finished videos: they set the threshold.
    """

    vae: Path
    dataset: Path | None
    latents: Path | None = None
    device: str = "auto"
    every: frozenset[int] = frozenset()
    """Positions of TRAIN videos of which every frame is kept, too."""

    def start(self) -> Callable[[tuple[int, Record]], VideoDigest]:
        """Load the VAE."""
        encoder = codec(self.vae, devices.resolve(self.device))
        if self.dataset is not None:
            read = from_videos(self.dataset, encoder)
        else:
            assert self.latents is not None
            read = from_latents(self.latents, encoder)
        return lambda item: read(item[1], item[1].split != "TRAIN" or item[0] in self.every)

    def name(self, record: Record) -> str:
        """Of a recording, in messages."""
        return f"{self.dataset or self.latents}, {record.name}"


def gathered(
    records: Sequence[Record], reading: Reading, executor: Executor, folder: Path, progress: Progress = silent
) -> RealVideos:
    """Read every recording, by workers, into a file of a private folder.

    Raises:
        DataError: workers died at a recording.
    """
    return RealVideos(
        records, digests_of(reading, records, executor, folder / "digests", partial(progress, "read real videos"))
    )


class DigestWork(Work, Protocol):
    """Work that makes a digest of ``(position, thing)``."""

    def name(self, thing: Any) -> str:
        """Of a thing, in messages."""


def digests_of(
    work: DigestWork, things: Sequence[Any], executor: Executor, path: Path, tell: Callable[[int, int], None]
) -> Sequence[VideoDigest]:
    """Digests that workers make of things, in a file at ``path``, in the order of the things.

    Args:
        work: makes a digest of ``(position, thing)``.
        things: what it takes.
        executor: who works.
        path: new file.
        tell: told how many are done, and of how many.

    Raises:
        DataError: workers died at one.
    """
    file = DigestFile(path, len(things))
    for done, ((i, thing), digest) in enumerate(executor.map([work], enumerate(things)), 1):
        if isinstance(digest, Lost):
            raise DataError(f"{work.name(thing)}: workers died at this video each time; remove or replace it")
        file.put(i, digest)
        tell(done, len(things))
    return file.digests


def digest_of(frames: Tensor, codec: LatentCodec, fps: float = RATE) -> VideoDigest:
    """What is kept of grey frames, uint8 ``(T, H, W)``: every one of them is looked at."""
    chosen = torch.from_numpy(sampled(len(frames), fps))
    looked_at, between = _divided(thumbnails(frames), chosen)
    return VideoDigest(looked_at, codec.encode(frames[chosen[::REFERENCE_EVERY]]), between)


def digest_of_file(path: Path, codec: LatentCodec) -> VideoDigest:
    """Of every frame of a video file."""
    recording = video.read(path)
    return digest_of(torch.from_numpy(recording.grey()), codec, recording.fps)


def from_videos(dataset: Path, codec: LatentCodec) -> Read:
    """Reads the videos of a dataset folder; latents are the posterior's mean."""
    index = filelist.VideoIndex(dataset)

    def read(record: Record, every: bool) -> VideoDigest:
        path = index.path(record)
        return digest_of_file(path, codec) if every else digest_of(frames_of(path), codec)

    return read


def from_latents(folder: Path, codec: LatentCodec) -> Read:
    """Reads a latents folder and decodes it: what the models have seen of the videos."""
    latents.info(folder)

    def read(record: Record, every: bool) -> VideoDigest:
        chosen = sampled(latents.count(folder, record), record.fps or RATE)
        if not every:
            found = latents.read(folder, record, chosen)
            return VideoDigest(thumbnails(grey(codec.decode(found))), found[::REFERENCE_EVERY])
        found, rows = latents.read(folder, record), torch.from_numpy(chosen)
        small = torch.cat([thumbnails(grey(codec.decode(some))) for some in found.split(DECODED_AT_ONCE)])
        looked_at, between = _divided(small, rows)
        return VideoDigest(looked_at, found[rows[::REFERENCE_EVERY]], between)

    return read


def _divided(small: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Thumbnails of chosen frames as they are, and of all others in whole grey levels."""
    others = torch.ones(len(small), dtype=torch.bool)
    others[chosen] = False
    return small[chosen], small[others].round().to(torch.uint8)


def frames_of(path: Path, rate: float = RATE) -> Tensor:
    """Grey frames of a video file, ``rate`` a second, uint8 ``(T, H, W)``."""
    recording = video.read(path)
    return torch.from_numpy(recording.grey()[clips.resampled(len(recording.frames), recording.fps, rate)])


def sampled(num_frames: int, fps: float) -> clips.Indices:
    """The frames of a recording that are looked at, `RATE` a second."""
    return clips.resampled(num_frames, fps, RATE)
