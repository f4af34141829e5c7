"""What the network is trained on is what the sampler integrates: targets give the data back."""

from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, FlowMatchEulerDiscreteScheduler
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from echosyn import rng
from echosyn.diffusion.objective import is_flow, masked_mse, noised, times

FLOW = FlowMatchEulerDiscreteScheduler()
SECOND_ORDER = DPMSolverMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction")
SHAPE = (4, 6, 2, 2)


def draw(name: str, count: int = 8) -> Tensor:
    return rng.normal(SHAPE, 0, name, range(count))


def per_item(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1, 1)


# Targets


@pytest.mark.parametrize("prediction_type", ["epsilon", "sample", "v_prediction"])
def test_data_and_noise_come_back_from_noisy_latents_and_target(prediction_type: str) -> None:
    scheduler = DDPMScheduler(prediction_type=prediction_type, beta_end=0.02)
    x0, eps = draw("x0"), draw("eps")
    t = torch.tensor([0, 1, 100, 300, 500, 700, 900, 999])
    x_t, target = noised(x0, eps, t, scheduler)
    alpha, sigma = (per_item(a**0.5) for a in (scheduler.alphas_cumprod[t], 1 - scheduler.alphas_cumprod[t]))
    assert torch.allclose(x_t, alpha * x0 + sigma * eps, atol=1e-6)
    found = {
        "epsilon": (x_t - sigma * target) / alpha,
        "sample": target,
        "v_prediction": alpha * x_t - sigma * target,
    }[prediction_type]
    assert torch.allclose(found, x0, atol=1e-3)


@pytest.mark.parametrize("prediction_type", ["epsilon", "sample", "v_prediction"])
def test_diffusers_reads_the_target_as_the_same_data(prediction_type: str) -> None:
    scheduler = DDIMScheduler(prediction_type=prediction_type, clip_sample=False)
    scheduler.set_timesteps(1000)
    x0, eps = draw("x0", 1), draw("eps", 1)
    x_t, target = noised(x0, eps, torch.tensor([400]), scheduler)
    assert torch.allclose(scheduler.step(target, 400, x_t).pred_original_sample, x0, atol=1e-4)


@pytest.mark.parametrize("scheduler", [FLOW, SECOND_ORDER])
def test_a_flow_is_a_straight_line_between_data_and_noise(scheduler: Any) -> None:
    x0, eps, t = draw("x0"), draw("eps"), torch.linspace(0, 1000, 8)
    x_t, target = noised(x0, eps, t, scheduler)
    s = per_item(t / 1000)
    assert torch.allclose(x_t - s * target, x0, atol=1e-5)
    assert torch.allclose(x_t + (1 - s) * target, eps, atol=1e-5)


@pytest.mark.parametrize("scheduler", [FLOW, DDPMScheduler(prediction_type="v_prediction")])
def test_an_item_is_noised_alone(scheduler: Any) -> None:
    x0, eps, t = draw("x0"), draw("eps"), torch.tensor([0, 5, 100, 300, 500, 700, 900, 999])
    together = noised(x0, eps, t, scheduler)
    for i in range(8):
        alone = noised(x0[i : i + 1], eps[i : i + 1], t[i : i + 1], scheduler)
        assert all(torch.equal(a[0], b[i]) for a, b in zip(alone, together, strict=True))


def test_an_untrainable_target_is_refused():
    with pytest.raises(ValueError, match="'flow' cannot be trained on"):
        noised(draw("x0", 1), draw("eps", 1), torch.tensor([1]), DDIMScheduler(prediction_type="flow"))


# Times


@given(st.floats(0, 1, exclude_max=True), st.floats(-8, 8), st.floats(0.1, 20), st.booleans(), st.booleans())
def test_times_are_in_range(uniform: float, normal: float, shift: float, flow: bool, logit: bool) -> None:
    scheduler = FLOW if flow else DDPMScheduler()
    distribution = "logit_normal" if logit else "uniform"
    u = torch.tensor([uniform], dtype=torch.float32).clamp(max=1 - 2**-24)
    t = times(u, torch.tensor([normal]), scheduler, distribution, shift)
    assert t.dtype == (torch.float32 if is_flow(scheduler) else torch.int64)
    assert 0 <= float(t) <= (1000 if flow else 999)


def test_uniform_times_are_uniform_and_reach_every_timestep():
    u = (torch.arange(1000) + 0.5) / 1000
    assert times(u, u, DDPMScheduler()).tolist() == list(range(1000))
    assert torch.allclose(times(u, u, FLOW), 1000 * u)


def test_logit_normal_times_prefer_the_middle():
    normal = rng.normal((), 0, "times", range(4000))
    t = times(torch.zeros(4000), normal, FLOW, "logit_normal") / 1000
    assert float(t.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(((t > 0.25) & (t < 0.75)).float().mean()) == pytest.approx(0.728, abs=0.03)


@given(st.floats(0.01, 0.99), st.floats(0.1, 10), st.floats(1.01, 3))
def test_more_shift_is_more_noise_and_keeps_the_order(u: float, shift: float, factor: float) -> None:
    def at(value: float, by: float) -> float:
        return float(times(torch.tensor([value]), torch.zeros(1), FLOW, shift=by))

    assert at(u, shift * factor) > at(u, shift) > at(u * 0.9, shift)
    assert at(u, 1.0) == pytest.approx(1000 * u, rel=1e-5)


# Loss


def test_the_loss_is_the_mean_over_frames_that_exist():
    prediction, target = draw("x0", 2), draw("eps", 2)
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 0, 0, 0, 0, 0]]).float()
    frames = torch.cat([(prediction - target)[0].transpose(0, 1), (prediction - target)[1, :, :1].transpose(0, 1)])
    assert float(masked_mse(prediction, target, mask)) == pytest.approx(float(frames.square().mean()))


@given(st.integers(1, 6), st.floats(-1e3, 1e3))
def test_padding_changes_nothing(length: int, junk: float) -> None:
    prediction, target = draw("x0", 1), draw("eps", 1)
    mask = (torch.arange(6) < length).float()[None]
    spoiled = torch.where(mask[:, None, :, None, None] > 0, prediction, junk)
    cut = masked_mse(prediction[:, :, :length], target[:, :, :length], mask[:, :length])
    assert float(masked_mse(spoiled, target, mask)) == pytest.approx(float(cut))


def test_padding_has_no_gradient_and_an_empty_mask_no_nan():
    prediction = draw("x0", 1).requires_grad_()
    masked_mse(prediction, draw("eps", 1), torch.tensor([[1, 1, 0, 0, 0, 0]]).float()).backward()
    assert prediction.grad is not None
    assert (prediction.grad[:, :, 2:] == 0).all()
    assert (prediction.grad[:, :, :2] != 0).all()
    assert masked_mse(prediction, prediction + 1, torch.zeros(1, 6)) == 0


def test_without_padding_it_is_the_mean_squared_error():
    prediction, target = draw("x0"), draw("eps")
    expected = torch.nn.functional.mse_loss(prediction, target)
    assert torch.allclose(masked_mse(prediction, target, torch.ones(8, 6)), expected)
