"""What the loop needs of something trainable."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn
from torch.utils.data import Dataset

from echosyn import weights
from echosyn.config import Settings
from echosyn.data.records import Record

Batch = dict[str, Any]
Loss = Callable[[Batch], dict[str, Tensor]]
"""``batch -> {"loss": scalar to minimize, any other scalar to log}``."""


class LoopSettings(Settings):
    """How long and how fast to train."""

    steps: int = Field(200, ge=1)
    """Optimizer steps."""
    batch_size: int = Field(16, ge=1)
    """Items in an optimizer step, over all processes and accumulated parts."""
    per_process: Literal["no", "batch", "batch_and_rate"] = "no"
    """Whether ``batch_size`` (and ``learning_rate``) are those of one process, as in EchoNet-Synthetic's files; ``run.json`` then
    has them multiplied by the number of processes."""
    micro_batch_size: int | None = Field(None, ge=1)
    """Items that go through the network at once; smaller than ``batch_size`` accumulates gradients."""
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    """AdamW, Adam (weight decay as an L2 penalty) or stochastic gradient descent with momentum."""
    learning_rate: float = Field(1e-3, gt=0)
    """Learning rate after the warm-up."""
    schedule: Literal["constant", "cosine", "step"] = "constant"
    """Constant, a half cosine to zero at the last step, or times ``decay_factor`` every ``decay_every_steps``."""
    warmup_steps: int = Field(0, ge=0)
    """Optimizer steps over which the learning rate rises linearly."""
    decay_every_steps: int = Field(1000, ge=1)
    """Optimizer steps between two decays of schedule ``step``."""
    decay_factor: float = Field(0.1, gt=0, le=1)
    """What schedule ``step`` multiplies the learning rate by."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Betas of Adam and AdamW."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Momentum of SGD."""
    weight_decay: float = Field(1e-2, ge=0)
    """Weight decay coefficient."""
    epsilon: float = 1e-8
    """Betas of Adam and AdamW."""
    max_grad_norm: float | None = Field(1.0, gt=0)
    """Gradients of an objective are clipped to this norm; none clips nothing."""
    ema_decay: float = Field(0.999, ge=0, lt=1)
    """Decay of the averaged weights, warmed up as ``(1 + step) / (10 + step)``; 0 keeps the live weights."""
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    """Autocast; ``no`` computes in float32, which is also the fastest on most CPUs."""
    save_every_steps: int = Field(500, ge=1)
    """Optimizer steps between checkpoints; the last step is always saved."""
    save_every_minutes: float | None = Field(None, gt=0)
    """Minutes after which a checkpoint is due whatever the step; none saves by steps alone."""
    keep_checkpoints: int = Field(2, ge=1)
    """Newest checkpoints that stay on disk; the best one stays beside them."""
    validate_every_steps: int | None = Field(None, ge=1)
    """Optimizer steps between validations on held-out videos; none validates once, after the last step."""
    select: Literal["last", "best"] = "last"
    """Which weights become the model: the last, or those that were best on held-out videos."""
    patience: int | None = Field(None, ge=1)
    """Validations without improvement after which training stops; none trains to the last step."""
    log_every_steps: int = Field(10, ge=1)
    """Steps between lines of ``metrics.jsonl``."""
    trackers: tuple[Literal["tensorboard", "wandb", "mlflow", "trackio"], ...] = ("tensorboard",)
    """Experiment trackers besides ``metrics.jsonl``; wandb stays offline unless the environment says otherwise."""
    num_workers: int = Field(0, ge=0)
    """Processes that load data; 0 loads in the training process."""
    seed: int = 0
    """Random seed of initialization, data order and all sampling."""

    @model_validator(mode="after")
    def _patience_needs_looks(self) -> Self:
        if self.patience is not None and self.validate_every_steps is None:
            raise ValueError("patience counts looks at held-out videos: set validate_every_steps, too")
        return self

    @field_validator("mixed_precision", "per_process", mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        """YAML reads a bare ``no`` as false."""
        return "no" if value is False else value


class StageSettings(Settings):
    """What every stage has: a network by ``_class_name`` and a loop."""

    network: dict[str, Any]
    """``_class_name`` and the network's own settings."""
    start: str | None = None
    """Model folder whose network and weights training starts from, ``shipped`` for the package's own; none is from nothing."""
    datasets: tuple[str, ...] = ()
    """All folders to learn from, the one on the command line among them; empty means that one alone (`vae`, `lidm`, `lvdm`)."""
    judged_on: str | None = None
    """Another folder whose VAL videos judge, such as real ones for a training on synthetic videos."""
    only: Mapping[str, str] = Field(default_factory=dict)
    """Columns of ``FileList.csv`` and the value that a video must have there to be trained and judged on: ``View: A4C``."""
    loop: LoopSettings = LoopSettings()
    """How long and how fast to train."""

    def for_processes(self, number: int) -> Self:
        """These settings with ``loop.batch_size`` over all of ``number`` processes."""
        loop = self.loop
        if loop.per_process == "no":
            return self
        rate = loop.learning_rate * (number if loop.per_process == "batch_and_rate" else 1)
        whole = {"per_process": "no", "batch_size": loop.batch_size * number, "learning_rate": rate}
        return self.model_copy(update={"loop": loop.model_copy(update=whole)})


