"""The real patients as the privacy checks see them: a few frames a second of every video."""

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

Read = Callable[[Record], VideoDigest]


@dataclass(frozen=True, eq=False)
class RealVideos:
    """Real recordings, about 0.15 MB a video of four seconds."""

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
    """Work: reads real recordings, given as ``(position, record)``, from videos or else from latents."""

    vae: Path
    dataset: Path | None
    latents: Path | None = None
    device: str = "auto"

    def start(self) -> Callable[[tuple[int, Record]], VideoDigest]:
        """Load the VAE."""
        encoder = codec(self.vae, devices.resolve(self.device))
        read = from_videos(self.dataset, encoder) if self.dataset else from_latents(_given(self.latents), encoder)
        return lambda item: read(item[1])

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


def _given(path: Path | None) -> Path:
    assert path is not None
    return path


def digest_of(frames: Tensor, codec: LatentCodec) -> VideoDigest:
    """What is kept of grey frames, uint8 ``(T, H, W)`` at `RATE`."""
    return VideoDigest(thumbnails(frames), codec.encode(frames[::REFERENCE_EVERY]))


def from_videos(dataset: Path, codec: LatentCodec) -> Read:
    """Reads the videos of a dataset folder; latents are the posterior's mean."""
    index = filelist.VideoIndex(dataset)
    return lambda record: digest_of(frames_of(index.path(record)), codec)


def from_latents(folder: Path, codec: LatentCodec) -> Read:
    """Reads a latents folder and decodes it: what the models have seen of the videos."""

    def read(record: Record) -> VideoDigest:
        found = latents.read(folder, record, sampled(latents.count(folder, record), record.fps or RATE))
        return VideoDigest(thumbnails(grey(codec.decode(found))), found[::REFERENCE_EVERY])

    return read


def frames_of(path: Path, rate: float = RATE) -> Tensor:
    """Grey frames of a video file, ``rate`` a second, uint8 ``(T, H, W)``."""
    recording = video.read(path)
    return torch.from_numpy(recording.grey()[clips.resampled(len(recording.frames), recording.fps, rate)])


def sampled(num_frames: int, fps: float) -> clips.Indices:
    """The frames of a recording that are looked at, `RATE` a second."""
    return clips.resampled(num_frames, fps, RATE)
