"""How hearts beat: the requested EFs, the settings of the animation, and the animation itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from torch import Generator, Tensor

from echosyn import rng, secret, weights
from echosyn.data import filelist, stills
from echosyn.data.records import Record
from echosyn.diffusion.codec import grey
from echosyn.diffusion.conditions import EF
from echosyn.diffusion.pipelines import LatentVideoPipeline, checked_hop
from echosyn.diffusion.samplers import checked_steps
from echosyn.diffusion.windows import Blend
from echosyn.errors import ConfigError, DataError
from echosyn.settings.making import AnimationSettings, VideoSettings
from echosyn.texture.texture import file_of

EF_RANGE = (10.0, 90.0)
"""Requested EFs are drawn uniformly from it, as published."""

BINS = (5.0, 90.0, 10)
"""Range and number of the bins of real EFs: 8.5 points each, so that even who knows a bin is wrong by two on average."""


@dataclass(frozen=True)
class Motion:
    """How stills are animated; everything that the videos depend on besides models and seed."""

    num_frames: int = 192
    steps: int = 64
    guidance_scale: float = 1.0
    batch_size: int = 8
    scheduler: str | None = None
    """Solver, one of `echosyn.diffusion.samplers.SOLVERS`; ``None`` for the model's own."""
    hop: int | None = None
    """Frames between windows; ``None`` for half a window, as published."""
    blend: Blend = "cut"
    """How windows become one video."""
    conditions: Mapping[str, str] = field(default_factory=dict)
    """What the model is told besides still and EF, by name; alike for all videos."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Further columns of FileList.csv, alike for all videos: what the stills are known to be."""
    formats: tuple[str, ...] = ()
    """Formats besides AVI, see `echosyn.pipeline.generate.formats`."""
    texture: bool = True
    """Whether videos get the VAE's texture, if it has one."""

    def __post_init__(self) -> None:
        if min(self.num_frames, self.steps, self.batch_size) < 1:
            raise ConfigError(
                f"frames {self.num_frames}, steps {self.steps}, batch {self.batch_size}: expected at least 1"
            )

    def check(self, pipeline: LatentVideoPipeline) -> None:
        """Raise `ConfigError` unless the pipeline can take so many steps and has such windows."""
        checked_steps(self.steps, pipeline.scheduler)
        checked_hop(int(pipeline.unet.config.num_frames), self.hop, self.blend)

    def described(self) -> dict[str, Any]:
        """What provenance says; the batch size changes nothing."""
        return {
            "frames": self.num_frames,
            "steps": self.steps,
            "guidance": self.guidance_scale,
            "conditions": dict(self.conditions),
            "scheduler": self.scheduler,
            "hop": self.hop,
            "blend": self.blend,
        } | ({} if self.texture else {"texture": False})


@dataclass(frozen=True)
class EFDistribution:
    """Where requested EFs come from: uniform in a range, or a smoothed histogram of real labels."""

    low: float = EF_RANGE[0]
    high: float = EF_RANGE[1]
    counts: tuple[float, ...] = ()
    """Patients in equal bins from ``low`` to ``high``: all that is known of real labels."""

    def described(self) -> dict[str, Any]:
        """What the provenance of the dataset, which stays in the house, says."""
        return {"low": self.low, "high": self.high} | ({"counts": list(self.counts)} if self.counts else {})

    def draw(self, seed: int, index: int) -> float:
        """The EF of item ``index`` in percent, one decimal: what is asked for is exactly what the label says."""
        draws = rng.numpy_generator(seed, "ef", index)
        if not self.counts:
            return round(float(draws.uniform(self.low, self.high)), 1)
        bins = np.array(self.counts) / sum(self.counts)
        place = draws.choice(len(bins), p=bins) + 0.5 + draws.triangular(-1, 0, 1)  # linear between the centres of bins
        place = min(abs(place), 2 * len(bins) - abs(place))  # mirrored at both ends
        return round(float(self.low + place * (self.high - self.low) / len(bins)), 1)


def ef_range(text: str) -> EFDistribution:
    """``10..90`` -> uniform in that range; ``55`` -> always 55."""
    try:
        low, dots, high = text.partition("..")
        bounds = float(low), float(high if dots else low)
    except ValueError as error:
        raise ConfigError(f"--ef {text}: expected a range such as 10..90, in percent") from error
    if not 0 <= bounds[0] <= bounds[1] <= 100:
        raise ConfigError(f"--ef {text}: expected MIN..MAX in percent, within 0..100, such as 10..90")
    return EFDistribution(*bounds)


