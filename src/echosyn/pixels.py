"""Between pixels (uint8) and what a VAE sees (about [-1, 1]), and where pixels move. A model folder says its convention."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from echosyn.errors import ModelError

Name = Literal["published", "symmetric"]


@dataclass(frozen=True)
class PixelConvention:
    """``to_model(x) = x / scale - 1`` and its inverse, clamped to 0..255."""

    name: Name
    scale: float
    rounds: bool
    """Round to the nearest grey level on the way back; the published code truncates."""

    def to_model(self, pixels: Tensor) -> Tensor:
        """Uint8 of any shape -> float32 of the same shape."""
        if pixels.dtype != torch.uint8:
            raise TypeError(f"expected uint8 pixels, got {pixels.dtype}")
        return pixels.float() / self.scale - 1.0

    def to_pixels(self, values: Tensor) -> Tensor:
        """Float of any shape -> uint8 of the same shape."""
        scaled = (values.float() + 1.0) * self.scale
        return (scaled.round() if self.rounds else scaled).clamp(0, 255).to(torch.uint8)


CONVENTIONS: dict[str, PixelConvention] = {
    "published": PixelConvention("published", 128.0, rounds=False),
    "symmetric": PixelConvention("symmetric", 127.5, rounds=True),
}
"""``published`` belongs to the weights of EchoNet-Synthetic; ``symmetric`` is exactly invertible and ours."""


def convention(name: str) -> PixelConvention:
    """Look a convention up by name; an unknown one is a `ModelError`."""
    if name not in CONVENTIONS:
        raise ModelError(f"pixel convention {name!r} is unknown, expected one of {', '.join(CONVENTIONS)}")
    return CONVENTIONS[name]


def moved(
    frame: Tensor, *, shift: tuple[float, float] = (0.0, 0.0), degrees: float = 0.0, scale: float = 1.0
) -> Tensor:
    """Float frames ``(..., H, W)`` resampled bilinearly, all alike: moved, rotated and magnified about the centre; zero comes in.

    Args:
        frame: Any size; rotations keep angles on square frames.
        shift: Rightwards and downwards, as shares of the side.
        degrees: Clockwise.
        scale: Share of the side that fills the new frame; below 1 magnifies.
    """
    if shift == (0.0, 0.0) and degrees == 0.0 and scale == 1.0:
        return frame
    # the grid says where each new pixel comes from, in -1..1
    cos, sin = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    dx, dy = -2 * shift[0], -2 * shift[1]
    matrix = torch.tensor([[cos, sin, cos * dx + sin * dy], [-sin, cos, -sin * dx + cos * dy]])
    planes = frame.reshape(1, -1, *frame.shape[-2:])
    grid = affine_grid(matrix[None], list(planes.shape), align_corners=False)
    return grid_sample(planes, grid, align_corners=False).reshape(frame.shape)
