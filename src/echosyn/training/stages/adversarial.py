"""The adversarial phase of the VAE: a critic that tells reconstructions from frames (VQGAN, Esser et al. 2021)."""

from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from echosyn.config import Settings
from echosyn.nn.patch_critic import PatchCritic

STABILIZER = 1e-4


class AdversarialSettings(Settings):
    """Start, weight and size of the discriminator."""

    start: int = Field(ge=0)
    """Optimizer steps before the adversarial loss is applied; published 50,001."""
    warmup: int = Field(200, ge=0)
    """Optimizer steps before ``start`` in which the discriminator is already trained; published 0."""
    weight: float = Field(0.5, ge=0)
    """Factor on the adaptive weight: ratio of the adversarial to the reconstruction gradient at the last layer."""
    max_adaptive_weight: float = Field(1.0, gt=0)
    """Bound of the adaptive weight, before the factor. Reconstruction errors are means over pixels here: the published
    bound of 1e4 on sums is ``1e4 / (channels * height * width)`` in these units, 0.266 for 3x112x112."""
    num_filters: int = Field(64, ge=1)
    """Filters of the critic's first layer."""
    num_layers: int = Field(3, ge=1)
    """Downsampling layers of the discriminator; three give a receptive field of 70 pixels."""

    @model_validator(mode="after")
    def _warmup_fits(self) -> Self:
        if self.warmup > self.start:
            raise ValueError(f"warmup is {self.warmup}, expected at most start ({self.start})")
        return self

    def critic(self, channels: int) -> PatchCritic:
        """A new critic of images with ``channels`` channels."""
        critic: PatchCritic = PatchCritic(
            in_channels=channels, num_filters=self.num_filters, num_layers=self.num_layers
        )
        return critic


def hinge(real: Tensor, fake: Tensor) -> Tensor:
    """What the critic minimizes (Lim & Ye 2017): logits of frames above 1, of reconstructions below -1; from 0 on."""
    return 0.5 * ((1 - real).relu().mean() + (1 + fake).relu().mean())


def adaptive_weight(reconstruction_loss: Tensor, critic_loss: Tensor, last_layer: nn.Parameter, bound: float) -> Tensor:
    """Ratio of the two losses' gradient norms at the decoder's last layer (Esser et al. 2021, eq. 7), at most ``bound``."""
    wanted, said = (
        torch.autograd.grad(loss, last_layer, retain_graph=True)[0].float().norm()
        for loss in (reconstruction_loss, critic_loss)
    )
    ratio: Tensor = wanted / (said + STABILIZER)
    return ratio.clamp(max=bound).detach()
