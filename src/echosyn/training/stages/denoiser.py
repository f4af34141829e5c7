"""LIDM and LVDM: one stage, with and without a heart to start from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.utils.data import Dataset

from echosyn import rng, weights
from echosyn.data import latents, loading
from echosyn.data.records import Record
from echosyn.diffusion.denoiser import predict
from echosyn.diffusion.objective import masked_mse, noised, time_weight, times
from echosyn.errors import DataError
from echosyn.training.stage import Batch, Objective, Stage, StageSettings


class DenoiserSettings(StageSettings):
    """What noise, what target, what conditions."""

    scheduler: dict[str, Any]
    """A diffusers scheduler by ``_class_name``; it decides noising and target (``prediction_type`` or a flow)."""
    fps: float = Field(32.0, gt=0)
    """Frame rate of the training clips."""
    num_frames: int = Field(64, ge=1)
    """Frames of a training clip; 1 for stills."""
    drop_conditions: float = Field(0.1, ge=0, lt=1)
    """Share of items trained without their EF, for guidance."""
    noise_offset: float = Field(0.0, ge=0)
    """Strength of a constant added to the noise of each channel."""
    time_distribution: Literal["uniform", "logit_normal"] = "uniform"
    """How training times are drawn; logit-normal (Esser et al. 2024) draws the middle more often."""
    time_shift: float = Field(1.0, gt=0)
    """Above 1 trains more often at high noise (flow only)."""
    detail_time: float = Field(0.0, ge=0, lt=1)
    """Flow times below it weigh by ``(t / detail_time)^2`` only: detail is learned last, motion first. 0 weighs all alike."""
    num_inference_steps: int = Field(64, ge=1)
    """Sampling steps recorded in the model folder as suiting it."""
    guidance_scale: float = 1.0
    """Guidance recorded in the model folder as suiting it."""


class DenoiserStage(Stage):
    """Trains a network to remove noise from latent clips ``(B, C, T, h, w)``."""

    needs_latents = True
    conditional: bool
    """Whether the network sees a still heart and an EF."""

    def __init__(self, settings: DenoiserSettings) -> None:
        self.settings: DenoiserSettings = settings
        self.scheduler = weights.scheduler(settings.scheduler)
        self.vae: str | None = None
        with rng.initializing(settings.loop.seed):
            self.network = weights.network(settings.network)

    def items(self, data: Path, records: Sequence[Record]) -> Dataset[dict[str, Any]]:
        """Latent clips; for a conditional network, of videos whose EF is known."""
        self.vae = str(latents.info(data).get("vae"))
        usable = [r for r in records if r.ef is not None] if self.conditional else list(records)
        if records and not usable:
            raise DataError(f"{data}: no TRAIN video has an EF; the {self.name} learns from videos with EF labels")
        return loading.LatentClips(data, usable, self.settings.fps, self.settings.num_frames, self.settings.loop.seed)

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
        if self.conditional:
            conditions = (batch["ef"].float() / 100).unsqueeze(1)
            given = uniform[:, 1:] >= settings.drop_conditions
            prediction = predict(self.network, x_t, t, batch["still"], conditions, given)
        else:
            prediction = predict(self.network, x_t, t, None, None, None)
        weight = time_weight(t, self.scheduler, settings.detail_time)
        return {"loss": masked_mse(prediction, target, batch["mask"], weight)}

    def weight(self, batch: Batch) -> float:
        """By the frames that exist, as in `masked_mse`."""
        return float(batch["mask"].sum())

    def export(self, folder: Path) -> None:
        """Write the model folder with its scheduler."""
        settings = self.settings
        facts = weights.Facts(
            stage=self.name,
            fps=settings.fps,
            num_frames=settings.num_frames,
            drop_conditions=settings.drop_conditions if self.conditional else 0.0,
            num_inference_steps=settings.num_inference_steps,
            guidance_scale=settings.guidance_scale,
            vae=self.vae,
        )
        weights.save(self.network, folder, facts, self.scheduler)

    def _draws(self, indices: list[int], shape: tuple[int, ...]) -> dict[str, Tensor]:
        eps, uniform, normal = [], [], []
        for g in rng.generators(self.settings.loop.seed, f"{self.name} loss", indices):
            noise = torch.randn(shape, generator=g)
            offset = torch.randn(shape[0], generator=g).view(-1, *[1] * (len(shape) - 1))
            eps.append(noise + self.settings.noise_offset * offset)
            uniform.append(torch.rand(2, generator=g))
            normal.append(torch.randn((), generator=g))
        return {"eps": torch.stack(eps), "uniform": torch.stack(uniform), "normal": torch.stack(normal)}


class LIDMStage(DenoiserStage):
    """Invents stills: learns single latent frames, unconditionally."""

    name = "lidm"
    conditional = False


class LVDMStage(DenoiserStage):
    """Makes stills beat: learns clips given a frame of the same video and its EF."""

    name = "lvdm"
    conditional = True
