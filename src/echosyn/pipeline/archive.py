"""The real patients in memory, as the privacy checks see them: latents of each video, a few frames a second."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from echosyn import rng
from echosyn.data import clips, filelist, latents, video
from echosyn.data.records import Record
from echosyn.diffusion.codec import LatentCodec
from echosyn.errors import DataError
from echosyn.pipeline.progress import Progress, silent
from echosyn.privacy.fingerprints import RATE, REFERENCE_EVERY, Fingerprints, Views, evenly
from echosyn.privacy.screening import Gallery, Judgement, Screen, screen

SCALE_PATIENTS = 200
"""Training patients, evenly chosen, who set the scales of the spaces."""

Read = Callable[[Record], Tensor]
"""Latents ``(T, C, h, w)`` of a recording at `RATE`."""


@dataclass(frozen=True, eq=False)
class Archive:
    """Real recordings and their latents at `RATE`, about 0.1 MB a video."""

    records: Sequence[Record]
    latents: Sequence[Tensor]

    def __post_init__(self) -> None:
        if not self.of_train() or not self.held_out():
            raise DataError(
                f"{len(self.of_train())} TRAIN and {len(self.held_out())} held-out (VAL, TEST) videos; the checks compare with "
                "the first and are calibrated on the second, expected at least one of each"
            )

    def of_train(self) -> list[int]:
        """Positions of the TRAIN videos."""
        return [i for i, record in enumerate(self.records) if record.split == "TRAIN"]

    def held_out(self) -> list[int]:
        """Positions of the others."""
        return [i for i, record in enumerate(self.records) if record.split != "TRAIN"]

    def patients(self, positions: Sequence[int]) -> list[str]:
        """Whose videos those are."""
        return [self.records[i].patient for i in positions]

    def centre(self) -> Tensor:
        """Mean latent ``(C, h, w)`` of the TRAIN videos."""
        frames = [self.latents[i][::REFERENCE_EVERY].double().sum(dim=0) for i in self.of_train()]
        count = sum(len(self.latents[i][::REFERENCE_EVERY]) for i in self.of_train())
        return (torch.stack(frames).sum(dim=0) / count).float()


def load(records: Sequence[Record], read: Read, progress: Progress = silent) -> Archive:
    """Read every recording."""
    found = []
    for i, record in enumerate(records):
        found.append(read(record))
        progress("read real videos", i + 1, len(records))
    return Archive(records, found)


def from_latents(folder: Path) -> Read:
    """Reads from a latents folder."""

    def read(record: Record) -> Tensor:
        return latents.read(folder, record, sampled(record.num_frames or 1, record.fps or RATE))

    return read


def from_videos(dataset: Path, codec: LatentCodec, posterior_seed: int | None = None) -> Read:
    """Decodes and encodes the videos of a dataset folder.

    Args:
        dataset: The folder.
        codec: The VAE.
        posterior_seed: Of one posterior sample a frame; default the posterior's mean.
    """
    index = filelist.VideoIndex(dataset)

    def read(record: Record) -> Tensor:
        recording = video.read(index.path(record))
        frames = torch.from_numpy(recording.grey()[sampled(len(recording.frames), recording.fps)])
        return codec.encode(frames, _noise(codec, frames, record.name, posterior_seed))

    return read


def sampled(num_frames: int, fps: float) -> clips.Indices:
    """The frames of a recording that are looked at, `RATE` a second."""
    return clips.resampled(num_frames, fps, RATE)


def video_screen(
    archive: Archive,
    embed: Callable[[Tensor], Tensor],
    *,
    false_rejection_rate: float = 0.05,
    seed: int = 0,
    progress: Progress = silent,
) -> "VideoScreen":
    """The check of finished videos: every real patient of every split is a reference.

    Held-out videos set the threshold, each compared with all patients but its own.
    """
    prints = Fingerprints(embed, archive.centre())
    references = []
    for i, one in enumerate(archive.latents):
        references.append(prints.of_reference(one))
        progress("embed", i + 1, len(archive.latents))
    gallery = Gallery.of(references, archive.patients(range(len(references))))
    train = archive.of_train()
    scale = evenly(torch.tensor(train), SCALE_PATIENTS).tolist()

    def queries(positions: Sequence[int]) -> tuple[list[Views], list[str]]:
        return [prints.of_query(archive.latents[i]) for i in positions], archive.patients(positions)

    found = screen(
        gallery, queries(scale), queries(archive.held_out()), false_rejection_rate=false_rejection_rate, seed=seed
    )
    return VideoScreen(found, prints)


@dataclass(frozen=True, eq=False)
class VideoScreen:
    """A calibrated check of whole videos."""

    screen: Screen
    fingerprints: Fingerprints

    def judge(self, videos: Sequence[Tensor], patients: Sequence[str] | None = None) -> Judgement:
        """The verdict on videos' latents ``(T, C, h, w)`` at `RATE`; references of ``patients`` are skipped."""
        return self.screen.judge([self.fingerprints.of_query(v) for v in videos], patients)


def _noise(codec: LatentCodec, frames: Tensor, name: str, seed: int | None) -> Tensor | None:
    if seed is None:
        return None
    shape: tuple[Any, ...] = (len(frames), codec.vae.config.latent_channels, *(s // 8 for s in frames.shape[1:]))
    return rng.normal(shape, seed, f"posterior of {name}", [0])[0]
