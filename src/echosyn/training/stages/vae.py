"""The VAE: frames to latents and back."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor
from torch.utils.data import Dataset

from echosyn import rng, weights
from echosyn.data import filelist, loading, video
from echosyn.data.records import Record
from echosyn.diffusion.codec import LatentCodec
from echosyn.pixels import Name
from echosyn.training.stage import Batch, Objective, Stage, StageSettings


class VAESettings(StageSettings):
    """L1 (and L2) reconstruction with a light Kullback-Leibler term."""

    pixels: Name = "symmetric"
    """How grey levels are shown to the network."""
    frame_stride: int = Field(5, ge=1)
    """Every n-th frame of every TRAIN video is an item."""
    l2_weight: float = Field(0.0, ge=0)
    """Weight of the mean squared error beside the mean absolute one."""
    kl_weight: float = Field(1e-6, ge=0)
    """Weight of the Kullback-Leibler divergence, summed over the latent and divided by the pixels of a frame."""
    scale_frames: int = Field(512, ge=2)
    """Training frames on which the latent scale is measured at the end."""


class VAEStage(Stage):
    """Trains an ``AutoencoderKL`` on grey frames, then measures the scale that gives its latents unit variance."""

    name = "vae"
    needs_latents = False

    def __init__(self, settings: VAESettings) -> None:
        self.settings: VAESettings = settings
        with rng.initializing(settings.loop.seed):
            self.network = weights.network(settings.network)

    def items(self, data: Path, records: Sequence[Record]) -> Dataset[dict[str, Any]]:
        """Single grey frames."""
        return loading.Frames(records, reader(data), self.settings.frame_stride, self.settings.loop.seed)

    def objectives(self) -> Mapping[str, Objective]:
        """One: reconstruction plus KL."""
        return {"vae": Objective(list(self.network.parameters()), self.loss)}

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Mean absolute and squared error plus KL per frame element."""
        x = LatentCodec(self.network, self.settings.pixels).to_input(batch["frames"])
        posterior = self.network.encode(x).latent_dist
        shape = tuple(posterior.mean.shape[1:])
        noise = rng.normal(shape, self.settings.loop.seed, "posterior", batch["index"].tolist()).to(x)
        reconstruction = self.network.decode(posterior.mean + posterior.std * noise).sample
        error = reconstruction - x
        l1, l2 = error.abs().mean(), error.square().mean()
        kl = posterior.kl().mean() / x[0].numel()
        loss = l1 + self.settings.l2_weight * l2 + self.settings.kl_weight * kl
        return {"loss": loss, "l1": l1, "l2": l2, "kl": kl}

    @torch.no_grad()
    def finish(self, data: Path, records: Sequence[Record]) -> dict[str, float]:
        """Set ``scaling_factor`` to one over the latents' standard deviation on TRAIN frames."""
        items = self.items(data, records)
        frames = torch.stack([items[g]["frames"] for g in range(self.settings.scale_frames)])
        self.network.register_to_config(scaling_factor=1.0, shift_factor=None)
        codec = LatentCodec(self.network.eval(), self.settings.pixels)
        std = float(codec.encode(frames).std())
        self.network.register_to_config(scaling_factor=1.0 / std)
        return {"scaling_factor": 1.0 / std}

    def export(self, folder: Path) -> None:
        """Write the model folder with its pixel convention."""
        weights.save(self.network, folder, weights.Facts(stage=self.name, pixels=self.settings.pixels))


def reader(data: Path) -> loading.Recent:
    """Grey frames of a dataset's videos, with a bounded memory of recent ones."""
    index = filelist.VideoIndex(data)
    return loading.Recent(lambda record: video.read(index.path(record)).grey())
