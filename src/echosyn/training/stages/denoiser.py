"""LIDM and LVDM: one stage, with and without a heart to start from."""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from echosyn import rng, weights
from echosyn.data import latents, loading
from echosyn.data.clips import resampled, spaced
from echosyn.data.records import Record
from echosyn.diffusion import rhythm
from echosyn.diffusion.codec import LatentCodec, grey
from echosyn.diffusion.conditions import EF, Condition, Schema
from echosyn.diffusion.denoiser import needs_course, predict
from echosyn.diffusion.objective import masked_mse, noised, time_weight, times
from echosyn.diffusion.pipelines import LatentImagePipeline, LatentVideoPipeline
from echosyn.errors import ConfigError, DataError
from echosyn.privacy.nearer_side import nearer_side
from echosyn.training import pictures
from echosyn.training.stage import Batch, Objective, Stage, StageSettings

VALIDATION_TIMES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Shares of the way to noise at which the held-out loss is taken."""
VALIDATION_CLIPS = 64
"""Held-out clips at most."""
VALIDATION_BATCH = 8
NUM_STILLS = 16
"""Invented stills to look at."""
NUM_INVENTED = 64
"""Samples that are compared with TRAIN and held-out patients."""
LEAST_COMPARED, MOST_COMPARED = 8, 500
"""Patients a side."""
MEMORISED_LEVEL = 0.025
NUM_HEARTS = 4
"""Held-out stills that are made to beat, each with every one of `SHOWN_EFS`."""
SHOWN_EFS = (20.0, 40.0, 60.0, 80.0)


class DenoiserSettings(StageSettings):
    """Noise schedule, prediction target and conditions."""

    scheduler: dict[str, Any]
    """A diffusers scheduler by ``_class_name``; it decides noising and target (``prediction_type`` or a flow)."""
    fps: Annotated[float, Field(gt=0)] | Literal["original"] = 32.0
    """Frame rate of the training clips; ``original`` takes every frame, whatever a video's rate (lidm)."""
    num_frames: int = Field(64, ge=1)
    """Frames of a training clip; 1 for stills."""
    courses: bool = False
    """Stills are taken at end-diastole, and networks that support it are conditioned on the timing of contraction; needs
    latents encoded with ``--courses``."""
    drop_conditions: float = Field(0.1, ge=0, lt=1)
    """Share of items trained without their conditions, for guidance."""
    conditions: tuple[Condition, ...] = (EF,)
    """Conditioning inputs of the video model besides the still; add an entry for a new condition."""
    vae: str | None = None
    """Model folder of the VAE that decodes validation pictures; without it there are numbers only."""
    noise_offset: float = Field(0.0, ge=0)
    """Strength of a constant added to the noise of each channel."""
    input_perturbation: float = Field(0.0, ge=0)
    """Strength of further noise on what the network sees, of which the target does not know (Ning et al. 2023); each item's share
    of it is drawn from 0..1."""
    time_distribution: Literal["uniform", "logit_normal"] = "uniform"
    """How training times are drawn; logit-normal (Esser et al. 2024) draws the middle more often."""
    time_shift: float = Field(1.0, gt=0)
    """Above 1 trains more often at high noise (flow only)."""
    detail_time: float = Field(0.0, ge=0, lt=1)
    """Flow times below it weigh by ``(t / detail_time)^2`` only: detail is learned last, motion first. 0 weighs all alike."""
    num_inference_steps: int = Field(64, ge=1)
    """Default sampling steps, recorded in the model folder."""
    guidance_scale: float = 1.0
    """Default guidance scale, recorded in the model folder."""


