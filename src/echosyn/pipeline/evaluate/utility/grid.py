"""The utility grid of an evaluation: which training sets are asked for, and whether the data can give them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from echosyn import device as devices
from echosyn.data import filelist
from echosyn.data.records import Record
from echosyn.errors import ConfigError, DataError
from echosyn.pipeline.evaluate.utility import training_sets, utility
from echosyn.pipeline.models import codec
from echosyn.pipeline.workers.compute import HERE, Compute
from echosyn.training.stage import StageSettings


@dataclass(frozen=True)
class Grid:
    """More training sets, more trainings of each."""

    seeds: int = 3
    """Trainings of each arm."""
    relabel: bool = False
    """With arms whose labels are those of the regressor that learned from real videos: each, and their trend."""
    also: Mapping[str, Path] = field(default_factory=dict)
    """Further datasets by name, such as one generated with EFs drawn like the real ones."""

    def check(self, synthetic: Path, real: Path, held_out: Sequence[Record]) -> None:
        """Refuse what cannot be compared, before anything is trained.

        Raises:
            ConfigError: there is no training, or a name of a further set is taken.
            DataError: there is no TEST video, or a set without TRAIN or without VAL videos.
        """
        if self.seeds < 1:
            raise ConfigError(f"--seeds {self.seeds}: expected at least 1 training of each set")
        taken = (
            training_sets.REAL,
            training_sets.SYNTHETIC,
            training_sets.THROUGH_VAE,
            training_sets.BOTH,
            training_sets.RELABELLED,
            training_sets.RECALIBRATED,
        )
        if clash := set(map(training_sets.slug, self.also)) & set(map(training_sets.slug, taken)):
            raise ConfigError(f"--also {min(clash)}=...: the grid has a set of that name; choose another")
        if not any(r.split == "TEST" for r in held_out):
            raise DataError(
                f"{real}: no TEST video with an EF; the grid selects weights on VAL and tests on TEST: give some "
                "videos Split TEST"
            )
        parts = self._parts(synthetic, real)
        training_sets.counts(parts, {name: filelist.read(path) for name, path in parts.items()})

    def run(
        self,
        synthetic: Path,
        real: Path,
        held_out: Sequence[Record],
        vae: Path | None,
        folder: Path,
        settings: StageSettings,
        seed: int,
        compute: Compute = HERE,
    ) -> dict[str, Any]:
        """Train and compare; see `echosyn.pipeline.evaluate.utility.utility.grid`.

        Args:
            synthetic: dataset folder.
            real: dataset folder.
            held_out: its VAL and TEST videos that have an EF.
            vae: model folder, for the arm of real videos through it.
            folder: where sets and runs are kept.
            settings: of the EF stage.
            seed: of the draws of videos.
            compute: where.
        """
        autoencoder = codec(vae, devices.resolve(compute.device)) if vae else None
        chosen = training_sets.standard(
            folder / "arms", self._parts(synthetic, real), codec=autoencoder, seed=seed, progress=compute.progress
        )
        test = utility.Test(real, [r for r in held_out if r.split == "TEST"])
        return utility.grid(
            [arm for arm in chosen if self.relabel or arm.relabel == "no"],
            test,
            folder,
            settings=settings,
            seeds=range(settings.loop.seed, settings.loop.seed + self.seeds),
            compute=compute,
        )

    def _parts(self, synthetic: Path, real: Path) -> dict[str, Path]:
        return {training_sets.REAL: real, training_sets.SYNTHETIC: synthetic} | dict(self.also)
