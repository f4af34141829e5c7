"""The loop on a toy that is understood: a line fitted to points."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import Dataset
from torch.utils.data import default_collate as collate

from echosyn import rng
from echosyn.training import checkpoint
from echosyn.training.loop import NonFiniteLossError, Training, fit
from echosyn.training.optimization import learning_rate
from echosyn.training.stage import Batch, LoopSettings, Objective, Stage


class Points(Dataset[dict[str, Any]]):
    """Points of ``y = 2 x + 1``; from position ``bad_from`` on they are NaN."""

    def __init__(self, bad_from: int = 10**9) -> None:
        self.bad_from = bad_from
        self.asked: list[int] = []

    def __getitem__(self, g: int) -> dict[str, Any]:
        self.asked.append(g)
        x = rng.normal((1,), 0, "x", [g])[0]
        return {"x": x, "y": 2 * x + 1 if g < self.bad_from else x * math.nan, "index": g}


class Toy(Stage):
    """Two objectives: a line, and a second network that learns what the first one says."""

    name, needs_latents = "toy", False

    def __init__(self) -> None:
        with rng.initializing(0):
            self.network, self.echo = nn.Linear(1, 1), nn.Linear(1, 1)
        self.order: list[str] = []

    def items(self, data: Path, records: Sequence[Any]) -> Dataset[dict[str, Any]]:
        return Points()

    def networks(self) -> dict[str, nn.Module]:
        return {"network": self.network, "echo": self.echo}

    def objectives(self) -> Mapping[str, Objective]:
        return {
            "line": Objective(list(self.network.parameters()), self.line),
            "echo": Objective(list(self.echo.parameters()), self.follow),
        }

    def line(self, batch: Batch) -> dict[str, torch.Tensor]:
        self.order.append("line")
        error = self.network(batch["x"]) - batch["y"]
        return {"loss": error.square().mean(), "mae": error.abs().mean()}

    def follow(self, batch: Batch) -> dict[str, torch.Tensor]:
        self.order.append("echo")
        return {"loss": (self.echo(batch["x"]) - self.network(batch["x"]).detach()).square().mean()}

    def export(self, folder: Path) -> None:
        pass


def training(**loop: Any) -> Training:
    return Training(Toy(), LoopSettings.model_validate({"steps": 4, "batch_size": 4, "learning_rate": 0.05} | loop))


# Learning


def test_both_objectives_learn():
    toy = training(steps=300, ema_decay=0.0)
    first, *_, last = fit(toy, Points())
    assert last["line/loss"] < 0.01 * first["line/loss"]
    assert last["echo/loss"] < 0.1
    assert toy.stage.network.weight.item() == pytest.approx(2, abs=0.1)
    assert toy.stage.order == ["line", "echo"] * 300


def test_what_is_yielded_is_what_to_log():
    metrics = list(fit(training(), Points()))
    assert [m["step"] for m in metrics] == [1, 2, 3, 4]
    names = {"step", "learning_rate", "line/loss", "line/mae", "line/grad_norm", "echo/loss", "echo/grad_norm"}
    assert set(metrics[0]) == names
    assert all(isinstance(v, float) for m in metrics for k, v in m.items() if k != "step")


def test_the_stream_is_taken_in_order_from_the_step_it_stands_at():
    toy, points = training(), Points()
    toy.step = 2
    list(fit(toy, points))
    assert points.asked == list(range(8, 16))


def test_training_twice_is_bit_identical(same_weights: Any) -> None:
    one, other = training(), training()
    torch.manual_seed(1)
    first = list(fit(one, Points()))
    torch.manual_seed(2)
    assert list(fit(other, Points())) == first
    assert same_weights(one.stage.network, other.stage.network)


def test_gradients_are_clipped_to_the_norm():
    toy = training(max_grad_norm=0.01)
    metrics = next(fit(toy, Points()))
    assert metrics["line/grad_norm"] > 0.01  # what it was
    norm = torch.cat([p.grad.flatten() for p in toy.stage.network.parameters()]).norm()
    assert float(norm) == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("micro", [1, 3, 4, 9])
def test_accumulated_parts_equal_the_whole_batch(micro: int) -> None:
    batch = collate([Points()[g] for g in range(7)])
    whole, parts = training(batch_size=7), training(batch_size=7, micro_batch_size=micro)
    expected, found = whole.advance(batch), parts.advance(batch)
    assert found == pytest.approx(expected, rel=1e-5)
    for a, b in zip(whole.stage.network.parameters(), parts.stage.network.parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, atol=1e-6)
        assert torch.allclose(a, b, atol=1e-6)
    assert parts.step == 1
    assert len(parts.stage.order) == 2 * -(-7 // micro)


# Learning rate


@given(st.integers(1, 500), st.integers(0, 100), st.sampled_from(["constant", "cosine"]))
def test_the_rate_warms_up_and_never_exceeds_its_peak(steps: int, warmup: int, schedule: str) -> None:
    settings = LoopSettings(steps=steps, warmup_steps=warmup, schedule=schedule, learning_rate=0.1)
    rates = [learning_rate(settings, s) for s in range(steps)]
    assert all(0 < r <= 0.1 + 1e-12 for r in rates)
    ramp = rates[:warmup]
    assert ramp == pytest.approx([0.1 * (i + 1) / warmup for i in range(len(ramp))])
    after = rates[warmup:]
    assert after == sorted(after, reverse=True)
    if schedule == "constant":
        assert set(after) <= {0.1}


def test_the_cosine_goes_from_the_peak_through_the_half_to_zero():
    settings = LoopSettings(steps=110, warmup_steps=10, schedule="cosine", learning_rate=0.1)
    assert learning_rate(settings, 10) == pytest.approx(0.1)
    assert learning_rate(settings, 60) == pytest.approx(0.05)
    assert learning_rate(settings, 110) == pytest.approx(0.0)


def test_the_optimizers_follow_the_schedule():
    toy = training(warmup_steps=4, learning_rate=0.04)
    assert [m["learning_rate"] for m in fit(toy, Points())] == pytest.approx([0.01, 0.02, 0.03, 0.04])
    assert all(o.param_groups[0]["lr"] == 0.04 for o in toy.optimizers.values())


# Averaged weights


def test_the_average_lags_behind_and_replaces_the_live_weights_when_asked():
    toy = training(steps=20, ema_decay=0.99)
    list(fit(toy, Points()))
    live = [p.detach().clone() for p in toy.stage.network.parameters()]
    average = [p.clone() for p in toy.average.shadow_params]
    start = [p.detach() for p in Toy().network.parameters()]
    for p, a, s in zip(live, average, start, strict=True):
        assert 0 < float((a - s).norm()) < float((p - s).norm())
    with toy.averaged():
        assert all(torch.equal(p, a) for p, a in zip(toy.stage.network.parameters(), average, strict=True))
    assert all(torch.equal(p, a) for p, a in zip(toy.stage.network.parameters(), live, strict=True))


def test_the_live_weights_come_back_even_after_an_error():
    toy = training(steps=20, ema_decay=0.99)
    list(fit(toy, Points()))
    live = toy.stage.network.weight.detach().clone()

    def fail() -> None:
        with toy.averaged():
            assert not torch.equal(toy.stage.network.weight, live)
            raise KeyError("a validation that fails")

    with pytest.raises(KeyError):
        fail()
    assert torch.equal(toy.stage.network.weight, live)


def test_the_distance_between_average_and_live_weights_is_relative():
    toy = training(steps=20, ema_decay=0.99)
    list(fit(toy, Points()))
    live = torch.nn.utils.parameters_to_vector(toy.stage.network.parameters()).detach()
    average = torch.nn.utils.parameters_to_vector(toy.average.shadow_params)
    assert toy.average_distance() == pytest.approx(float((average - live).norm() / live.norm()), rel=1e-5)


def test_the_average_is_the_weights_hand_formula():
    toy = training(steps=6, ema_decay=0.3)
    expected: float | None = None
    for metrics in fit(toy, Points()):
        done = int(metrics["step"]) - 1
        decay = min(0.3, (1 + done) / (10 + done)) if done else 0.0
        live = toy.stage.network.weight.item()
        expected = live if expected is None else decay * expected + (1 - decay) * live
        assert toy.average.shadow_params[0].item() == pytest.approx(expected, rel=1e-5)


def test_decay_zero_keeps_the_live_weights():
    toy = training(ema_decay=0.0)
    list(fit(toy, Points()))
    live = [p.detach().clone() for p in toy.stage.network.parameters()]
    with toy.averaged():
        assert all(torch.equal(p, a) for p, a in zip(toy.stage.network.parameters(), live, strict=True))


def test_an_untrained_stage_stays_as_it_is():
    toy = training()
    with toy.averaged():
        assert torch.equal(toy.stage.network.weight, Toy().network.weight)


def test_patience_without_looks_is_refused():
    with pytest.raises(ValueError, match="set validate_every_steps"):
        LoopSettings(patience=3)


# Accidents


def test_a_loss_that_is_no_number_stops_and_spares_weights_and_checkpoint(tmp_path: Path) -> None:
    toy = training()

    def train() -> None:
        for _ in fit(toy, Points(bad_from=8)):
            checkpoint.save(tmp_path, toy)

    with pytest.raises(NonFiniteLossError, match="toy: the loss is not finite at step 3"):
        train()
    assert toy.step == 2
    assert all(torch.isfinite(p).all() for p in toy.stage.network.parameters())
    again = training()
    assert checkpoint.restore(tmp_path, again) == tmp_path / "checkpoints" / "step-000000002"
    assert [m["step"] for m in fit(again, Points())] == [3, 4]
    straight = training()
    list(fit(straight, Points()))
    assert torch.equal(again.stage.network.weight, straight.stage.network.weight)
