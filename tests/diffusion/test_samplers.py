"""Every solver integrates the exact denoiser of a Gaussian, which needs no training, to its exact answer."""

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
from echosyn.diffusion.objective import is_flow
from echosyn.diffusion.samplers import DIFFUSION, FLOW, SOLVERS, checked_steps, sample, solver
from echosyn.errors import ConfigError

MEAN, STD = 0.5, 0.7
OWN = DDPMScheduler(prediction_type="v_prediction", clip_sample=True, clip_sample_range=4.0)
DDIM = DDIMScheduler(
    prediction_type="v_prediction", beta_start=1e-4, beta_end=0.02, clip_sample=False, timestep_spacing="trailing"
)
STRAIGHT = FlowMatchEulerDiscreteScheduler()
SHIFTED = FlowMatchEulerDiscreteScheduler(shift=3.0)
DETERMINISTIC = [name for name in SOLVERS if name != "ddpm"]
CASES = [("diffusion", name) for name in DETERMINISTIC] + [("flow", name) for name in FLOW]
# from 16 to 64 steps errors fall at least by: order 1 is 4; the last step, to clean latents, is of order 1 in all
FALL = {"ddim": 2.9, "euler": 2.9, "dpm++": 4.0, "unipc": 4.0, "heun": 4.0}


def exact(kind: str, prediction: str = "v_prediction", scheduler: Any = OWN) -> Denoiser:
    """The best prediction for data N(MEAN, STD^2)."""

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        if kind == "flow":
            alpha, sigma = 1 - t.double() / 1000, t.double() / 1000
        else:
            assert float(t) == int(t), "trailing times are whole numbers"
            product = scheduler.alphas_cumprod[int(t)].double()
            alpha, sigma = product**0.5, (1 - product) ** 0.5
        x0 = MEAN + alpha * STD**2 * (x_t - alpha * MEAN) / (alpha**2 * STD**2 + sigma**2)
        eps = (x_t - alpha * x0) / sigma
        if kind == "flow":
            return (eps - x0).float()
        return {"epsilon": eps, "sample": x0, "v_prediction": alpha * eps - sigma * x0}[prediction].float()

    return denoise


def answer(kind: str, noise: Tensor) -> Tensor:
    """Where the deterministic trajectory from pure noise ends: the same quantile of the data."""
    if kind == "flow":
        return MEAN + STD * noise
    alpha, sigma = OWN.alphas_cumprod[-1] ** 0.5, (1 - OWN.alphas_cumprod[-1]) ** 0.5
    return MEAN + STD * (noise - alpha * MEAN) / (alpha**2 * STD**2 + sigma**2) ** 0.5


def own(kind: str) -> Any:
    return OWN if kind == "diffusion" else SHIFTED


@pytest.fixture(scope="module")
def noise() -> Tensor:
    return rng.normal((1, 1, 4, 4), 0, "solver", range(16))


# The loop


@pytest.mark.parametrize(("kind", "scheduler"), [("diffusion", DDIM), ("flow", STRAIGHT)])
def test_the_error_halves_as_the_steps_double(kind: str, scheduler: Any, noise: Tensor) -> None:
    right = answer(kind, noise)
    errors = [float((sample(exact(kind), noise, scheduler, n) - right).abs().mean()) for n in (25, 50, 100)]
    assert errors[0] < 0.1
    assert all(0.35 < b / a < 0.65 for a, b in pairwise(errors)), errors


def test_a_stochastic_sampler_draws_from_the_data():
    scheduler = DDPMScheduler(prediction_type="v_prediction", clip_sample=False)
    noise = rng.normal((1, 1, 8, 8), 0, "sampler", range(64))
    generators = rng.generators(0, "steps", range(64))
    x = sample(exact("diffusion", scheduler=scheduler), noise, scheduler, 100, generators)
    assert float(x.mean()) == pytest.approx(MEAN, abs=0.05)
    assert float(x.std()) == pytest.approx(STD, abs=0.05)


