"""From noise to latents with any of diffusers' schedulers."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from echosyn.diffusion.denoiser import Denoiser

Generators = torch.Generator | list[torch.Generator] | None


@torch.no_grad()
def sample(
    denoise: Denoiser,
    noise: Tensor,
    scheduler: Any,
    num_inference_steps: int,
    generator: Generators = None,
    on_step: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Integrate from ``noise`` to a sample; the scheduler is copied, so calls do not influence one another.

    Args:
        denoise: conditions bound; called once a scheduler step (twice by second-order schedulers).
        noise: standard normal, ``(B, C, T, H, W)``.
        scheduler: a diffusers scheduler; its ``prediction_type`` must be what the network predicts.
        num_inference_steps: how many steps to take.
        generator: for stochastic schedulers, one per item for results that do not depend on the batch.
        on_step: told ``(done, total)`` after each step; may raise to stop.
    """
    scheduler = type(scheduler).from_config(scheduler.config)
    scheduler.set_timesteps(num_inference_steps)
    extra = {"generator": generator} if "generator" in inspect.signature(scheduler.step).parameters else {}
    x = noise * float(getattr(scheduler, "init_noise_sigma", 1.0))
    for i, t in enumerate(scheduler.timesteps):
        scaled = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        x = scheduler.step(denoise(scaled, t), t, x, **extra).prev_sample
        if on_step is not None:
            on_step(i + 1, len(scheduler.timesteps))
    return x
