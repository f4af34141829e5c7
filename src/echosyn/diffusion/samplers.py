"""From noise to latents with any of diffusers' schedulers."""

import copy
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
        num_inference_steps: how many steps to take, from 1.
        generator: for stochastic schedulers, one per item for results that do not depend on the batch.
        on_step: told ``(done, total)`` after each step; may raise to stop.
    """
    scheduler = copy.deepcopy(scheduler)
    scheduler.set_timesteps(num_inference_steps)
    denoise = clipped(denoise, scheduler)
    extra = {"generator": generator} if "generator" in inspect.signature(scheduler.step).parameters else {}
    x = noise * float(getattr(scheduler, "init_noise_sigma", 1.0))
    for i, t in enumerate(scheduler.timesteps):
        scaled = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        x = scheduler.step(denoise(scaled, t), t, x, **extra).prev_sample
        if on_step is not None:
            on_step(i + 1, len(scheduler.timesteps))
    return x


def clipped(denoise: Denoiser, scheduler: Any) -> Denoiser:
    """Bound what the network takes for the clean latents, where the scheduler is told to but its class cannot.

    diffusers' DDPM, DDIM and Heun obey ``clip_sample`` themselves; the others keep it in their config and ignore it.
    """
    config = scheduler.config
    itself = "clip_sample" in inspect.signature(type(scheduler).__init__).parameters
    if itself or not config.get("clip_sample", False) or not hasattr(scheduler, "alphas_cumprod"):
        return denoise
    limit, kind = float(config.get("clip_sample_range", 1.0)), str(config.prediction_type)
    ratios = ((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod).sqrt().double()

    def bounded(x_t: Tensor, t: Tensor) -> Tensor:
        prediction = denoise(x_t, t)
        ratio = _between(ratios, float(t))
        alpha, sigma = 1 / (1 + ratio**2) ** 0.5, ratio / (1 + ratio**2) ** 0.5
        match kind:
            case "epsilon":
                x0: Tensor = ((x_t - sigma * prediction) / alpha).clamp(-limit, limit)
                epsilon: Tensor = (x_t - alpha * x0) / sigma
                return epsilon
            case "v_prediction":
                x0 = alpha * x_t - sigma * prediction
                velocity: Tensor = prediction + (x0 - x0.clamp(-limit, limit)) / sigma
                return velocity
            case _:
                return prediction.clamp(-limit, limit)

    return bounded


def _between(values: Tensor, place: float) -> float:
    """Linear interpolation, as of schedulers whose time steps are no whole numbers."""
    below = min(int(place), len(values) - 2)
    low, high = float(values[below]), float(values[below + 1])
    return low + (high - low) * (place - below)