@pytest.mark.parametrize("kind", [EulerDiscreteScheduler, HeunDiscreteScheduler, DPMSolverMultistepScheduler])
def test_other_schedulers_of_diffusers_find_the_data_too(kind: type[Any], noise: Tensor) -> None:
    scheduler = kind.from_config(DDIM.config, timestep_spacing="linspace")
    denoise = exact("diffusion", scheduler=scheduler)
    x = sample(lambda x_t, t: denoise(x_t, t.long().clamp(max=999)), noise, scheduler, 50)
    assert float(x.mean()) == pytest.approx(MEAN, abs=0.1)
    assert float(x.std()) == pytest.approx(STD, abs=0.1)


@pytest.mark.parametrize("scheduler", [DDIM, STRAIGHT, DDPMScheduler(prediction_type="v_prediction")])
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
    sample(exact("flow"), noise, scheduler, 7)
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
        sample(denoise, noise, STRAIGHT, 10, on_step=stop)
    assert len(calls) == 3
    assert calls == sorted(calls, reverse=True)


# Solvers by name


def error(kind: str, name: str, steps: int, noise: Tensor) -> float:
    return float((sample(exact(kind), noise, solver(own(kind), name), steps) - answer(kind, noise)).abs().mean())


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_the_error_falls_with_the_steps_as_fast_as_the_order_says(kind: str, name: str, noise: Tensor) -> None:
    few, many, most = (error(kind, name, n, noise) for n in (16, 64, 150))
    assert few < 0.15
    assert few / many > (FALL[name] if kind == "diffusion" else 2.0)
    assert most < 0.01


@pytest.mark.parametrize("kind", ["diffusion", "flow"])
def test_second_order_beats_first_at_eight_steps(kind: str, noise: Tensor) -> None:
    first = error(kind, "ddim" if kind == "diffusion" else "euler", 8, noise)
    for name in ("dpm++", "unipc"):
        assert error(kind, name, 8, noise) < 0.7 * first


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize("name", DETERMINISTIC)
def test_what_the_network_predicts_does_not_matter(name: str, prediction: str, noise: Tensor) -> None:
    scheduler = DDPMScheduler(prediction_type=prediction, clip_sample=False)
    if (name, prediction) == ("heun", "sample"):
        with pytest.raises(ConfigError, match="--scheduler heun: cannot solve this model"):
            solver(scheduler, name)
        return
    x = sample(exact("diffusion", prediction), noise, solver(scheduler, name), 100)
    assert torch.allclose(x, answer("diffusion", noise), atol=0.06)


def test_ddpm_draws_from_the_data(noise: Tensor) -> None:
    noise = rng.normal((1, 1, 8, 8), 0, "solver", range(64))
    x = sample(exact("diffusion"), noise, solver(OWN, "ddpm"), 100, rng.generators(0, "steps", range(64)))
    assert float(x.mean()) == pytest.approx(MEAN, abs=0.05)
    assert float(x.std()) == pytest.approx(STD, abs=0.05)


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_one_step_from_noise_is_the_networks_guess(kind: str, name: str, noise: Tensor) -> None:
    """All begin at pure noise and end at clean latents, however few the steps: there the best guess is the mean."""
    x = sample(exact(kind), noise, solver(own(kind), name), 1)
    assert torch.allclose(x, torch.full_like(x, MEAN), atol=0.05)


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_an_item_does_not_depend_on_its_batch_nor_on_earlier_calls(kind: str, name: str, noise: Tensor) -> None:
    scheduler = solver(own(kind), name)
    together = sample(exact(kind), noise, scheduler, 7)
    halves = [sample(exact(kind), part, scheduler, 7) for part in noise.split(8)]
    assert torch.equal(torch.cat(halves), together)
    alone = sample(exact(kind), noise[5:6], solver(own(kind), name), 7)
    assert torch.equal(alone[0], together[5])


def test_ddpm_items_do_not_depend_on_their_batch(noise: Tensor) -> None:
    def part(indices: range) -> Tensor:
        generators = rng.generators(0, "steps", indices)
        return sample(exact("diffusion"), noise[indices.start : indices.stop], OWN, 7, generators)

    assert torch.equal(torch.cat([part(range(3)), part(range(3, 16))]), part(range(16)))