class DenoiserStage(Stage):
    """Trains a network to remove noise from latent clips ``(B, C, T, h, w)``."""

    needs_latents = True
    criterion = ("loss", "min")
    conditional: bool
    """Whether the network sees a still heart and an EF."""

    def __init__(self, settings: DenoiserSettings) -> None:
        self.settings: DenoiserSettings = settings
        if self.conditional and settings.fps == "original":
            raise ConfigError(
                f"settings of {self.name}: fps = original, but its videos have one rate; expected a number such as 32"
            )
        self.fps = None if settings.fps == "original" else float(settings.fps)
        self.scheduler = weights.scheduler(settings.scheduler)
        self.schema = Schema(settings.conditions if self.conditional else (), settings.drop_conditions)
        self.vae: str | None = None
        with rng.initializing(settings.loop.seed):
            self.network = self.begin()

    def items(self, data: Path, records: Sequence[Record]) -> Dataset[dict[str, Any]]:
        """Latent clips; for a conditional network, of videos of which a condition is known."""
        self.vae = str(latents.info(data).get("vae"))
        self._check_decoder(data)
        labels = [self._labels(data, r) for r in records]
        for condition in self.schema.conditions:
            if records and all(math.isnan(values[condition.name]) for values in labels):
                raise DataError(
                    f"{data}: no TRAIN video has a value in column {condition.column or condition.name} of FileList.csv; the "
                    f"{self.name} learns from videos with {condition.name} labels"
                )
        return self._clips(data, records)

    def _clips(self, data: Path, records: Sequence[Record]) -> loading.LatentClips:
        labelled = [(r, self._labels(data, r)) for r in records]
        usable = [(r, values) for r, values in labelled if not values or not all(map(math.isnan, values.values()))]
        settings = self.settings
        courses: list[Any] = []
        if settings.courses:
            tracked = [(*item, latents.read_course(data, item[0])) for item in usable]
            usable = [(r, values) for r, values, course in tracked if course is not None]
            courses = [course for *_, course in tracked if course is not None]
            if tracked and not courses:
                raise DataError(f"{data}: no video has a course; encode the dataset with --courses for these settings")
        return loading.LatentClips(
            data,
            [record for record, _ in usable],
            self.fps,
            settings.num_frames,
            settings.loop.seed,
            [values for _, values in usable],
            courses,
        )

    def objectives(self) -> Mapping[str, Objective]:
        """One: the denoising loss."""
        return {self.name: Objective(list(self.network.parameters()), self.loss)}

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Masked squared error of the prediction; every draw belongs to the item, not to the batch."""
        x0, settings = batch["latents"], self.settings
        draws = self._draws(batch["index"].tolist(), tuple(x0.shape[1:]))
        eps, uniform, normal = (draws[k].to(x0.device) for k in ("eps", "uniform", "normal"))
        t = times(uniform[:, 0], normal, self.scheduler, settings.time_distribution, settings.time_shift)
        x_t, target = noised(x0, eps, t, self.scheduler)
        if settings.input_perturbation:
            x_t, _ = noised(x0, eps + draws["more"].to(x0.device), t, self.scheduler)
        prediction = self._predict(batch, x_t, t, self.schema.kept(uniform[:, 1]))
        weight = time_weight(t, self.scheduler, settings.detail_time)
        return {"loss": masked_mse(prediction, target, batch["mask"], weight)}

    def weight(self, batch: Batch) -> float:
        """By the frames that exist, as in `masked_mse`."""
        return float(batch["mask"].sum())

    def validate(self, data: Path, records: Sequence[Record], folder: Path) -> dict[str, float]:
        """Denoising loss on held-out clips at fixed times and with fixed noise; with a VAE also samples to look at.

        Nothing is dropped, and every time weighs the same, so trainings with other times and weights can be compared.
        """
        clips = self._clips(data, records)
        if not clips.records:
            return {}
        losses = self._held_out_losses(clips)
        found = {"loss": sum(losses.values()) / len(losses)} | {f"loss_at_{time:g}": x for time, x in losses.items()}
        return found | self._samples(clips, folder)

    @torch.no_grad()
    def _held_out_losses(self, clips: loading.LatentClips) -> dict[float, float]:
        total, weight = dict.fromkeys(VALIDATION_TIMES, 0.0), 0.0
        count = min(VALIDATION_CLIPS, 4 * len(clips.records))
        loop = self.settings.loop
        part = min(
            VALIDATION_BATCH, loop.micro_batch_size or loop.batch_size
        )  # never more memory than a step of training
        for first in range(0, count, part):
            batch = default_collate([clips[g] for g in range(first, min(first + part, count))])
            batch = {name: value.to(self.device) for name, value in batch.items()}
            x0, frames = batch["latents"], float(batch["mask"].sum())
            eps = rng.normal(tuple(x0.shape[1:]), self.settings.loop.seed, "validation", batch["index"].tolist()).to(x0)
            weight += frames
            for time in VALIDATION_TIMES:
                t = times(x0.new_full((len(x0),), time), x0.new_zeros(len(x0)), self.scheduler)
                x_t, target = noised(x0, eps, t, self.scheduler)
                prediction = self._predict(batch, x_t, t, None)
                total[time] += frames * float(masked_mse(prediction, target, batch["mask"]))
        return {time: x / weight for time, x in total.items()}

    def _predict(self, batch: Batch, x_t: Tensor, t: Tensor, kept: Tensor | None) -> Tensor:
        if not self.conditional:
            return predict(self.network, x_t, t, None, None, None)
        conditions, given = self.schema.encode(batch, kept)
        return predict(self.network, x_t, t, batch["still"], conditions, given, batch.get("course"))

    @abstractmethod
    def _samples(self, clips: loading.LatentClips, folder: Path) -> dict[str, float]:
        """Write samples with fixed draws, where the settings have a VAE, and say what else they tell of the network."""

    def _decoder(self) -> dict[str, Any]:
        """What a pipeline needs of the VAE."""
        assert self.settings.vae is not None
        source = weights.resolve(Path(self.settings.vae))
        return {"vae": weights.load(source, "vae").to(self.device), "pixels": weights.load_facts(source).pixels}

    def _check_decoder(self, data: Path) -> None:
        if self.settings.vae is not None and self.vae not in ("None", None):
            source = weights.resolve(Path(self.settings.vae))
            if weights.latents_hash(source) != self.vae:
                raise ConfigError(
                    f"vae = {self.settings.vae}: the latents in {data} were made with another VAE; give that one"
                )

    def export(self, folder: Path) -> None:
        """Write the model folder with its scheduler."""
        settings = self.settings
        facts = weights.Facts(
            stage=self.name,
            **({} if self.fps is None else {"fps": self.fps}),
            num_frames=settings.num_frames,
            drop_conditions=self.schema.drop,
            conditions=tuple(self.schema.conditions),
            num_inference_steps=settings.num_inference_steps,
            guidance_scale=settings.guidance_scale,
            vae=self.vae,
            only=settings.only,
            courses=settings.courses,
        )
        weights.save(self.network, folder, facts, self.scheduler)

    def network_config(self) -> dict[str, Any]:
        """The network's settings, with as many condition inputs as there are conditions.

        Raises:
            ConfigError: the network cannot take these conditions.
        """
        config, width = dict(self.settings.network), self.schema.width
        name = config.get("_class_name")
        if name == "ModeUNet" and not self.settings.courses:
            raise ConfigError("courses: a ModeUNet must be told when the heart contracts; expected courses = true")
        if self.conditional and name in ("VideoTransformer", "ModeUNet"):
            if config.setdefault("num_conditions", width) != width:
                raise ConfigError(
                    f"network.num_conditions = {config['num_conditions']}: the conditions have {width} inputs"
                )
        elif self.conditional and width != 1:
            raise ConfigError(
                f"conditions: {width} inputs, but {name} takes one, the EF; expected another network, or one condition"
            )
        return config

    def _labels(self, data: Path, record: Record) -> dict[str, float]:
        try:
            return {c.name: c.number(record.cell(c.column or c.name)) for c in self.schema.conditions}
        except ConfigError as error:
            raise DataError(f"{data / 'FileList.csv'}: video {record.name}: {error}") from error

    def _draws(self, indices: list[int], shape: tuple[int, ...]) -> dict[str, Tensor]:
        strength = self.settings.input_perturbation
        eps, uniform, normal, more = [], [], [], []
        for g in rng.generators(self.settings.loop.seed, f"{self.name} loss", indices):
            noise = torch.randn(shape, generator=g)
            offset = torch.randn(shape[0], generator=g).view(-1, *[1] * (len(shape) - 1))
            eps.append(noise + self.settings.noise_offset * offset)
            uniform.append(torch.rand(2, generator=g))
            normal.append(torch.randn((), generator=g))
            if strength:  # last, so that the other draws stay as they are
                more.append(strength * torch.rand((), generator=g) * torch.randn(shape, generator=g))
        named = {"eps": eps, "uniform": uniform, "normal": normal, "more": more}
        return {name: torch.stack(values) for name, values in named.items() if values}


class LIDMStage(DenoiserStage):
    """Invents stills: learns single latent frames, unconditionally."""

    name = "lidm"
    conditional = False
    taught: loading.LatentClips | None = None

    def items(self, data: Path, records: Sequence[Record]) -> Dataset[dict[str, Any]]:
        """Stills; those of the first folder are kept to tell whether samples resemble them more than they should."""
        clips = super().items(data, records)
        if self.taught is None:
            assert isinstance(clips, loading.LatentClips)
            self.taught = clips
        return clips

    def _samples(self, clips: loading.LatentClips, folder: Path) -> dict[str, float]:
        """A picture of the first `NUM_STILLS`; with enough patients on both sides, whether it learns by heart.

        ``nearer_to_train`` is the share of `NUM_INVENTED` samples that are nearer to a still of TRAIN than to any of as many
        held-out ones; half of them on average, if the model knows no still in particular, and up to ``nearer_to_train_high`` by
        chance, for some stills are the nearest of many samples (`echosyn.privacy.nearer_side`). ``memorised`` is 1 where the
        share is significantly more (one-sided, 2.5 %): such a step is never the best.
        """
        num = min(len(self.taught.records) if self.taught else 0, len(clips.records), MOST_COMPARED)
        compared, shown = num >= LEAST_COMPARED, self.settings.vae is not None
        made = self._invented(NUM_INVENTED if compared else NUM_STILLS) if compared or shown else None
        if made is not None and shown:
            frames = LatentCodec(**self._decoder()).decode(made[:NUM_STILLS])
            pictures.write_stills(folder / "stills.png", grey(frames).numpy(), columns=4)
        if made is None or not compared or self.taught is None:
            return {}
        taught, unseen = (
            torch.stack([side.first_still(i) for i in spaced(len(side.records), num)]).flatten(1)
            for side in (self.taught, clips)
        )
        found = nearer_side(made.flatten(1).numpy(), taught.numpy(), unseen.numpy())
        return {
            "nearer_to_train": found.share,
            "nearer_to_train_high": found.high,
            "memorised": float(found.p_value < MEMORISED_LEVEL),
        }

    def _invented(self, num: int) -> Tensor:
        """Samples ``(num, C, h, w)`` on the CPU, with the same draws at every call; ``num`` in whole `NUM_STILLS`."""
        pipeline = LatentImagePipeline(None, self.network, self.scheduler)
        parts = []
        for first in range(0, num, NUM_STILLS):
            draws = rng.generators(self.settings.loop.seed, "validation stills", range(first, first + NUM_STILLS))
            parts.append(pipeline(NUM_STILLS, self.settings.num_inference_steps, draws).latents[:, :, 0].cpu())
        return torch.cat(parts)


class LVDMStage(DenoiserStage):
    """Makes stills beat: learns clips given a frame of the same video and its EF."""

    name = "lvdm"
    conditional = True
    _knows_beats = False

    def _clips(self, data: Path, records: Sequence[Record]) -> loading.LatentClips:
        """Also teaches a network that `needs_course` which courses there are: new videos draw theirs from them."""
        clips = super()._clips(data, records)
        if needs_course(self.network) and not self._knows_beats:
            assert self.fps is not None  # a video model has one
            fps = self.fps
            pairs = zip(clips.records, clips.courses, strict=True)
            courses = [c[resampled(len(c), r.fps or fps, fps)].astype(np.float64) for r, c in pairs]
            self._knows_beats = True
            try:
                self.network.beats.copy_(torch.from_numpy(rhythm.learn(courses, fps).to_array()))
            except ValueError as error:
                if self.network.beats.any():
                    return clips
                raise DataError(f"{data}: {error}; expected longer videos, of 2 seconds or more") from error
        return clips

    def _samples(self, clips: loading.LatentClips, folder: Path) -> dict[str, float]:
        settings, schema = self.settings, self.schema
        if settings.vae is None:
            return {}
        assert self.fps is not None
        facts = [c.model_dump(mode="json", exclude_defaults=True) for c in schema.conditions]
        pipeline = LatentVideoPipeline(
            unet=self.network,
            scheduler=self.scheduler,
            fps=self.fps,
            guidance=schema.drop > 0,
            conditions=facts,
            **self._decoder(),
        )
        items = [clips[g] for g in range(min(NUM_HEARTS, len(clips.records)))]
        rows = []
        for ef in SHOWN_EFS:
            shown = pipeline(
                torch.stack([item["still"] for item in items]),
                [ef] * len(items),
                num_inference_steps=settings.num_inference_steps,
                guidance_scale=settings.guidance_scale if schema.drop > 0 else 1.0,
                generator=rng.generators(settings.loop.seed, "validation videos", range(len(items))),
                output_type="pixel",
                conditions=schema.words(items),
            )
            assert shown.videos is not None
            rows.append(grey(shown.videos).numpy())
        pictures.write_videos(folder, "videos", np.stack(rows), self.fps)
        return {}
