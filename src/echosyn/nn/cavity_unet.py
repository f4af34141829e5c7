"""The network that outlines the left ventricle in a still."""

from collections.abc import Sequence

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.nn import functional as F


class CavityUNet(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Apical four-chamber stills in, the left ventricle's cavity out: a U-Net (Ronneberger et al. 2015) on blocks of pixels.

    Args:
        widths: Channels of each level, from fine to coarse; each halves the size of the one before.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, *, widths: Sequence[int] = (24, 48, 72, 96)) -> None:
        super().__init__()
        down = list(zip((4, *widths[:-1]), widths, strict=True))
        up = [(below + here, here) for below, here in zip(widths[:0:-1], widths[-2::-1], strict=True)]
        self.down = nn.ModuleList(_block(*channels) for channels in down)
        self.up = nn.ModuleList(_block(*channels) for channels in up)
        self.out = nn.Conv2d(widths[0], 4, kernel_size=3, padding=1)

    def forward(self, stills: Tensor) -> Tensor:
        """Stills ``(B, 1, H, W)`` in 0..1, H and W multiples of 16 -> logits of cavity, ``(B, 1, H, W)``."""
        x, skips = F.pixel_unshuffle(stills, 2), []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        for block, skip in zip(self.up, skips[-2::-1], strict=True):
            upper = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = block(torch.cat([upper, skip], dim=1))
        return F.pixel_shuffle(self.out(x), 2)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    def layer(channels: int) -> list[nn.Module]:
        return [nn.Conv2d(channels, outputs, kernel_size=3, padding=1, bias=False), nn.GroupNorm(8, outputs), nn.ReLU()]

    return nn.Sequential(*layer(inputs), *layer(outputs))
