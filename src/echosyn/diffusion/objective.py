"""What a denoiser is trained on: noising, target, and the loss over the frames that exist."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from diffusers import DDPMScheduler
from torch import Tensor

Call = Callable[[Tensor, Tensor, Sequence[int]], Tensor]
"""``(x_t, t, rows) -> prediction`` for those rows of some items."""


def is_flow(scheduler: Any) -> bool:
    """Whether a scheduler integrates a flow (rectified flow) rather than reversing a diffusion with betas."""
    return "FlowMatch" in type(scheduler).__name__ or scheduler.config.get("prediction_type") == "flow_prediction"


def times(uniform: Tensor, normal: Tensor, scheduler: Any, distribution: str = "uniform", shift: float = 1.0) -> Tensor:
    """Training timesteps ``(B,)`` in 0..1000.

    Args:
        uniform: ``(B,)`` in [0, 1), used by ``distribution="uniform"``.
        normal: ``(B,)`` standard normal, used by ``"logit_normal"`` (Esser et al. 2024, eq. 19 with m = 0, s = 1).
        scheduler: decides between whole timesteps (diffusion) and continuous ones (flow).
        distribution: ``"uniform"`` or ``"logit_normal"``.
        shift: moves flow times towards noise, ``s t / (1 + (s - 1) t)`` (Esser et al. 2024, eq. 23).
    """
    t = uniform if distribution == "uniform" else torch.sigmoid(normal)
    num = int(scheduler.config.num_train_timesteps)
    if is_flow(scheduler):
        return (num * shift * t / (1 + (shift - 1) * t)).clamp(max=num)  # rounding may pass the end
    return (t * num).long().clamp(max=num - 1)


def noised(x0: Tensor, eps: Tensor, t: Tensor, scheduler: Any) -> tuple[Tensor, Tensor]:
    """Noisy latents at time ``t`` and the target there, both shaped like ``x0``.

    Flow: ``x_t = (1 - t) x0 + t eps``, target ``eps - x0`` (Liu et al. 2022, rectified flow; t = timestep / 1000).
    Diffusion: ``x_t = alpha x0 + sigma eps`` with target by ``prediction_type``: ``epsilon`` (Ho et al. 2020), ``sample``
    or ``v_prediction``, ``alpha eps - sigma x0`` (Salimans & Ho 2022, appendix D).
    """
    if is_flow(scheduler):
        s = (t / scheduler.config.num_train_timesteps).view(-1, *[1] * (x0.ndim - 1)).to(x0.dtype)
        return (1 - s) * x0 + s * eps, eps - x0
    diffusion = DDPMScheduler.from_config(scheduler.config)
    x_t = diffusion.add_noise(x0, eps, t)
    match scheduler.config.prediction_type:
        case "epsilon":
            return x_t, eps
        case "sample":
            return x_t, x0
        case "v_prediction":
            return x_t, diffusion.get_velocity(x0, eps, t)
        case other:
            raise ValueError(f"prediction_type {other!r} cannot be trained on")


def time_weight(t: Tensor, scheduler: Any, detail_time: float) -> Tensor:
    """Weights ``(B,)`` of a velocity's squared error at times ``t``: ``min(1, t / detail_time)^2``; 1 for a diffusion.

    The error of the clean latents is ``t`` times that of the velocity; without a bound, times near 0 would ask for the last
    of the speckle as loudly as later ones ask for motion.
    """
    if detail_time == 0 or not is_flow(scheduler):
        return torch.ones_like(t, dtype=torch.float32)
    share: Tensor = t / scheduler.config.num_train_timesteps / detail_time
    return share.clamp(max=1).square()


def masked_mse(prediction: Tensor, target: Tensor, mask: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean squared error over the frames that exist: ``(B, C, T, H, W)`` with ``mask`` ``(B, T)`` of 0 and 1.

    The mean is over the unmasked elements, so a short clip weighs by its frames and padding changes nothing; ``weight``
    ``(B,)`` scales the items' errors.
    """
    error = (prediction.float() - target.float()).square().mean(dim=(1, 3, 4))
    if weight is not None:
        error = error * weight.to(error).unsqueeze(1)
    return (error * mask).sum() / mask.sum().clamp(min=1)


def errors_of(
    call: Call, scheduler: Any, device: torch.device
) -> Callable[[Tensor, Tensor, float, Sequence[int]], Tensor]:
    """``(x0 (n, ...), eps, time 0..1, rows) -> (n,)``: the mean squared error of a denoiser's predictions, on the CPU."""

    def errors(x0: Tensor, eps: Tensor, share: float, rows: Sequence[int]) -> Tensor:
        x0, eps = x0.to(device), eps.to(device)
        t = same_time(x0, share, scheduler)
        x_t, target = noised(x0, eps, t, scheduler)
        return (call(x_t, t, rows) - target).square().flatten(1).mean(dim=1).cpu()

    return errors


def same_time(x0: Tensor, share: float, scheduler: Any) -> Tensor:
    """Timesteps ``(n,)``, all at one share of the way to noise."""
    return times(torch.full((len(x0),), share), torch.zeros(len(x0)), scheduler).to(x0.device)