def conditions_of(texts: Sequence[str]) -> dict[str, str]:
    """``["heart_rate=70", "view=PSAX"]`` by name."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value) or name == EF.name:
            raise ConfigError(
                f"--condition {text}: expected NAME=VALUE, such as heart_rate=70; the EF has an option --ef"
            )
        found[name] = value
    return found


def ef_from(dataset: Path, epsilon: float | None = None) -> EFDistribution:
    """The EF distribution of a dataset's TRAIN patients, in `BINS`; each patient counts once, whatever the number of videos.

    Args:
        dataset: dataset folder.
        epsilon: with Laplace noise of scale ``1 / epsilon`` on every count, which makes the counts epsilon-differentially
            private a patient (Dwork et al. 2006, a patient added or removed changes them by 1 in sum). The noise comes from the
            house's secret and the labels: equal calls give equal counts and spend nothing more, other labels get other noise.

    Raises:
        DataError: no TRAIN video has an EF, or the noise left nothing.
    """
    low, high, num = BINS
    of: dict[str, list[float]] = {}
    for r in filelist.read(dataset):
        if r.split == "TRAIN" and r.ef is not None:
            of.setdefault(r.patient, []).append(r.ef)
    if not of:
        raise DataError(f"{dataset}: no TRAIN video has an EF; give --ef 10..90 instead")
    shares = [np.histogram(np.clip(efs, low, high), num, (low, high))[0] / len(efs) for efs in of.values()]
    counts = np.sum(shares, axis=0).round(6)
    if epsilon is not None:
        if epsilon <= 0:
            raise ConfigError(f"--ef-epsilon {epsilon:g}: expected a number above 0")
        noise = secret.generator(f"EF\0{epsilon!r}\0{sorted((p, sorted(e)) for p, e in of.items())!r}")
        counts = np.clip(counts + noise.laplace(0.0, 1 / epsilon, num), 0, None).round()
        if not counts.any():
            raise DataError(
                f"{dataset}: noise of --ef-epsilon {epsilon:g} leaves no EF; allow more, or give --ef 10..90"
            )
    return EFDistribution(low, high, tuple(counts.tolist()))


def requested(asked: VideoSettings) -> EFDistribution:
    """Where the requested EFs come from: ``ef``, ``ef_from`` or the published range."""
    dataset = asked.ef_from if isinstance(asked, AnimationSettings) else None
    epsilon = asked.ef_epsilon if isinstance(asked, AnimationSettings) else None
    if epsilon is not None and dataset is None:
        raise ConfigError("--ef-epsilon has no effect without --ef-from: give both, or leave it out")
    if asked.ef is not None and dataset is not None:
        raise ConfigError("--ef and --ef-from are mutually exclusive: give one of them")
    if dataset is not None:
        return ef_from(dataset, epsilon)
    return EFDistribution() if asked.ef is None else ef_range(asked.ef)


def motion_for(lvdm: Path, asked: AnimationSettings) -> Motion:
    """Settings of the animation, from the model folder where they are not given."""
    facts = weights.load_facts(weights.resolve(lvdm))
    return Motion(
        num_frames=asked.num_frames,
        steps=facts.num_inference_steps if asked.steps is None else asked.steps,
        guidance_scale=facts.guidance_scale if asked.guidance_scale is None else asked.guidance_scale,
        batch_size=asked.batch_size,
        scheduler=asked.scheduler,
        hop=asked.hop,
        blend=cast(Blend, asked.blend),
        conditions=conditions_of(asked.conditions),
        texture=not asked.no_texture,
    )


def beat(
    pipeline: LatentVideoPipeline,
    hearts: Tensor,
    efs: Sequence[float],
    generators: list[Generator],
    motion: Motion,
    on_step: Callable[[int, int], None] | None = None,
) -> NDArray[np.uint8]:
    """Grey frames ``(n, T, H, W)`` of some hearts ``(n, C, h, w)``, each with its EF in percent and its noise.

    ``on_step`` is told ``(done, total)`` after each sampling step, and may raise to stop.
    """
    output = pipeline(
        hearts,
        list(efs),
        num_frames=motion.num_frames,
        num_inference_steps=motion.steps,
        guidance_scale=motion.guidance_scale,
        generator=generators,
        output_type="pixel",
        conditions=motion.conditions,
        hop=motion.hop,
        blend=motion.blend,
        on_step=on_step,
    )
    assert output.videos is not None
    frames: NDArray[np.uint8] = grey(output.videos).numpy()
    return frames


def textured(
    pipeline: LatentVideoPipeline, frames: NDArray[np.uint8], seed: int, number: int, motion: Motion
) -> NDArray[np.uint8]:
    """A decoded video ``(T, H, W)`` with the texture of (seed, number), or as it is."""
    if pipeline.texture is None or not motion.texture:
        return frames
    laid: NDArray[np.uint8] = pipeline.texture.lay(frames, seed, number)
    return laid


def texture_of(vae: Path, motion: Motion) -> dict[str, Path]:
    """What the videos of a VAE's model folder are made from besides the models: its texture, if they get one."""
    file = file_of(weights.resolve(vae))
    return {"texture": file} if motion.texture and file else {}


def record_of(number: int, ef: float, shape: tuple[int, ...], pipeline: LatentVideoPipeline, motion: Motion) -> Record:
    """The row of the file list of the video of a heart whose latent has ``shape`` ``(..., h, w)``."""
    height, width = (8 * s for s in shape[-2:])
    columns = {c["name"]: c.get("column") or c["name"] for c in pipeline.config.conditions}
    return Record(
        stills.name(number),
        ef=ef,
        height=height,
        width=width,
        fps=float(pipeline.config.fps),
        num_frames=motion.num_frames,
        extra=dict(motion.columns) | {columns.get(name, name): value for name, value in motion.conditions.items()},
    )
