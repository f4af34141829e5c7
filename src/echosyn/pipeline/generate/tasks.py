"""Tasks of `generate`: sample stills and screen them, then screen the finished videos and measure them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from echosyn import device as devices
from echosyn import weights
from echosyn.data import filelist, stills, video
from echosyn.data.records import Record, Tracing
from echosyn.memory import Fitting
from echosyn.pipeline.generate.animation import EFDistribution
from echosyn.pipeline.generate.sample import BLOCK, invent
from echosyn.pipeline.models import codec, image_pipeline
from echosyn.pipeline.privacy_filter.real_videos import digest_of, digest_of_file
from echosyn.pipeline.privacy_filter.screens import Screens
from echosyn.pipeline.tracking import measure
from echosyn.pipeline.tracking import tracings as labels
from echosyn.pipeline.tracking.measure import Measured

PLAIN = "plain"
"""In the working folder: frames of finished videos without texture."""


@dataclass(frozen=True)
class Still:
    """What was decided on an invented heart."""

    kept: bool
    score: float
    """How close it is to a real patient; 0 without a filter."""
    file: Path


@dataclass(frozen=True)
class Made:
    """What was found on a finished video."""

    number: int
    apart: bool = True
    """It passed the privacy filter."""
    measured: Measured | None = None
    tracings: tuple[Tracing, ...] = ()


@dataclass(frozen=True)
class Invent:
    """Work: invents some hearts into a file, with the filter's verdict; returns what it decided, by number."""

    lidm: Path
    seed: int
    folder: Path
    screens: Screens | None
    device: str = "auto"

    def start(self) -> Callable[[tuple[int, ...]], dict[int, Still]]:
        """Load the models."""
        device = devices.resolve(self.device)
        pipeline = image_pipeline(self.lidm, device)
        batches = Fitting(BLOCK, "hearts", fixed=device.type == "cpu")
        steps = weights.load_facts(self.lidm).num_inference_steps
        screen = self.screens.stills(self.device) if self.screens else None

        def run(numbers: tuple[int, ...]) -> dict[int, Still]:
            latents = torch.cat(batches.over(lambda some: invent(pipeline, some, self.seed, steps), numbers))
            verdict = screen.judge(latents) if screen else None
            kept = verdict.kept if verdict else torch.ones(len(numbers), dtype=torch.bool)
            score = verdict.score.float() if verdict else torch.zeros(len(numbers))
            stills.write(self.folder, numbers, latents, {"kept": kept, "score": score})
            path = stills.shard(self.folder, numbers[0])
            return {n: Still(k, s, path) for n, k, s in zip(numbers, kept.tolist(), score.tolist(), strict=True)}

        return run


@dataclass(frozen=True)
class ScreenVideos:
    """Work: compares finished videos with every real patient."""

    videos: Path
    screens: Screens | None
    device: str = "auto"
    plain: Path | None = None
    """Folder of frames without texture, which must not hide a copy: both are compared."""

    def start(self) -> Callable[[list[int]], list[Made]]:
        """Load the models, if there is anybody to compare with."""
        if self.screens is None:
            return lambda numbers: [Made(number) for number in numbers]
        assert self.screens.vae is not None
        encoder, screen = codec(self.screens.vae, devices.resolve(self.device)), self.screens.videos(self.device)

        def made(number: int) -> Made:
            name = stills.name(number)
            seen = [digest_of_file(self.videos / f"{name}.avi", encoder)]
            if self.plain is not None and (path := self.plain / f"{name}.npy").is_file():
                seen.append(digest_of(torch.from_numpy(np.load(path)), encoder))
            return Made(number, bool(screen.judge(seen).kept.all()))

        return lambda numbers: [made(number) for number in numbers]


@dataclass(frozen=True)
class Measure:
    """Work: tracks the left ventricle of finished videos."""

    videos: Path
    ef: EFDistribution
    seed: int
    view: str | None
    device: str = "cpu"

    def start(self) -> Callable[[list[Made]], list[Made]]:
        """Nothing to load."""
        return lambda made: [self._measured(one) for one in made]

    def _measured(self, made: Made) -> Made:
        name = stills.name(made.number)
        record = Record(name, ef=self.ef.draw(self.seed, made.number), extra={"View": self.view} if self.view else {})
        recording = video.read(self.videos / f"{name}.avi")
        measured, tracked = measure.tracked(recording.grey(), recording.fps, record)
        rows = labels.tracings(f"{name}.avi", tracked, measured.view)
        return replace(made, measured=measured, tracings=tuple(rows))


def block_of(number: int) -> tuple[int, ...]:
    """The numbers of a block."""
    return tuple(range(number * BLOCK, (number + 1) * BLOCK))


def prepare(folder: Path) -> tuple[Path, Path]:
    """Folders for videos and stills of a dataset that is being written."""
    videos, working = folder / filelist.VIDEOS, folder / "work"
    for path in (videos, working / "stills", working / PLAIN):
        path.mkdir(parents=True, exist_ok=True)
    return videos, working
