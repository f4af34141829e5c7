"""The discriminator of the adversarial phase of the VAE."""

from typing import cast

from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn


class PatchCritic(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Scores overlapping patches of an image (PatchGAN, Isola et al. 2017; its use for a VAE: Esser et al. 2021).

    Args:
        in_channels: Channels of the images.
        num_filters: Filters of the first layer; they double up to eight times that.
        num_layers: Halvings; three see patches of 70 pixels.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, *, in_channels: int = 3, num_filters: int = 64, num_layers: int = 3) -> None:
        super().__init__()
        widths = [num_filters * min(2**i, 8) for i in range(num_layers + 1)]
        layers: list[nn.Module] = [nn.Conv2d(in_channels, widths[0], 4, 2, 1), nn.LeakyReLU(0.2)]
        for i in range(num_layers):
            stride = 2 if i < num_layers - 1 else 1
            layers += [
                nn.Conv2d(widths[i], widths[i + 1], 4, stride, 1, bias=False),
                nn.BatchNorm2d(widths[i + 1]),
                nn.LeakyReLU(0.2),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 1))
        self.apply(_initialize)

    def forward(self, images: Tensor) -> Tensor:
        """``(B, C, H, W)`` in [-1, 1] -> one logit per patch ``(B, 1, H', W')``, higher is more real."""
        return cast(Tensor, self.layers(images))


def _initialize(module: nn.Module) -> None:
    """DCGAN's weights (Radford et al. 2016)."""
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
