"""From noise to latents: the sampling loop, and the solvers that it steps with, which are diffusers' schedulers by name."""

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    HeunDiscreteScheduler,
    UniPCMultistepScheduler,
)
from torch import Tensor

from echosyn.config import near_miss
from echosyn.diffusion.denoiser import Denoiser
from echosyn.diffusion.objective import is_flow
from echosyn.errors import ConfigError

SOLVERS = ("ddpm", "ddim", "dpm++", "unipc", "heun", "euler")
"""Names on the command line. All but ``ddpm`` are deterministic; ``heun`` asks the network twice a step, the last aside."""

DPM = {"algorithm_type": "dpmsolver++", "solver_type": "midpoint", "solver_order": 2, "final_sigmas_type": "zero"}
UNIPC = {"solver_type": "bh2", "solver_order": 2, "final_sigmas_type": "zero"}
TRAILING = {"timestep_spacing": "trailing"}
"""The first step begins at pure noise, however few there are (Lin et al. 2024, table 2); so does training's last time."""

DIFFUSION: dict[str, tuple[type[Any], Mapping[str, Any]]] = {
    "ddpm": (DDPMScheduler, TRAILING),
    "ddim": (DPMSolverMultistepScheduler, TRAILING | DPM | {"solver_order": 1}),
    "dpm++": (DPMSolverMultistepScheduler, TRAILING | DPM),
    "unipc": (UniPCMultistepScheduler, TRAILING | UNIPC),
    "heun": (HeunDiscreteScheduler, TRAILING),
    "euler": (EulerDiscreteScheduler, TRAILING | {"final_sigmas_type": "zero"}),
}
"""For diffusions: Ho et al. 2020, Song et al. 2021, Lu et al. 2022, Zhao et al. 2023, Karras et al. 2022 (the last two).

DDIM is DPM-Solver++ of order 1. diffusers' class of that name steps by ``1000 // steps`` between times that lie
``1000 / steps`` apart, so that more steps would not always be better.
"""

CLIP = ("clip_sample", "clip_sample_range")
"""Kept in every config; `clipped` obeys them where diffusers' class does not."""

FLOW_SIGMAS = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}
FLOW: dict[str, tuple[type[Any], Mapping[str, Any]]] = {
    "dpm++": (DPMSolverMultistepScheduler, DPM | FLOW_SIGMAS),
    "unipc": (UniPCMultistepScheduler, UNIPC | FLOW_SIGMAS),
    "heun": (FlowMatchHeunDiscreteScheduler, {}),
    "euler": (FlowMatchEulerDiscreteScheduler, {}),
}
"""For networks that predict the velocity of a flow."""

CLASSES: dict[str, type[Any]] = {name: kind for name, (kind, _) in DIFFUSION.items()} | {"ddim": DDIMScheduler}

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


def solver(own: Any, name: str | None) -> Any:
    """A scheduler that solves with ``name`` what the model's ``own`` scheduler describes.

    Betas (or the flow's shift), prediction type and clip range are the model's. Where the model's own scheduler is of the
    wanted class it is returned as it is, with its own time steps (the published ones start at 1000 - 1000 / steps).

    Args:
        own: the scheduler in the model folder.
        name: one of `SOLVERS`; ``None`` for the model's own.

    Raises:
        ConfigError: an unknown name, or a solver that cannot integrate this model.
    """
    if name is None:
        return own
    if name not in SOLVERS:
        raise ConfigError(f"--scheduler {name}: unknown{near_miss(name, list(SOLVERS))}")
    table = FLOW if is_flow(own) else DIFFUSION
    if name not in table:
        raise ConfigError(f"--scheduler {name}: this model was trained as a flow; expected one of {', '.join(table)}")
    kind, settings = table[name]
    if type(own) is (kind if is_flow(own) else CLASSES[name]):
        return own
    # not kind.from_config(own.config): it turns the old class's defaults into the new one's, another beta_start perhaps
    shift = own.config.get("shift", own.config.get("flow_shift"))
    told = dict(own.config) | ({"flow_shift": shift, "shift": shift} if is_flow(own) else {}) | dict(settings)
    try:
        made = kind(**{key: value for key, value in told.items() if key in kind._get_init_keys(kind)})
    except (NotImplementedError, ValueError, KeyError) as error:
        raise _unable(name, str(error)) from error
    if not is_flow(own):
        _check_same_diffusion(own, made, name)
        made.register_to_config(**{key: own.config[key] for key in CLIP if key in own.config})
    return made


def checked_steps(steps: int, scheduler: Any) -> int:
    """``steps`` if the scheduler can take so many.

    Raises:
        ConfigError: fewer than one, or more than the times that the network was trained at.
    """
    most = int(scheduler.config.num_train_timesteps)
    if not 1 <= steps <= most:
        raise ConfigError(f"--steps {steps}: expected 1 to {most}")
    return steps


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


def _check_same_diffusion(own: Any, made: Any, name: str) -> None:
    """Classes of diffusers ignore what they do not know: a setting that changes the noise must not get lost."""
    if made.config.prediction_type == "sample" and name == "heun":
        raise _unable(name, "its network predicts samples")
    if not torch.allclose(made.alphas_cumprod, own.alphas_cumprod, atol=1e-6):
        raise _unable(name, "diffusers' class does not know its noise schedule")


def _unable(name: str, reason: str) -> ConfigError:
    first = reason.splitlines()[0] if reason else "unknown reason"
    return ConfigError(f"--scheduler {name}: cannot solve this model ({first}); expected another, such as ddim")


def _between(values: Tensor, place: float) -> float:
    """Linear interpolation, as of schedulers whose time steps are no whole numbers."""
    below = min(int(place), len(values) - 2)
    low, high = float(values[below]), float(values[below + 1])
    return low + (high - low) * (place - below)
