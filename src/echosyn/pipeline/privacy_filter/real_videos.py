"""The real patients as the privacy checks see them: a few frames a second of every video."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from echosyn import device as devices
from echosyn.data import clips, filelist, latents, video
from echosyn.data.records import Record
from echosyn.diffusion.codec import LatentCodec, grey
from echosyn.errors import DataError
from echosyn.pipeline.looks import Filed, Lazily
from echosyn.pipeline.models import codec
from echosyn.pipeline.workers.executors import Executor, Lost, Work
from echosyn.privacy.fingerprints import RATE, REFERENCE_EVERY, THUMBNAIL, Look, VideoPrints, Views, evenly, thumbnails
from echosyn.privacy.gallery import Gallery
from echosyn.privacy.matching import nearest
from echosyn.privacy.screening import SCALE_PATIENTS, Judgement, Match, Screen, most_held_out, screen
from echosyn.progress import Progress, silent

Read = Callable[[Record], Look]


@dataclass(frozen=True, eq=False)
class Archive:
    """Real recordings, about 0.15 MB a video of four seconds."""

    records: Sequence[Record]
    looks: Sequence[Look]
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

    def centre(self) -> Tensor:
        """Mean thumbnail of the TRAIN videos."""
        total, num = torch.zeros(THUMBNAIL, THUMBNAIL, dtype=torch.float64), 0
        for i in self.train:
            frames = self.looks[i].thumbnails
            total, num = total + frames.double().sum(dim=0), num + len(frames)
        return (total / num).float()


def load(records: Sequence[Record], read: Read, progress: Progress = silent) -> Archive:
    """Read every recording."""
    looks = []
    for i, record in enumerate(records):
        looks.append(read(record))
        progress("read real videos", i + 1, len(records))
    return Archive(records, looks)


@dataclass(frozen=True)
class Reading:
    """Work: reads real recordings, given as ``(position, record)``, from videos or else from latents."""

    vae: Path
    dataset: Path | None
    latents: Path | None = None
    device: str = "auto"

    def start(self) -> Callable[[tuple[int, Record]], Look]:
        """Load the VAE."""
        encoder = codec(self.vae, devices.resolve(self.device))
        read = from_videos(self.dataset, encoder) if self.dataset else from_latents(_given(self.latents), encoder)
        return lambda item: read(item[1])


def gathered(
    records: Sequence[Record], reading: Reading, executor: Executor, folder: Path, progress: Progress = silent
) -> Archive:
    """As `load`, by workers, into a file of a private folder.

    Raises:
        DataError: workers died at a recording.
    """
    told = Told("read real videos", lambda record: f"{reading.dataset or reading.latents}, {record.name}", progress)
    return Archive(records, looked_at(reading, records, executor, folder / "looks", told))


@dataclass(frozen=True)
class Told:
    """How progress and mistakes name what is looked at."""

    what: str
    name: Callable[[Any], str]
    progress: Progress


def looked_at(work: Work, things: Sequence[Any], executor: Executor, path: Path, told: Told) -> Sequence[Look]:
    """What workers see of things, in a file at ``path``, in the order of the things.

    Args:
        work: makes a look of ``(position, thing)``.
        things: what it takes.
        executor: who works.
        path: new file.
        told: names.

    Raises:
        DataError: workers died at one.
    """
    file = Filed(path, len(things))
    for done, ((i, thing), look) in enumerate(executor.map([work], enumerate(things)), 1):
        if isinstance(look, Lost):
            raise DataError(f"{told.name(thing)}: workers died at this video each time; remove or replace it")
        file.put(i, look)
        told.progress(told.what, done, len(things))
    return file.looks


def _given(path: Path | None) -> Path:
    assert path is not None
    return path


def look_at(frames: Tensor, codec: LatentCodec) -> Look:
    """What is kept of grey frames, uint8 ``(T, H, W)`` at `RATE`."""
    return Look(thumbnails(frames), codec.encode(frames[::REFERENCE_EVERY]))


def from_videos(dataset: Path, codec: LatentCodec) -> Read:
    """Reads the videos of a dataset folder; latents are the posterior's mean."""
    index = filelist.VideoIndex(dataset)
    return lambda record: look_at(frames_of(index.path(record)), codec)


def from_latents(folder: Path, codec: LatentCodec) -> Read:
    """Reads a latents folder and decodes it: what the models have seen of the videos."""

    def read(record: Record) -> Look:
        found = latents.read(folder, record, sampled(latents.count(folder, record), record.fps or RATE))
        return Look(thumbnails(grey(codec.decode(found))), found[::REFERENCE_EVERY])

    return read


def frames_of(path: Path, rate: float = RATE) -> Tensor:
    """Grey frames of a video file, ``rate`` a second, uint8 ``(T, H, W)``."""
    recording = video.read(path)
    return torch.from_numpy(recording.grey()[clips.resampled(len(recording.frames), recording.fps, rate)])


def sampled(num_frames: int, fps: float) -> clips.Indices:
    """The frames of a recording that are looked at, `RATE` a second."""
    return clips.resampled(num_frames, fps, RATE)


@dataclass(frozen=True, eq=False)
class VideoScreen:
    """A calibrated check of whole videos."""

    screen: Screen
    prints: VideoPrints

    def judge(self, looks: Sequence[Look], patients: Sequence[str] | None = None, match: Match = nearest) -> Judgement:
        """The verdict on videos; references of ``patients`` are skipped, and ``match`` finds the best ones."""
        queries = Lazily(len(looks), lambda i: self.prints.of_query(looks[i]))
        return self.screen.judge(queries, patients, match)


def video_screen(
    archive: Archive,
    embed: Callable[[Tensor], Tensor],
    folder: Path | None = None,
    *,
    false_rejection_rate: float = 0.05,
    seed: int = 0,
    match: Match = nearest,
    progress: Progress = silent,
) -> VideoScreen:
    """The check of finished videos: every real patient of every split is a reference.

    Held-out videos set the threshold, each compared with all patients but its own.

    Args:
        archive: the real patients.
        embed: the re-identification network.
        folder: private, for the vectors, as long as the check is used; None keeps them in memory.
        false_rejection_rate: of innocent videos.
        seed: of the interval's bootstrap.
        match: finds the best matches.
        progress: told what is done.
    """
    prints = VideoPrints(embed, archive.centre())

    def references() -> Iterator[Views]:
        for i, look in enumerate(archive.looks):
            yield prints.of_reference(look)
            progress("embed", i + 1, len(archive.looks))

    owners = archive.patients(range(len(archive.records)))
    gallery = Gallery.of(references(), owners, folder)

    def queries(positions: Sequence[int], num: int) -> tuple[Sequence[Views], list[str]]:
        chosen = evenly(torch.tensor(positions), num).tolist()
        return Lazily(len(chosen), lambda i: prints.of_query(archive.looks[chosen[i]])), archive.patients(chosen)

    found = screen(
        gallery,
        queries(archive.train, SCALE_PATIENTS),
        queries(archive.held_out, most_held_out(false_rejection_rate)),
        false_rejection_rate=false_rejection_rate,
        seed=seed,
        match=match,
    )
    return VideoScreen(found, prints)
