"""Between uint8 frames and scaled latents: the one place where the VAE's scale and pixel convention are applied."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from echosyn.errors import ModelError
from echosyn.memory import Fitting
from echosyn.pixels import PixelConvention, convention

DOWNSAMPLING = 8
"""Pixels of a frame for each one of its latent, in both directions."""
ON_CPU, ELSEWHERE = 8, 64
"""Frames through the VAE at once; on a CPU more of them only leave its cache."""


class LatentCodec:
    """A VAE with its pixel convention.

    Args:
        vae: diffusers' ``AutoencoderKL``; its config holds ``scaling_factor`` (and perhaps ``shift_factor``).
        pixels: how its weights see grey levels.
        batch_size: frames that go through the VAE at once; default `ON_CPU` or `ELSEWHERE`. A GPU takes fewer where its
            memory is too small.
    """

    def __init__(self, vae: Any, pixels: PixelConvention | str = "published", batch_size: int | None = None) -> None:
        self.vae = vae
        self.pixels = convention(pixels) if isinstance(pixels, str) else pixels
        on_cpu = self.device.type == "cpu"
        self.batches = Fitting(batch_size or (ON_CPU if on_cpu else ELSEWHERE), "frames", fixed=on_cpu)
        self.scale = float(vae.config.scaling_factor)
        self.shift = float(getattr(vae.config, "shift_factor", None) or 0.0)
        if not self.scale > 0:
            raise ModelError(f"the VAE's scaling_factor is {self.scale}, expected a positive number")

    @property
    def device(self) -> torch.device:
        """Where the VAE computes."""
        device: torch.device = next(self.vae.parameters()).device
        return device

    def latent_shape(self, size: Sequence[int]) -> tuple[int, ...]:
        """``(C, h, w)`` of the latent of a frame of this height and width."""
        return int(self.vae.config.latent_channels), *(pixels // DOWNSAMPLING for pixels in size)

    def to_input(self, frames: Tensor) -> Tensor:
        """Uint8 grey ``(N, H, W)`` -> what the VAE sees, ``(N, channels, H, W)`` float32."""
        grey = self.pixels.to_model(frames.to(self.device)).unsqueeze(1)
        return grey.expand(-1, int(self.vae.config.in_channels), -1, -1)

    @torch.no_grad()
    def encode(self, frames: Tensor, noise: Tensor | None = None) -> Tensor:
        """Uint8 grey frames ``(N, H, W)`` -> scaled latents ``(N, C, h, w)`` on the CPU.

        Args:
            frames: pixels; height and width multiples of the VAE's downsampling.
            noise: standard normal ``(N, C, h, w)`` to draw one posterior sample a frame; without it, the posterior mean.
        """

        def some(places: Sequence[int]) -> Tensor:
            of = slice(places[0], places[-1] + 1)
            posterior = self.vae.encode(self.to_input(frames[of])).latent_dist
            z = posterior.mean
            if noise is not None:
                z = z + posterior.std * noise[of].to(z)
            latents: Tensor = ((z - self.shift) * self.scale).cpu()
            return latents

        return torch.cat(self.batches.over(some, range(len(frames))))

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents ``(N, C, h, w)`` -> uint8 frames ``(N, H, W, channels)`` on the CPU."""

        def some(places: Sequence[int]) -> Tensor:
            z = latents[places[0] : places[-1] + 1].to(self.device) / self.scale + self.shift
            return self.pixels.to_pixels(self.vae.decode(z).sample).permute(0, 2, 3, 1).cpu()

        return torch.cat(self.batches.over(some, range(len(latents))))

    def reconstruct(self, frames: Tensor) -> Tensor:
        """Uint8 grey frames ``(N, H, W)`` through the VAE and back, grey again: from the posterior's mean."""
        return grey(self.decode(self.encode(frames)))

    def decode_videos(self, latents: Tensor) -> Tensor:
        """Scaled latents ``(B, C, T, h, w)`` -> uint8 videos ``(B, T, H, W, channels)`` on the CPU."""
        batch, _, num_frames = latents.shape[:3]
        frames = self.decode(latents.transpose(1, 2).flatten(0, 1))
        return frames.reshape(batch, num_frames, *frames.shape[1:])


def grey(frames: Tensor) -> Tensor:
    """Uint8 frames ``(..., channels)`` -> ``(...)``: the mean over channels, truncated as published."""
    if frames.shape[-1] == 1:
        return frames[..., 0]
    return frames.float().mean(dim=-1).to(torch.uint8)


def check_frames(sizes: Sequence[int], factor: int = DOWNSAMPLING) -> None:
    """Raise `ModelError` unless height and width divide by the VAE's downsampling."""
    if any(size % factor for size in sizes):
        raise ModelError(
            f"frames of {sizes[0]}x{sizes[1]}: sides are not divisible by {factor}; import the videos at 112x112"
        )
