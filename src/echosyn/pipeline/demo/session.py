"""The models of a folder, loaded once: they sample a still, compare it with patients, and animate it."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from echosyn import device as devices
from echosyn import rng, weights
from echosyn.diffusion.codec import LatentCodec, grey
from echosyn.diffusion.objective import is_flow
from echosyn.diffusion.pipelines import LatentVideoPipeline
from echosyn.diffusion.samplers import DIFFUSION, FLOW, solver
from echosyn.errors import ConfigError, ModelError
from echosyn.metrics.area import SIZE, ef_from_area, track_lv
from echosyn.metrics.cavity import View
from echosyn.pipeline.demo.limits import Limits
from echosyn.pipeline.demo.replay import INDEX, STAGES, Recipe, motion_of
from echosyn.pipeline.demo.verdict import Verdict, verdict_on
from echosyn.pipeline.generate.animation import Motion, beat, textured
from echosyn.pipeline.generate.sample import invent
from echosyn.pipeline.models import image_pipeline, video_pipeline
from echosyn.pipeline.privacy_filter import reference_frames
from echosyn.pipeline.privacy_filter.screens import Screens, check_latents
from echosyn.pipeline.workers.compute import Compute
from echosyn.privacy.screen import Screen

Pixels = NDArray[np.uint8]
OnStep = Callable[[int, int], None]
HEARTS_KEPT = 64


@dataclass(frozen=True, eq=False)
class Heart:
    """An invented still."""

    variant: str | None
    seed: int
    latent: Tensor
    """``(1, C, h, w)``."""
    picture: Pixels
    """``(H, W)``."""
    verdict: Verdict


@dataclass(frozen=True, eq=False)
class Beat:
    """A video that was made, and what was measured in it."""

    frames: Pixels
    """``(T, H, W)``."""
    fps: float
    requested_ef: float
    measured_ef: float | None
    areas: tuple[float, ...]
    """Of the left ventricle in square pixels, one a frame; empty where it was not found."""
    recipe: Recipe | None
    """What makes it again; none where the heart was somebody's frame."""


@dataclass(frozen=True)
class Asked:
    """How a heart should beat."""

    ef: float
    frames: int = 64
    steps: int | None = None
    scheduler: str | None = None


