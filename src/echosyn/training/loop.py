"""The one training loop. It yields; the caller decides what to log, save or stop."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from echosyn.data.loading import Positions
from echosyn.errors import ConfigError, EchosynError
from echosyn.training.stage import Batch, LoopSettings, Objective, Stage


class NonFiniteLossError(EchosynError):
    """A loss became NaN or infinite."""


class Training:
    """A stage with its optimizers, averaged weights and the number of steps done."""

    def __init__(self, stage: Stage, settings: LoopSettings, accelerator: Accelerator | None = None) -> None:
        self.stage, self.settings = stage, settings
        self.accelerator = accelerator or Accelerator(cpu=True)
        for network in stage.networks().values():
            network.to(self.accelerator.device)
        self.objectives = stage.objectives()
        prepare = self.accelerator.prepare_optimizer
        self.optimizers = {name: prepare(_optimizer(o, settings)) for name, o in self.objectives.items()}
        self.average = EMAModel(list(stage.network.parameters()), decay=settings.ema_decay)
        self.step = 0

    def advance(self, batch: Batch) -> dict[str, float]:
        """One optimizer step of every objective; returns what to log."""
        rate = learning_rate(self.settings, self.step)
        metrics: dict[str, float] = {"learning_rate": rate}
        self.stage.step = self.step
        for name, objective in self.objectives.items():
            if self.step < objective.start:
                continue
            optimizer = self.optimizers[name]
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad(set_to_none=True)
            for part, share in self._parts(batch):
                with self.accelerator.autocast():
                    scalars = objective.loss(part)
                self.accelerator.backward(scalars["loss"] * share)
                for key, value in scalars.items():
                    metrics[f"{name}/{key}"] = metrics.get(f"{name}/{key}", 0.0) + float(value.detach()) * share
            metrics[f"{name}/grad_norm"] = self._clip(objective, optimizer)
            self._refuse_non_finite(metrics[f"{name}/loss"], metrics[f"{name}/grad_norm"])
            optimizer.step()
        self.step += 1
        if self.settings.ema_decay > 0:
            self.average.step(self.stage.network.parameters())
        return metrics

    def _refuse_non_finite(self, loss: float, grad_norm: float) -> None:
        # in half precision a gradient may overflow: the loss scaler then skips the step and scales less
        scaled = self.settings.mixed_precision == "fp16"
        if not math.isfinite(loss) or not (scaled or math.isfinite(grad_norm)):
            raise NonFiniteLossError(
                f"{self.stage.name}: the loss is not finite at step {self.step + 1}; lower loop.learning_rate and resume: "
                "the last checkpoint is unharmed"
            )

    def use_average(self) -> None:
        """Put the averaged weights into the network (for good: at the end, before export)."""
        if self.settings.ema_decay > 0 and self.step > 0:
            self.average.copy_to(self.stage.network.parameters())

    def _parts(self, batch: Batch) -> Iterator[tuple[Batch, float]]:
        size = len(batch["index"])
        micro, whole = self.settings.micro_batch_size or size, self.stage.weight(batch)
        for i in range(0, size, micro):
            part = {key: value[i : i + micro] for key, value in batch.items()}
            yield part, self.stage.weight(part) / whole

    def _clip(self, objective: Objective, optimizer: Any) -> float:
        self.accelerator.unscale_gradients(optimizer)
        if self.accelerator.num_processes > 1:
            for parameter in objective.parameters:
                if parameter.grad is not None:
                    parameter.grad = self.accelerator.reduce(parameter.grad, "mean")
        return float(torch.nn.utils.clip_grad_norm_(objective.parameters, self.settings.max_grad_norm))


def fit(training: Training, items: Dataset[dict[str, Any]]) -> Iterator[dict[str, float]]:
    """Train from ``training.step`` to ``settings.steps``; yields ``{"step": 1.., "OBJECTIVE/loss": ..}`` a step."""
    settings, accelerator = training.settings, training.accelerator
    batch = settings.batch_size
    if batch % accelerator.num_processes:
        raise ConfigError(
            f"loop.batch_size = {batch} does not divide by {accelerator.num_processes} processes; choose a multiple"
        )
    positions = Positions(
        training.step * batch, settings.steps * batch, batch, accelerator.process_index, accelerator.num_processes
    )
    loader: DataLoader[Any] = DataLoader(
        items, batch // accelerator.num_processes, sampler=positions, num_workers=settings.num_workers, drop_last=True
    )
    for network in training.stage.networks().values():
        network.train()
    for loaded in loader:
        metrics = training.advance(_to(loaded, accelerator.device))
        yield {"step": training.step, **metrics}


def learning_rate(settings: LoopSettings, step: int) -> float:
    """The rate of step ``step`` (from 0): linear warm-up, then constant or a cosine to zero at the last step."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    if settings.schedule == "constant":
        return settings.learning_rate
    done = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def _optimizer(objective: Objective, settings: LoopSettings) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        objective.parameters,
        lr=settings.learning_rate,
        betas=settings.betas,
        eps=settings.epsilon,
        weight_decay=settings.weight_decay,
    )


def _to(batch: Batch, device: torch.device) -> Batch:
    return {key: value.to(device) if isinstance(value, Tensor) else value for key, value in batch.items()}