# Clip range


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize("name", DETERMINISTIC)
def test_clean_latents_stay_within_the_models_range(name: str, prediction: str, noise: Tensor) -> None:
    if (name, prediction) == ("heun", "sample"):
        return
    scheduler = DDPMScheduler(prediction_type=prediction, clip_sample=True, clip_sample_range=0.25)
    free = DDPMScheduler(prediction_type=prediction, clip_sample=False)
    bounded, unbounded = (
        sample(exact("diffusion", prediction), noise, solver(s, name), 12).abs().max() for s in (scheduler, free)
    )
    assert float(bounded) <= 0.25 + 1e-3
    assert float(unbounded) > 1


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_a_range_that_nothing_leaves_changes_nothing(name: str, noise: Tensor) -> None:
    wide = DDPMScheduler(prediction_type="v_prediction", clip_sample=True, clip_sample_range=50.0)
    free = DDPMScheduler(prediction_type="v_prediction", clip_sample=False)
    one, other = (sample(exact("diffusion"), noise, solver(s, name), 6) for s in (wide, free))
    assert torch.allclose(one, other, atol=1e-4)


# The model's own


def test_without_a_name_or_with_its_own_the_models_scheduler_stays_as_it_is() -> None:
    assert solver(OWN, None) is OWN
    assert solver(OWN, "ddpm") is OWN
    assert solver(SHIFTED, "euler") is SHIFTED


@pytest.mark.parametrize("name", FLOW)
def test_the_shift_of_a_flow_is_kept(name: str) -> None:
    scheduler = solver(SHIFTED, name)
    scheduler.set_timesteps(5)
    plain = solver(FlowMatchEulerDiscreteScheduler(), name)
    plain.set_timesteps(5)
    assert float(scheduler.timesteps[2]) > float(plain.timesteps[2]) + 50


@pytest.mark.parametrize("name", FLOW)
def test_a_solver_of_flows_that_has_another_class_is_a_flow_and_keeps_its_shift(name: str) -> None:
    stored = solver(SHIFTED, "dpm++")
    assert is_flow(stored)
    assert solver(stored, "dpm++") is stored
    found, expected = solver(stored, name), solver(SHIFTED, name)
    for scheduler in (found, expected):
        scheduler.set_timesteps(5)
    assert type(found) is type(expected)
    assert torch.equal(found.timesteps, expected.timesteps)


@pytest.mark.parametrize("name", DIFFUSION)
def test_the_betas_of_the_model_are_kept(name: str) -> None:
    scheduler = solver(DDPMScheduler(beta_schedule="scaled_linear", beta_end=0.013), name)
    assert float(scheduler.alphas_cumprod[500]) == pytest.approx(
        float(DDPMScheduler(beta_schedule="scaled_linear", beta_end=0.013).alphas_cumprod[500])
    )


# Mistakes


@pytest.mark.parametrize("name", ["ddpm", "ddim"])
def test_a_flow_refuses_what_only_reverses_diffusions(name: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"--scheduler {name}: this model was trained as a flow; expected one of dpm\+\+"
    ):
        solver(SHIFTED, name)


def test_an_unknown_name_gets_the_near_miss() -> None:
    with pytest.raises(ConfigError, match="did you mean 'euler'"):
        solver(OWN, "eular")


@pytest.mark.parametrize("changed", [{"rescale_betas_zero_snr": True}, {"beta_schedule": "sigmoid"}])
def test_a_schedule_that_diffusers_class_would_get_wrong_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="--scheduler heun: cannot solve this model"):
        solver(DDPMScheduler(**changed), "heun")


@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_impossible_numbers_of_steps_are_refused(steps: int) -> None:
    with pytest.raises(ConfigError, match=rf"--steps {steps}: expected 1 to 1000"):
        checked_steps(steps, solver(OWN, "dpm++"))


def test_a_multistep_solver_of_a_model_folder_serves_as_its_own(noise: Tensor) -> None:
    scheduler = DPMSolverMultistepScheduler(prediction_type="v_prediction", timestep_spacing="trailing")
    assert solver(scheduler, "dpm++") is scheduler
    assert torch.allclose(sample(exact("diffusion"), noise, scheduler, 100), answer("diffusion", noise), atol=0.02)