@dataclass(eq=False)
class Studio:
    """Models, their references and a lock: one call computes at a time.

    Args:
        models: folder of models.
        reference: latents of the real videos that they learned from; without it what the folder itself has for its variants,
            and where it has nothing hearts are not checked.
        device: where to compute.
        limits: what one request may ask for.
    """

    models: Path
    reference: Path | None = None
    device: str = "auto"
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._lidms: dict[str | None, tuple[Any, int]] = {}
        self._screens: dict[str | None, Screen[Tensor] | None] = {}
        self._hearts: OrderedDict[tuple[str | None, int], Heart] = OrderedDict()
        self._animator: LatentVideoPipeline | None = None
        self.lidms = _lidms(self.models)
        self.folders = {stage: weights.find(self.models, stage) for stage in ("vae", "lvdm")}

    @property
    def variants(self) -> list[str | None]:
        """The kinds of hearts that can be invented."""
        return list(self.lidms)

    def view(self, variant: str | None) -> View:
        """The view of the hearts of a variant: what its LIDM says, else what its name says, else A4C."""
        known = weights.load_facts(self._lidm_folder(variant)).only.get("View", "").upper()
        known = known or ("PSAX" if "psax" in (variant or "") else "A4C")
        return cast(View, known) if known in ("A4C", "PSAX") else "A4C"

    @property
    def solvers(self) -> list[str]:
        """Solvers that can integrate the video model, its own first."""
        return list(FLOW if is_flow(weights.load_scheduler(self.folders["lvdm"])) else DIFFUSION)

    def load(self) -> None:
        """Read the models from disk, so that what is wrong with them is said at once."""
        with self._lock:
            for variant in self.variants:
                self._lidm(variant)
            self._video_pipeline()

    def warm(self, variant: str | None) -> None:
        """Calibrate the filter of a variant and compute a little, so that the first request waits for nothing."""
        with self._lock:
            heart = self.invent(variant, 0)
            self._beat(heart.latent, Asked(55.0, 8), 0, "A4C")

    def invent(self, variant: str | None, seed: int, on_step: OnStep | None = None) -> Heart:
        """The heart of a seed, the same at every call, and the verdict on it."""
        self._lidm_folder(variant)
        with self._lock:
            heart = self._hearts.get((variant, seed))
            if heart is None:
                pipeline, steps = self._lidm(variant)
                latent = invent(pipeline, [INDEX], seed, steps, 1, on_step)
                heart = Heart(variant, seed, latent, self._decoded(latent), verdict_on(self._screen(variant), latent))
            self._hearts[variant, seed] = heart
            self._hearts.move_to_end((variant, seed))
            while len(self._hearts) > HEARTS_KEPT:
                self._hearts.popitem(last=False)
            return heart

    def beat(self, variant: str | None, seed: int, asked: Asked, on_step: OnStep | None = None) -> Beat:
        """The heart of a seed, beating.

        Raises:
            ConfigError: the heart was rejected.
        """
        ef = round(asked.ef, 1)
        with self._lock:
            heart = self.invent(variant, seed)
            if heart.verdict.status == "rejected":
                raise ConfigError(
                    "this sample was rejected as too close to a real patient and cannot be animated; sample another"
                )
            folders = {stage: self.folders.get(stage, self._lidm_folder(variant)) for stage in STAGES}
            values = {"frames": asked.frames, "steps": asked.steps, "scheduler": asked.scheduler}
            recipe = Recipe.of(folders, variant=variant, seed=seed, ef=ef, **values)
            made = self._beat(
                heart.latent, Asked(ef, asked.frames, asked.steps, asked.scheduler), seed, self.view(variant), on_step
            )
            return Beat(**(vars(made) | {"recipe": recipe}))

    def animate(self, frame: Pixels, asked: Asked, view: View, seed: int = 0, on_step: OnStep | None = None) -> Beat:
        """A given frame ``(112, 112)`` made to beat: it stays whoever's it is."""
        with self._lock:
            animator = self._video_pipeline()
            still = LatentCodec(animator.vae, animator.config.pixels).encode(torch.from_numpy(frame.copy())[None])
            return self._beat(still, asked, seed, view, on_step)

    def _beat(self, still: Tensor, asked: Asked, seed: int, view: View, on_step: OnStep | None = None) -> Beat:
        pipeline = self._video_pipeline()
        own = pipeline.scheduler
        motion = self._motion(asked)
        try:
            pipeline.scheduler = solver(own, asked.scheduler)
            motion.check(pipeline)
            noise = rng.generators(seed, "motion", [INDEX])
            decoded = beat(pipeline, still, [asked.ef], noise, motion, on_step)[0]
        finally:
            pipeline.scheduler = own
        frames = textured(pipeline, decoded, seed, INDEX, motion)
        areas, measured = measured_area(frames, view)
        return Beat(frames, float(pipeline.config.fps), asked.ef, measured, areas, None)

    def _motion(self, asked: Asked) -> Motion:
        recipe = Recipe(seed=0, ef=asked.ef, frames=asked.frames, steps=asked.steps, scheduler=asked.scheduler)
        return motion_of(recipe, self.folders["lvdm"])

    def _screen(self, variant: str | None) -> Screen[Tensor] | None:
        """What hearts of a variant are compared with; calibrated once."""
        if variant not in self._screens:
            self._screens[variant] = self._calibrated(variant)
        return self._screens[variant]

    def _calibrated(self, variant: str | None) -> Screen[Tensor] | None:
        given = reference_frames.of_models(self.models, variant) if variant else None
        if self.reference is not None:
            given = reference_frames.of_latents(self.reference)
        if given is None:
            return None
        reid = weights.find(self.models, "reid", variant)
        check_latents(reid, given.vae, self.reference or self.models)
        return Screens.of({"vae": self.folders["vae"], "reid": reid}).of_stills(given, Compute(self.device))

    def _lidm_folder(self, variant: str | None) -> Path:
        if variant not in self.lidms:
            raise ConfigError(f"view {str(variant)[:40]!r}: expected one of {', '.join(str(v) for v in self.lidms)}")
        return self.lidms[variant]

    def _lidm(self, variant: str | None) -> tuple[Any, int]:
        if variant not in self._lidms:
            folder = self._lidm_folder(variant)
            steps = weights.load_facts(folder).num_inference_steps
            self._lidms[variant] = (image_pipeline(folder, devices.resolve(self.device)), steps)
        return self._lidms[variant]

    def _video_pipeline(self) -> LatentVideoPipeline:
        if self._animator is None:
            where = devices.resolve(self.device)
            self._animator = video_pipeline(self.folders["lvdm"], self.folders["vae"], where)
        return self._animator

    def _decoded(self, latent: Tensor) -> Pixels:
        animator = self._video_pipeline()
        picture: Pixels = grey(LatentCodec(animator.vae, animator.config.pixels).decode(latent))[0].numpy()
        return picture


def measured_area(frames: Pixels, view: View) -> tuple[tuple[float, ...], float | None]:
    """Area of the left ventricle in each frame and the EF that follows from it; nothing where it was not found."""
    if frames.shape[1:] != (SIZE, SIZE):
        return (), None
    areas = track_lv(frames, view).areas
    if not np.isfinite(areas).all():
        return (), None
    return tuple(areas.round(1).tolist()), ef_from_area(areas, view)


def _lidms(models: Path) -> Mapping[str | None, Path]:
    """The image models of a folder by variant; one that is alone has none."""
    found: dict[str | None, Path] = {}
    for variant in weights.VARIANTS:
        if (models / f"lidm_{variant}").is_dir():
            found[variant] = weights.find(models, "lidm", variant)
    if not found:
        found[None] = weights.find(models, "lidm")
    if not models.is_dir() or not found:
        raise ModelError(f"{models}: no lidm model; expected a sub-folder lidm: train it with `echosyn train lidm`")
    return dict(sorted(found.items(), key=lambda item: str(item[0])))
