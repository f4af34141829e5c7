"""Optimizers and learning rates; a rate is a function of the step, so a resumed training needs no state for it."""

import math
from collections.abc import Sequence

import torch
from torch import nn

from echosyn.training.stage import LoopSettings


def optimizer(parameters: Sequence[nn.Parameter], settings: LoopSettings) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019), Adam or SGD with momentum, as the settings say."""
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=settings.momentum, weight_decay=decay)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, lr=rate, betas=settings.betas, eps=settings.epsilon, weight_decay=decay)


def depends_on_last_step(settings: LoopSettings) -> bool:
    """Whether a longer training has other rates from its first step on, so that a finished one cannot become it."""
    return settings.schedule == "cosine"


def learning_rate(settings: LoopSettings, step: int) -> float:
    """The rate of optimizer step ``step`` (from 0), whatever the number of processes and accumulated parts.

    Linear warm-up, then constant, a cosine to zero at the last step, or a decay by a factor every so many steps.
    """
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    if settings.schedule == "constant":
        return settings.learning_rate
    if settings.schedule == "step":
        return settings.learning_rate * settings.decay_factor ** (step // settings.decay_every_steps)
    done = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
