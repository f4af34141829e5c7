"""Checkpoints that are pickles: read as plain tensors or refused, never executed."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from echosyn.errors import ModelError

WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Names under which training programs store the weights among other things."""

_NUMBERS: list[Any] = [
    np.dtype,
    np._core.multiarray.scalar,  # type: ignore[attr-defined]  # (numbers that programs store beside the weights)
    *(type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "int32", "bool")),
]


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The weights of a checkpoint file by name, without the ``module.`` that data-parallel training prefixes.

    Args:
        path: safetensors, or a pickle of torch that holds nothing but tensors and plain values.

    Raises:
        ModelError: there is no such file, it is damaged, has no weights, or is a pickle that would run code.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such checkpoint file")
    content = _safetensors(path) if path.suffix == ".safetensors" else _unpickled(path)
    for name in WRAPPERS:
        if isinstance(inner := content.get(name), Mapping):
            content = dict(inner)
            break
    weights = {str(name).removeprefix("module."): value for name, value in content.items() if isinstance(value, Tensor)}
    if not weights:
        raise ModelError(
            f"{path}: holds no weights; expected tensors by name, as torch.save(model.state_dict()) writes"
        )
    return weights


def _safetensors(path: Path) -> dict[str, Any]:
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: not a safetensors file ({error}); copy it again") from error


def _unpickled(path: Path) -> dict[str, Any]:
    try:
        with torch.serialization.safe_globals(_NUMBERS):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path}: refused: reading it would run code that it carries ({_culprit(error)}); ask its author for safetensors, "
            "or save its state_dict alone where you trust it"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path}: not a readable checkpoint ({reason}); copy it again") from error
    if not isinstance(content, Mapping):
        raise ModelError(f"{path}: holds a {type(content).__name__}, expected tensors by name")
    return dict(content)


def _culprit(error: Exception) -> str:
    """What torch refused, from its message of many lines."""
    marks = [line.strip() for line in str(error).splitlines() if "GLOBAL" in line or "Unsupported" in line]
    return (marks or ["an unsupported instruction"])[0][:120]
