"""Convolutions of 3x3 with a quarter of the multiplications: for CPUs, where wide networks are bound by arithmetic.

Winograd's F(4x4, 3x3) as in Lavin & Gray 2016 (section 4.3): the picture is cut into tiles of 6x6 that overlap by two, tiles
and kernels are transformed, multiplied place by place (36 matrix products over the channels) and transformed back to 4x4.
Same result up to rounding: about 1e-5 of the activations' size.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TILE, STEP = 6, 4
MIN_CHANNELS = 128
"""Below, moving the tiles costs more than the multiplications that are saved."""
MAX_TILES = 196
"""Tiles that are transformed at once, so that they stay in the processor's cache."""

INPUT = (
    (4.0, 0.0, -5.0, 0.0, 1.0, 0.0),
    (0.0, -4.0, -4.0, 1.0, 1.0, 0.0),
    (0.0, 4.0, -4.0, -1.0, 1.0, 0.0),
    (0.0, -2.0, -1.0, 2.0, 1.0, 0.0),
    (0.0, 2.0, -1.0, -2.0, 1.0, 0.0),
    (0.0, 4.0, 0.0, -5.0, 0.0, 1.0),
)
KERNEL = (
    (1 / 4, 0.0, 0.0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0.0, 0.0, 1.0),
)
OUTPUT = (
    (1.0, 1.0, 1.0, 1.0, 1.0, 0.0),
    (0.0, 1.0, -1.0, 2.0, -2.0, 0.0),
    (0.0, 1.0, 1.0, 4.0, 4.0, 0.0),
    (0.0, 1.0, -1.0, 8.0, -8.0, 1.0),
)
"""The interpolation points 0, 1, -1, 2, -2 and infinity."""


class WinogradConv2d(nn.Module):
    """A convolution of 3x3, stride 1 and padding 1, for inference in float32 on a CPU.

    Args:
        conv: what it stands for; its weights are kept transformed, four times as many.
    """

    kernels: Tensor
    """``(36, in_channels, out_channels)``."""
    bias: Tensor | None
    into_tiles: Tensor
    """``(36, 36)``, on flattened tiles."""
    from_tiles: Tensor
    """``(16, 36)``."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.in_channels, self.out_channels = conv.in_channels, conv.out_channels
        kernel, left, right = (torch.tensor(m, dtype=torch.float64) for m in (KERNEL, INPUT, OUTPUT))
        kernels = torch.einsum("xi,yj,ocij->xyco", kernel, kernel, conv.weight.detach().double())
        self.register_buffer("kernels", kernels.flatten(0, 1).float().contiguous(), persistent=False)
        self.register_buffer("bias", None if conv.bias is None else conv.bias.detach().clone(), persistent=False)
        self.register_buffer("into_tiles", torch.kron(left, left).float(), persistent=False)
        self.register_buffer("from_tiles", torch.kron(right, right).float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` -> ``(N, out_channels, H, W)`` in channels-last order."""
        height, width = x.shape[-2:]
        rows, columns = -(-height // STEP), -(-width // STEP)
        margins = (0, 0, 1, columns * STEP - width + 1, 1, rows * STEP - height + 1)
        padded = F.pad(x.permute(0, 2, 3, 1), margins)
        tiles = padded.unfold(1, TILE, STEP).unfold(2, TILE, STEP).permute(4, 5, 0, 1, 2, 3)
        out = x.new_empty(len(x), rows, STEP, columns, STEP, self.out_channels)
        items, lines = max(1, MAX_TILES // (rows * columns)), max(1, MAX_TILES // columns)
        for i in range(0, len(x), items):
            for j in range(0, rows, lines):
                part = tiles[:, :, i : i + items, j : j + lines]
                out[i : i + items, j : j + lines] = self._products(part).permute(2, 3, 0, 4, 1, 5)
        out = out.view(len(x), rows * STEP, columns * STEP, self.out_channels)[:, :height, :width]
        return out.permute(0, 3, 1, 2)

    def _products(self, tiles: Tensor) -> Tensor:
        """Tiles ``(6, 6, N, rows, columns, in_channels)`` -> ``(4, 4, N, rows, columns, out_channels)``."""
        places = tiles.shape[2:5]
        spectrum = (self.into_tiles @ tiles.reshape(TILE * TILE, -1)).view(TILE * TILE, -1, self.in_channels)
        product = torch.bmm(spectrum, self.kernels)
        out = (self.from_tiles @ product.view(TILE * TILE, -1)).view(STEP, STEP, *places, self.out_channels)
        return out if self.bias is None else out.add_(self.bias)


def fits(module: nn.Module) -> bool:
    """Whether a layer is a plain convolution of 3x3 that is wide enough."""
    if type(module) is not nn.Conv2d or min(module.in_channels, module.out_channels) < MIN_CHANNELS:
        return False
    plain: tuple[Any, ...] = (module.kernel_size, module.stride, module.padding, module.dilation, module.groups)
    return plain == ((3, 3), (1, 1), (1, 1), (1, 1), 1) and module.padding_mode == "zeros"


def accelerate(network: nn.Module) -> int:
    """Replace the convolutions that fit, for inference on a CPU only; how many there were.

    The network's ``state_dict`` then lacks their weights: save it before.
    """
    found = [(name, module) for name, module in network.named_modules() if fits(module)]
    for name, module in found:
        parent, _, last = name.rpartition(".")
        setattr(network.get_submodule(parent), last, WinogradConv2d(module))
    return len(found)
