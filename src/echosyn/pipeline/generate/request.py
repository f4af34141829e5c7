"""What was asked of `generate`, with everything that follows from the models."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from echosyn import weights
from echosyn.data import filelist
from echosyn.data.records import Record
from echosyn.diffusion.pipelines import LatentVideoPipeline
from echosyn.errors import ConfigError
from echosyn.pipeline.generate.animate import Beat
from echosyn.pipeline.generate.animation import EFDistribution, Motion, motion_for, requested
from echosyn.pipeline.generate.tasks import Invent, Measure, ScreenVideos
from echosyn.pipeline.models import NO_WEIGHTS, video_pipeline
from echosyn.pipeline.privacy_filter.real_videos import Reading
from echosyn.pipeline.privacy_filter.screens import RATE, Screens, refuse_both
from echosyn.pipeline.tracking import measure
from echosyn.settings.making import GenerateSettings


@dataclass(frozen=True, eq=False)
class GenerateRequest:
    """See `echosyn.pipeline.generate.generate.generate` for what is asked."""

    num: int
    seed: int
    folders: Mapping[str, Path]
    """Of the models."""
    reference: Path | None
    real: Path | None
    screens: Screens | None
    """In a folder if they were calibrated earlier, instead of the two; None if there is nobody to compare with."""
    animator: LatentVideoPipeline
    """Without weights, for what it knows."""
    motion: Motion
    ef: EFDistribution
    rate: float
    complete: bool
    require: tuple[str, ...]
    device: str

    @classmethod
    def of(cls, models: Mapping[str, Path], asked: GenerateSettings, device: str = "auto") -> "GenerateRequest":
        """Check it, and complete it from the models.

        Raises:
            ConfigError: a setting makes no sense.
            ModelError: a model is missing, or does not fit the others.
        """
        if asked.num < 1:
            raise ConfigError(f"--num {asked.num}: expected at least 1 video")
        calibrated, reference, real = asked.calibrated, asked.reference, asked.real
        rate = asked.false_rejection_rate
        refuse_both(calibrated, reference=reference, real=real, false_rejection_rate=rate)
        screened = reference is not None or calibrated is not None
        folders = {s: weights.resolve(models[s]) for s in ("vae", "lidm", "lvdm", *(["reid"] if screened else []))}
        ef = requested(asked)
        animator = video_pipeline(folders["lvdm"], folders["vae"], NO_WEIGHTS, asked.scheduler)
        known = weights.load_facts(folders["lidm"]).only  # all its hearts are of that view
        motion = replace(motion_for(folders["lvdm"], asked), columns=known)
        motion.check(animator)
        measure.required(asked.require)
        screens = None
        if screened:
            both = {stage: folders[stage] for stage in ("vae", "reid")}
            screens = Screens.opened(calibrated, both) if calibrated else Screens.of(both, reference, rate)
        rate = screens.rate if screens else RATE if rate is None else rate
        return cls(asked.num, asked.seed, folders, reference, real, screens, animator, motion, ef, rate,
                   asked.complete_with_rejected, asked.require, device)  # fmt: skip

    @property
    def screened(self) -> bool:
        """Whether there is anybody to compare with."""
        return self.screens is not None

    def settings(self) -> dict[str, Any]:
        """What provenance says."""
        said = {"num": self.num, "seed": self.seed, "ef": self.ef.described()} | self.motion.described()
        said |= {"rate": self.rate, "complete": self.complete}
        return said | ({"require": list(self.require)} if self.require else {})

    def inputs(self) -> dict[str, Path]:
        """All that the videos are made from."""
        given = {"reference": self.reference, "real": self.real}
        return dict(self.folders) | {name: path for name, path in given.items() if path is not None}

    def hashes(self) -> Mapping[str, str]:
        """Of what they are made from by way of screens of earlier."""
        return self.screens.hashes if self.screens else {}

    def screens_in(self, working: Path) -> Screens | None:
        """The screens where they are or, in this folder, will be."""
        return replace(self.screens, folder=self.screens.folder or working) if self.screens else None

    def works(self, videos: Path, working: Path) -> tuple[Invent, Beat, ScreenVideos, Measure | None]:
        """The works, writing into these folders."""
        screens = self.screens_in(working)
        view = self.motion.columns.get("View")
        return (
            Invent(self.folders["lidm"], self.seed, working / "stills", screens, self.device),
            Beat(self.folders["lvdm"], self.folders["vae"], self.motion, self.ef, self.seed, videos, self.device),
            ScreenVideos(videos, screens, self.device),
            Measure(videos, self.ef, self.seed, view) if self.require else None,
        )

    def reading(self) -> Reading | None:
        """How the real recordings are read, if there are any."""
        if self.reference is None:
            return None
        return Reading(self.folders["vae"], self.real, None if self.real else self.reference, self.device)

    def recordings(self) -> list[Record]:
        """The real recordings."""
        archive = self.real or self.reference
        return filelist.read(archive) if archive else []