@dataclass(frozen=True, eq=False)
class Objective:
    """Some parameters and what they minimize."""

    parameters: list[nn.Parameter]
    loss: Loss
    start: int = 0
    """Optimizer steps of the stage before this objective begins."""


class Stage(ABC):
    """Something trainable: VAE, LIDM, LVDM, Re-ID, EF or outline."""

    name: ClassVar[str]
    needs_latents: bool
    """Whether its data are a latents folder rather than a dataset folder."""
    settings: StageSettings
    network: Any
    """The network that the model folder holds; its weights are averaged (EMA)."""
    step: int = 0
    """Optimizer steps done; set by the loop before every step."""
    criterion: tuple[str, Literal["max", "min"]] | None = None
    """Which number of `validate` says which checkpoint is best, and whether it should be large or small."""

    def begin(self) -> Any:
        """The network that training starts from: that of ``start``, or a new one, drawn by torch's global state."""
        config, start = self.network_config(), self.settings.start
        if start is None:
            return weights.network(config)
        return weights.load(weights.start(start, self.name, self.settings.only), self.name).train().requires_grad_(True)

    def network_config(self) -> Mapping[str, Any]:
        """``_class_name`` and keywords of a new network."""
        return self.settings.network

    @abstractmethod
    def items(self, data: Path, records: Sequence[Record]) -> Dataset[dict[str, Any]]:
        """The endless stream of training items from the given videos."""

    @abstractmethod
    def objectives(self) -> Mapping[str, Objective]:
        """Who minimizes what; optimized in this order within a step."""

    @abstractmethod
    def export(self, folder: Path) -> None:
        """Write the model folder from the network as it is now."""

    def weight(self, batch: Batch) -> float:
        """How much a part of a batch counts in the mean over the whole batch: by its items, unless the loss differs."""
        return float(len(batch["index"]))

    def networks(self) -> dict[str, nn.Module]:
        """Everything with weights: the network and whatever helps to train it."""
        return {"network": self.network}

    def finish(self, items: Dataset[dict[str, Any]]) -> dict[str, float]:
        """Last measurements on the training items before `export` (the VAE's latent scale); facts worth logging."""
        return {}

    def validate(self, data: Path, records: Sequence[Record], folder: Path) -> dict[str, float]:
        """Judge the network, in evaluation mode, on held-out videos.

        Args:
            data: the folder that training reads.
            records: its videos of split VAL (TEST if there are none); may be empty.
            folder: an existing folder for pictures and videos; their draws are the same at every call.

        Returns:
            Numbers to log.
        """
        return {}

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        device: torch.device = next(self.network.parameters()).device
        return device
