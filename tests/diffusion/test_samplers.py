"""The exact denoiser of a Gaussian needs no training and has a known answer."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    HeunDiscreteScheduler,
)
from torch import Tensor

from echosyn import rng
from echosyn.diffusion.denoiser import Denoiser
from echosyn.diffusion.samplers import sample

MEAN, STD = 0.5, 0.7
DDIM = DDIMScheduler(
    prediction_type="v_prediction", beta_start=1e-4, beta_end=0.02, clip_sample=False, timestep_spacing="trailing"
)
FLOW = FlowMatchEulerDiscreteScheduler()


def ddim_denoiser(scheduler: Any) -> Denoiser:
    """The best v-prediction for data N(MEAN, STD^2)."""

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        alpha, sigma = scheduler.alphas_cumprod[int(t)] ** 0.5, (1 - scheduler.alphas_cumprod[int(t)]) ** 0.5
        x0 = MEAN + alpha * STD**2 * (x_t - alpha * MEAN) / (alpha**2 * STD**2 + sigma**2)
        return alpha * (x_t - alpha * x0) / sigma - sigma * x0

    return denoise


def flow_denoiser(x_t: Tensor, t: Tensor) -> Tensor:
    """The best velocity for data N(MEAN, STD^2)."""
    s = t / 1000
    x0 = MEAN + (1 - s) * STD**2 * (x_t - (1 - s) * MEAN) / ((1 - s) ** 2 * STD**2 + s**2)
    return (x_t - (1 - s) * x0) / s - x0


def ddim_answer(noise: Tensor) -> Tensor:
    """Where the deterministic trajectory from the last timestep ends: the same quantile of the data."""
    alpha, sigma = DDIM.alphas_cumprod[-1] ** 0.5, (1 - DDIM.alphas_cumprod[-1]) ** 0.5
    return MEAN + STD * (noise - alpha * MEAN) / (alpha**2 * STD**2 + sigma**2) ** 0.5


def flow_answer(noise: Tensor) -> Tensor:
    return MEAN + STD * noise


CASES: dict[str, tuple[Denoiser, Any, Callable[[Tensor], Tensor]]] = {
    "ddim": (ddim_denoiser(DDIM), DDIM, ddim_answer),
    "flow": (flow_denoiser, FLOW, flow_answer),
}


@pytest.fixture(scope="module")
def noise() -> Tensor:
    return rng.normal((1, 1, 4, 4), 0, "sampler", range(16))


@pytest.mark.parametrize("case", CASES)
def test_the_error_halves_as_the_steps_double(case: str, noise: Tensor) -> None:
    denoise, scheduler, answer = CASES[case]
    errors = [float((sample(denoise, noise, scheduler, n) - answer(noise)).abs().mean()) for n in (25, 50, 100)]
    assert errors[0] < 0.1
    assert all(0.35 < b / a < 0.65 for a, b in pairwise(errors)), errors


def test_a_stochastic_sampler_draws_from_the_data():
    scheduler = DDPMScheduler(prediction_type="v_prediction", clip_sample=False)
    noise = rng.normal((1, 1, 8, 8), 0, "sampler", range(64))
    generators = rng.generators(0, "steps", range(64))
    x = sample(ddim_denoiser(scheduler), noise, scheduler, 100, generators)
    assert float(x.mean()) == pytest.approx(MEAN, abs=0.05)
    assert float(x.std()) == pytest.approx(STD, abs=0.05)


@pytest.mark.parametrize("kind", [EulerDiscreteScheduler, HeunDiscreteScheduler, DPMSolverMultistepScheduler])
def test_other_schedulers_of_diffusers_find_the_data_too(kind: type[Any], noise: Tensor) -> None:
    scheduler = kind.from_config(DDIM.config, timestep_spacing="linspace")
    x = sample(lambda x_t, t: eps_denoiser(x_t, t, scheduler), noise, scheduler, 50)
    assert float(x.mean()) == pytest.approx(MEAN, abs=0.1)
    assert float(x.std()) == pytest.approx(STD, abs=0.1)


def eps_denoiser(x_t: Tensor, t: Tensor, scheduler: Any) -> Tensor:
    whole = torch.tensor(min(int(t), 999))
    return ddim_denoiser(scheduler)(x_t, whole)


@pytest.mark.parametrize("scheduler", [DDIM, FLOW, DDPMScheduler(prediction_type="v_prediction")])
def test_sampling_twice_gives_equal_results(scheduler: Any, noise: Tensor) -> None:
    def again() -> Tensor:
        generators = rng.generators(0, "steps", range(16))
        return sample(lambda x_t, t: 0.1 * x_t, noise, scheduler, 5, generators)

    one = again()
    torch.randn(3)
    assert torch.equal(one, again())


def test_the_scheduler_that_is_given_stays_as_it_was(noise: Tensor) -> None:
    scheduler = FlowMatchEulerDiscreteScheduler()
    before = scheduler.timesteps.clone()
    sample(flow_denoiser, noise, scheduler, 7)
    assert torch.equal(scheduler.timesteps, before)


def test_on_step_may_stop_the_sampler(noise: Tensor) -> None:
    def stop(done: int, total: int) -> None:
        assert total == 10
        if done == 3:
            raise KeyboardInterrupt

    calls: list[float] = []

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        calls.append(float(t))
        return x_t

    with pytest.raises(KeyboardInterrupt):
        sample(denoise, noise, FLOW, 10, on_step=stop)
    assert len(calls) == 3
    assert calls == sorted(calls, reverse=True)
