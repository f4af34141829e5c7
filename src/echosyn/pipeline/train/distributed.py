"""A training on several processes: their group, what it cannot do, and what all of them must agree on."""

import importlib.util
import os
import warnings
from datetime import timedelta
from pathlib import Path

import torch
from accelerate import Accelerator, InitProcessGroupKwargs

from echosyn import device as devices
from echosyn.errors import ConfigError, DataError
from echosyn.extras import require
from echosyn.training.loop import Training
from echosyn.training.stage import LoopSettings, StageSettings

TIMEOUT = timedelta(hours=6)
"""How long the other processes wait while the main one looks at held-out videos or writes the model."""
SHARDING = {
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "a parallelism_config",
}
"""What `accelerate launch` sets in the environment, and what for."""


def accelerator(settings: StageSettings, device: str, out: Path) -> Accelerator:
    """Set up the process group that the launcher describes (one process without it), its precision and its trackers.

    Args:
        settings: of the training.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        out: run folder, for the trackers.

    Raises:
        MissingExtraError: the package of a tracker is not installed.
    """
    loop = settings.loop
    trackers = [name for name in loop.trackers if name != "tensorboard" or _tensorboard(loop)]
    for name in trackers:
        require(name, extra="train" if name == "tensorboard" else "track")
    is_cpu = devices.resolve(device).type == "cpu"
    precision = loop.mixed_precision
    if is_cpu and precision == "fp16":
        warnings.warn("float16 needs a GPU: computing in float32", stacklevel=2)
        precision = "no"
    return Accelerator(
        cpu=is_cpu,
        mixed_precision=precision,
        kwargs_handlers=[InitProcessGroupKwargs(timeout=TIMEOUT)],
        log_with=trackers or None,
        project_dir=out,
    )


def _tensorboard(loop: LoopSettings) -> bool:
    """Whether TensorBoard is here, or was asked for; as a default it may be missing: ``metrics.jsonl`` says the same."""
    return "trackers" in loop.model_fields_set or importlib.util.find_spec("tensorboard") is not None


def refuse_sharding() -> None:
    """Raise `ConfigError` if the launcher was told to share out a network's weights (ADR 51)."""
    asked = [name for variable, name in SHARDING.items() if os.environ.get(variable, "false").lower() == "true"]
    if asked:
        raise ConfigError(
            f"accelerate: {asked[0]} was asked for, but a training keeps whole networks in every process (the largest, 144 M "
            "parameters, takes 2.3 GB with Adam's state): use distributed_type MULTI_GPU, and loop.micro_batch_size where "
            "memory is short"
        )


def agree(training: Training, out: Path) -> None:
    """Raise `DataError` in every process unless all have found the same checkpoint."""
    if training.accelerator.num_processes == 1:
        return
    mine = torch.tensor([training.step], device=training.accelerator.device)
    steps = sorted(set(training.accelerator.gather(mine).tolist()))
    if len(steps) > 1:
        raise DataError(
            f"{out}: the processes found checkpoints of different steps ({', '.join(map(str, steps))}); OUT must be on a "
            "filesystem that all machines share, or copy it to each before --resume"
        )


def anywhere(training: Training, flag: bool) -> bool:
    """Whether a flag is up in any process; all must stop at the same step."""
    if training.accelerator.num_processes == 1:
        return flag
    given = torch.tensor(float(flag), device=training.accelerator.device)
    return float(training.accelerator.reduce(given, "sum")) > 0
