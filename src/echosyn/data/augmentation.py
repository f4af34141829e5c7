"""Changes of a frame that an echo machine or its operator could have made: same heart, other picture."""

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from echosyn.config import Settings
from echosyn.pixels import moved


class Augmentation(Settings):
    """The largest changes; every item draws its own between none and these."""

    gain: float = Field(0.3, ge=0, lt=1)
    """Grey levels times ``1 - gain .. 1 + gain``."""
    shift: float = Field(0.05, ge=0, lt=0.5)
    """Translation along each axis, as a share of the side."""
    rotation: float = Field(7.0, ge=0, le=180)
    """Rotation about the centre in degrees, either way."""
    crop: float = Field(0.08, ge=0, lt=0.9)
    """Share of the side that is cut away before the rest is scaled to the old size."""
    speckle: float = Field(0.1, ge=0)
    """Standard deviation of noise that multiplies the grey levels."""
    noise: float = Field(0.15, ge=0)
    """Standard deviation of added noise, as a share of the frame's root mean square."""


def augmented(frame: Tensor, largest: Augmentation, draws: np.random.Generator) -> Tensor:
    """A changed copy of a grey frame, uint8 ``(H, W)``; black comes in at the borders."""
    # every change is drawn, whether it is used or not: switching one off leaves the others as they are
    gain, shift_x, shift_y, turn = (draws.uniform(-1, 1) for _ in range(4))
    cut, grain, hiss = (draws.random() for _ in range(3))
    noise = torch.from_numpy(draws.standard_normal((2, *frame.shape), dtype=np.float32))
    x = moved(
        frame.float(),
        shift=(largest.shift * shift_x, largest.shift * shift_y),
        degrees=largest.rotation * turn,
        scale=1 - largest.crop * cut,
    )
    x = x * (1 + largest.gain * gain)
    rms = x.square().mean().sqrt()
    x = x * (1 + largest.speckle * grain * noise[0]) + largest.noise * hiss * rms * noise[1]
    return x.round().clamp(0, 255).to(torch.uint8)
