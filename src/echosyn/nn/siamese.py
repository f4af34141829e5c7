"""The re-identification network: do two latent frames show the same patient?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, cast

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.nn.functional import normalize
from torchvision.models import resnet

from echosyn.errors import ModelError

Backbone = Literal["resnet50", "resnet18", "small"]


class SiameseNet(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """One embedding network for both frames and a linear score of how the embeddings differ.

    After Packhäuser et al. 2022 (chest X-rays), as Reynaud et al. 2024 use it on latents: ``resnet50`` is theirs.

    Args:
        in_channels: Channels of a latent.
        embedding_size: Features of an embedding, each in 0..1.
        backbone: ``small`` learns on a CPU.
        normalize: Scale every item to [-1, 1] by its own minimum and maximum, real or synthetic alike.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        *,
        in_channels: int = 4,
        embedding_size: int = 128,
        backbone: Backbone = "resnet50",
        normalize: bool = True,
    ) -> None:
        super().__init__()
        if backbone == "small":
            self.network = _small(in_channels, embedding_size)
        elif backbone in ("resnet18", "resnet50"):
            self.network = getattr(resnet, backbone)(weights=None, num_classes=embedding_size)
            self.network.conv1 = nn.Conv2d(in_channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
        else:
            raise ValueError(f"backbone is {backbone!r}, expected 'resnet50', 'resnet18' or 'small'")
        self.score = nn.Linear(embedding_size, 1)

    def embed(self, latents: Tensor) -> Tensor:
        """``(B, C, H, W)`` -> ``(B, embedding_size)`` in 0..1."""
        return self.features(min_max(latents) if self.config.normalize else latents)

    def features(self, latents: Tensor) -> Tensor:
        """As `embed`, of latents that are scaled already."""
        return torch.sigmoid(self.network(latents))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Logits ``(B,)`` that ``a[i]`` and ``b[i]`` are of one patient; swapping them changes nothing."""
        return cast(Tensor, self.score((self.embed(a) - self.embed(b)).abs())[:, 0])


def load_backbone(network: SiameseNet, state: Mapping[str, Tensor], source: Path) -> None:
    """Put ImageNet weights of torchvision's ResNet into the backbone.

    Its first convolution (latents have other channels than pictures) and last layer stay as they are.

    Raises:
        ModelError: ``state``, which came from ``source``, is of another network.
    """
    own = network.network.state_dict()
    taken = {name: value for name, value in state.items() if not name.startswith(("conv1.", "fc."))}
    expected = {name: value.shape for name, value in own.items() if not name.startswith(("conv1.", "fc."))}
    if expected != {name: value.shape for name, value in taken.items()}:
        raise ModelError(f"{source}: not the weights of a {network.config.backbone}; expected torchvision's file")
    network.network.load_state_dict(own | taken)


def correlations(a: Tensor, b: Tensor) -> Tensor:
    """Pearson correlation of each row of ``a`` ``(n, d)`` with each of ``b`` ``(m, d)``: ``(n, m)``; of a constant row 0."""
    return normalize(a - a.mean(dim=1, keepdim=True), dim=1) @ normalize(b - b.mean(dim=1, keepdim=True), dim=1).T


def min_max(x: Tensor) -> Tensor:
    """Each item scaled to [-1, 1]; a constant item becomes -1."""
    low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
    return 2 * (x - low) / (high - low).clamp_min(1e-8) - 1


def _small(in_channels: int, embedding_size: int) -> nn.Sequential:
    """Four convolutions; group norm, so that an item never depends on its batch."""

    def layer(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
        convolution = nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1)
        return [convolution, nn.GroupNorm(8, outputs), nn.SiLU()]

    return nn.Sequential(
        *layer(in_channels, 32, 1),
        *layer(32, 64, 2),
        *layer(64, 128, 2),
        *layer(128, 128, 1),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * 128, embedding_size),
    )
