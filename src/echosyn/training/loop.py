"""The one training loop. It yields; the caller decides what to log, save or stop."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from echosyn import rng
from echosyn.data.loading import Positions
from echosyn.errors import ConfigError, EchosynError
from echosyn.training.optimization import learning_rate, optimizer
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
        self.optimizers = {name: prepare(optimizer(o.parameters, settings)) for name, o in self.objectives.items()}
        averaged = list(stage.network.parameters()) if settings.ema_decay > 0 else []
        self.average = EMAModel(averaged, decay=settings.ema_decay)
        self.step = 0
        self.waited_s = 0.0
        """Seconds spent waiting for data so far."""

    @property
    def averages(self) -> bool:
        """Whether the averaged weights differ from the live ones."""
        return self.settings.ema_decay > 0 and self.step > 0

    def advance(self, batch: Batch) -> dict[str, float]:
        """One optimizer step of every objective; returns what to log."""
        rate, process = learning_rate(self.settings, self.step), self.accelerator.process_index
        torch.manual_seed(rng.key(self.settings.seed, f"step in process {process}", self.step))  # drop-out layers
        metrics: dict[str, float] = {"learning_rate": rate}
        self.stage.step = self.step
        for name, objective in self.objectives.items():
            if self.step < objective.start:
                continue
            stepper = self.optimizers[name]
            for group in stepper.param_groups:
                group["lr"] = rate
            stepper.zero_grad(set_to_none=True)
            scalars = self._backward(objective, batch)
            scalars["grad_norm"] = self._clip(objective, stepper)
            self._refuse_non_finite(scalars["loss"], scalars["grad_norm"])
            stepper.step()
            metrics |= {f"{name}/{key}": value for key, value in scalars.items()}
        self.step += 1
        if self.settings.ema_decay > 0:
            self.average.step(self.stage.network.parameters())
        return metrics

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The network has the averaged weights inside the block and its own again afterwards, whatever happens."""
        if not self.averages:
            yield
            return
        parameters = list(self.stage.network.parameters())
        self.average.store(parameters)
        try:
            self.average.copy_to(parameters)
            yield
        finally:
            self.average.restore(parameters)

    def average_distance(self) -> float:
        """Norm of the averaged minus the live weights, over the norm of the live ones."""
        live = [p.detach() for p in self.stage.network.parameters()]
        apart = [a.to(p) - p for a, p in zip(self.average.shadow_params, live, strict=True)]
        return float(torch.nn.utils.get_total_norm(apart) / torch.nn.utils.get_total_norm(live))

    def _backward(self, objective: Objective, batch: Batch) -> dict[str, float]:
        """Gradients of the mean loss over the batches of all processes; the mean of every scalar."""
        size = len(batch["index"])
        micro, whole = self.settings.micro_batch_size or size, self._summed([self.stage.weight(batch)])[0]
        names: list[str] = []
        means: list[float] = []
        for i in range(0, size, micro):
            part = {key: value[i : i + micro] for key, value in batch.items()}
            share = self.stage.weight(part) / whole
            with self.accelerator.autocast():
                scalars = objective.loss(part)
            self.accelerator.backward(scalars["loss"] * share)
            names, values = list(scalars), [float(v.detach()) * share for v in scalars.values()]
            means = [m + v for m, v in zip(means or [0.0] * len(values), values, strict=True)]
        return dict(zip(names, self._summed(means), strict=True))

    def _summed(self, values: list[float]) -> list[float]:
        """Sums over the processes."""
        if self.accelerator.num_processes == 1:
            return values
        given = torch.tensor(values, dtype=torch.float64, device=self.accelerator.device)
        summed: list[float] = self.accelerator.reduce(given, "sum").tolist()
        return summed

    def _clip(self, objective: Objective, stepper: Any) -> float:
        if self.accelerator.num_processes > 1:
            for p in objective.parameters:
                p.grad = self.accelerator.reduce(torch.zeros_like(p) if p.grad is None else p.grad, "sum")
        self.accelerator.unscale_gradients(stepper)  # after the sum: all processes must see the same overflow
        limit = math.inf if self.settings.max_grad_norm is None else self.settings.max_grad_norm
        return float(torch.nn.utils.clip_grad_norm_(objective.parameters, limit))

    def _refuse_non_finite(self, loss: float, grad_norm: float) -> None:
        # in half precision a gradient may overflow: the loss scaler then skips the step and scales less
        scaled = self.accelerator.scaler is not None
        if not math.isfinite(loss) or not (scaled or math.isfinite(grad_norm)):
            raise NonFiniteLossError(f"{self.stage.name}: the loss is not finite at step {self.step + 1}")


def fit(training: Training, items: Dataset[dict[str, Any]]) -> Iterator[dict[str, float]]:
    """Train from ``training.step`` to ``settings.steps``; yields ``{"step": 1.., "OBJECTIVE/loss": ..}`` a step.

    Networks are put into training mode before every step, so the caller may judge them in between.
    """
    settings, accelerator = training.settings, training.accelerator
    batch = settings.batch_size
    if batch % accelerator.num_processes:
        raise ConfigError(
            f"loop.batch_size = {batch} is not divisible by {accelerator.num_processes} processes; choose a multiple"
        )
    positions = Positions(
        training.step * batch, settings.steps * batch, batch, accelerator.process_index, accelerator.num_processes
    )
    loader: DataLoader[Any] = DataLoader(
        items, batch // accelerator.num_processes, sampler=positions, num_workers=settings.num_workers, drop_last=True
    )
    batches = iter(loader)
    while training.step < settings.steps:
        asked = time.monotonic()
        loaded = to_device(next(batches), accelerator.device)
        training.waited_s += time.monotonic() - asked
        for network in training.stage.networks().values():
            network.train()
        metrics = training.advance(loaded)
        yield {"step": training.step, **metrics}


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch with its tensors on a device."""
    return {key: value.to(device) if isinstance(value, Tensor) else value for key, value in batch.items()}
