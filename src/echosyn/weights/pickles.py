"""Checkpoints that are pickles: read as plain tensors or refused, never executed."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from echosyn.errors import ModelError
from echosyn.tensors import aligned, read_tensors

WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Names under which training programs store the weights among other things."""


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The weights of a checkpoint file by name, aligned, without the ``module.`` that data-parallel training prefixes.

    Args:
        path: safetensors, or a pickle of torch that holds nothing but tensors and plain values.

    Raises:
        ModelError: there is no such file, it is damaged, has no weights, or is a pickle that would run code.
    """
    content = _safetensors(path) if path.suffix == ".safetensors" else unpickled(path)
    if not isinstance(content, Mapping):
        raise ModelError(f"{path}: holds a {type(content).__name__}, expected tensors by name")
    for name in WRAPPERS:
        if isinstance(inner := content.get(name), Mapping):
            content = dict(inner)
            break
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    weights = {name.removeprefix("module."): aligned(value) for name, value in tensors.items()}
    if not weights:
        raise ModelError(
            f"{path}: holds no weights; expected tensors by name, as torch.save(model.state_dict()) writes"
        )
    return weights


def _safetensors(path: Path) -> dict[str, Any]:
    try:
        return dict(read_tensors(path))
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: no readable safetensors file ({error}); copy it again") from error


def unpickled(path: Path) -> Any:
    """What a pickle of torch holds: tensors, plain values and NumPy's numbers; anything else is refused, nothing executed.

    Raises:
        ModelError: there is no such file, it is damaged, or reading it would run code.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file; expected a checkpoint")
    try:
        with torch.serialization.safe_globals(_numpy_numbers()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path}: cannot be read safely and is refused ({_culprit(error)}); ask its author for safetensors, or save its "
            "state_dict alone where you trust it"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise ModelError(f"{path}: cannot be read safely ({reason}); copy it again") from error


def _numpy_numbers() -> list[Any]:
    """What a NumPy number in a file is made of (EchoNet-Dynamic stores its R2 as one), under its old and new name."""
    scalar = np.float64(0).__reduce__()[0]
    kinds = [type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64)]
    return [(scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar"), np.dtype, *kinds]


def _culprit(error: Exception) -> str:
    """What torch refused, from its message of many lines."""
    marks = [line.strip() for line in str(error).splitlines() if "GLOBAL" in line or "Unsupported" in line]
    return (marks or ["an unsupported instruction"])[0][:120]
