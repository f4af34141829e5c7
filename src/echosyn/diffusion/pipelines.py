"""The two samplers as diffusers pipelines: one invents a heart, the other makes it beat."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from diffusers import DiffusionPipeline
from diffusers.utils import BaseOutput
from torch import Tensor

from echosyn.diffusion.codec import LatentCodec
from echosyn.diffusion.conditions import EF, Condition, Schema
from echosyn.diffusion.denoiser import needs_course, predict
from echosyn.diffusion.guidance import guided
from echosyn.diffusion.rhythm import Rhythm
from echosyn.diffusion.samplers import Generators, sample
from echosyn.diffusion.windows import BLENDS, Blend, stitched
from echosyn.errors import ConfigError

OutputType = Literal["latent", "pixel"]


@dataclass
class LatentPipelineOutput(BaseOutput):  # type: ignore[misc]
    """Scaled latents ``(B, C, T, H, W)`` and, for ``output_type="pixel"``, uint8 videos ``(B, T, H, W, channels)``."""

    latents: Tensor
    videos: Tensor | None = None


class LatentImagePipeline(DiffusionPipeline):  # type: ignore[misc]
    """Invents still hearts: noise -> latents ``(B, C, 1, H, W)``.

    Args:
        vae: ``AutoencoderKL``, used for pixels only.
        unet: the denoising network (LIDM).
        scheduler: a diffusers scheduler.
        pixels: the VAE's pixel convention.
    """

    def __init__(self, vae: Any, unet: Any, scheduler: Any, pixels: str = "published") -> None:
        super().__init__()
        self.register_modules(vae=vae, unet=unet, scheduler=scheduler)
        self.register_to_config(pixels=pixels)

    @torch.no_grad()
    def __call__(
        self,
        batch_size: int = 1,
        num_inference_steps: int = 64,
        generator: Generators = None,
        latents: Tensor | None = None,
        output_type: OutputType = "latent",
        on_step: Callable[[int, int], None] | None = None,
    ) -> LatentPipelineOutput:
        """Sample ``batch_size`` hearts, or as many as there are in ``latents``.

        Args:
            batch_size: how many, if ``latents`` are not given.
            num_inference_steps: scheduler steps.
            generator: one, or one per item for results that do not depend on the batch.
            latents: starting noise ``(B, C, H, W)`` or ``(B, C, 1, H, W)``.
            output_type: ``"latent"`` or ``"pixel"``.
            on_step: told ``(done, total)`` after each step.
        """
        config = self.unet.config
        size = sample_size(config)
        noise = _noise(latents, (config.out_channels, 1, *size), batch_size, generator)
        denoise = _bind(self.unet, None, None, None)
        x = sample(denoise, noise.to(self.device), self.scheduler, num_inference_steps, generator, on_step)
        return _output(x, self.vae, self.config.pixels, output_type)


class LatentVideoPipeline(DiffusionPipeline):  # type: ignore[misc]
    """Makes still hearts beat with a requested ejection fraction.

    Args:
        vae: ``AutoencoderKL``, used for pixels only.
        unet: the denoising network (LVDM); sees noisy latents and, repeated over time, the still heart.
        scheduler: a diffusers scheduler.
        pixels: the VAE's pixel convention.
        fps: frame rate the network was trained at; what its videos must be written with.
        guidance: whether the network was trained with dropped conditions, so that ``guidance_scale`` means something.
        conditions: what it was told in training, as mappings of `Condition`'s settings; default its EF.
    """

    def __init__(
        self,
        vae: Any,
        unet: Any,
        scheduler: Any,
        pixels: str = "published",
        fps: float = 32.0,
        guidance: bool = False,
        conditions: Sequence[Mapping[str, Any]] = (EF.model_dump(mode="json", exclude_defaults=True),),
    ) -> None:
        super().__init__()
        self.register_modules(vae=vae, unet=unet, scheduler=scheduler)
        self.register_to_config(pixels=pixels, fps=fps, guidance=guidance, conditions=[dict(c) for c in conditions])
        self.texture: Any = None
        """What is laid on the decoded videos by whoever writes them (`echosyn.texture`)."""

    @torch.no_grad()
    def __call__(
        self,
        conditioning: Tensor,
        ef: Tensor | list[float],
        num_frames: int | None = None,
        num_inference_steps: int = 64,
        guidance_scale: float = 1.0,
        generator: Generators = None,
        latents: Tensor | None = None,
        output_type: OutputType = "latent",
        hop: int | None = None,
        on_step: Callable[[int, int], None] | None = None,
        conditions: Mapping[str, Any] | None = None,
        blend: Blend = "cut",
    ) -> LatentPipelineOutput:
        """Animate stills.

        Args:
            conditioning: scaled latent stills ``(B, C, H, W)`` or ``(B, C, 1, H, W)``.
            ef: requested ejection fraction in percent, ``(B,)``.
            num_frames: length of the videos; longer than the network's window is stitched. Default: the window.
            num_inference_steps: scheduler steps.
            guidance_scale: 1 is plain, more exaggerates the EF (needs a network trained with EF drop-out).
            generator: one, or one per item for results that do not depend on the batch.
            latents: starting noise ``(B, C, T, H, W)``.
            output_type: ``"latent"`` or ``"pixel"``.
            hop: frames between windows, at most a window; default half a window, as published.
            on_step: told ``(done, total)`` after each step.
            conditions: further conditions of the network by name, one value for all stills or one for each.
            blend: how windows become one video; default as published.

        Raises:
            ConfigError: the number of EFs is not that of the stills, an EF is outside 0..100, a condition is unknown or
                missing, guidance is asked of a network that cannot do without its conditions, or windows are impossible.
        """
        stills = conditioning.squeeze(2) if conditioning.ndim == 5 else conditioning
        schema = Schema([Condition.model_validate(c) for c in self.config.conditions])
        values = schema.requested({**(conditions or {}), "ef": ef}, len(stills))
        if guidance_scale != 1.0 and not self.config.guidance:
            raise ConfigError(
                f"--guidance {guidance_scale}: this video model was not trained without its EF; expected 1, or a model "
                "trained with drop_conditions > 0"
            )
        window = int(self.unet.config.num_frames)
        hop = checked_hop(window, hop, blend)
        shape = (self.unet.config.out_channels, num_frames or window, *stills.shape[-2:])
        noise = _noise(latents, shape, len(stills), generator)
        stills = stills.to(self.device)
        conditional, unconditional = (
            _bind(self.unet, stills, *(part.to(self.device) for part in schema.encode(values, kept)))
            for kept in (None, torch.zeros(len(stills), len(schema.conditions), dtype=torch.bool))
        )
        denoise = guided(conditional, unconditional, guidance_scale)
        courses = _courses(self.unet, generator, noise.shape[2], self.config.fps, len(stills))
        per_frame = [] if courses is None else [courses.to(self.device)]
        denoise = stitched(denoise, window, hop, *per_frame, blend=blend)
        x = sample(denoise, noise.to(self.device), self.scheduler, num_inference_steps, generator, on_step)
        return _output(x, self.vae, self.config.pixels, output_type)


def checked_hop(window: int, hop: int | None, blend: Blend) -> int:
    """Frames between windows: as given, or half a window.

    Raises:
        ConfigError: there is no such window or blend, or a hop that has no effect was given.
    """
    if blend not in BLENDS:
        raise ConfigError(f"--blend {blend}: expected one of {', '.join(BLENDS)}")
    if hop is not None and blend == "alternate":
        raise ConfigError(
            f"--hop {hop} has no effect with --blend alternate, whose windows do not overlap: leave it out"
        )
    if hop is not None and not 1 <= hop <= window:
        raise ConfigError(f"--hop {hop}: expected 1 to {window}, the frames of the network's window")
    return hop or max(1, window // 2)


def sample_size(config: Any) -> tuple[int, int]:
    """Height and width of a network's latents."""
    size = config.sample_size
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def _bind(
    network: Any, stills: Tensor | None, conditions: Tensor | None, given: Tensor | None
) -> Callable[..., Tensor]:
    def denoise(x_t: Tensor, t: Tensor, course: Tensor | None = None) -> Tensor:
        return predict(network, x_t, t, stills, conditions, given, course)

    return denoise


def _courses(network: Any, generator: Generators, num_frames: int, fps: float, count: int) -> Tensor | None:
    """When each heart contracts ``(B, T)``, for a network that is told: drawn from the beats that it has learned."""
    if not needs_course(network):
        return None
    beats = Rhythm.from_array(network.beats.double().cpu().numpy())
    each = generator if isinstance(generator, list) else [generator] * count
    seeds = [int(torch.randint(2**62, (), generator=g)) for g in each]
    return torch.from_numpy(np.stack([beats.draw(np.random.default_rng(s), num_frames, fps) for s in seeds])).float()


def _noise(given: Tensor | None, shape: tuple[int, ...], count: int, generator: Generators) -> Tensor:
    if given is not None:
        return given.unsqueeze(2) if given.ndim == 4 else given
    each = generator if isinstance(generator, list) else [generator] * count
    return torch.stack([torch.randn(shape, generator=g) for g in each])


def _output(latents: Tensor, vae: Any, pixels: str, output_type: OutputType) -> LatentPipelineOutput:
    if output_type == "latent":
        return LatentPipelineOutput(latents=latents)
    return LatentPipelineOutput(latents=latents, videos=LatentCodec(vae, pixels).decode_videos(latents))
