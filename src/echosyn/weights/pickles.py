"""Checkpoints that are pickles: tensors and plain values are read, classes are stood in for, nothing is executed."""

import pickle
import sys
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from echosyn.errors import ModelError
from echosyn.tensors import aligned, read_tensors

PACKAGES = ("torch", "numpy")
"""Of whose functions torch itself decides."""
HARMLESS = (
    "argparse.Namespace",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "pathlib.PurePosixPath",
    "datetime.timedelta",
)
"""Classes of Python that checkpoints carry; they, too, are stood in for."""
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
    """What a pickle of torch holds: tensors, plain values and NumPy's numbers; nothing is executed.

    For classes of other packages, which training programs leave in their checkpoints, stand `StandIn`; what Python itself brings
    along is refused, as a checkpoint has no use for it.

    Raises:
        ModelError: there is no such file, it is damaged, or reading it would run code.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file; expected a checkpoint")
    try:
        with torch.serialization.safe_globals([*_numpy_numbers(), *_stand_ins(path)]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path}: cannot be read safely and is refused ({_culprit(error)}); ask its author for safetensors, or save its "
            "state_dict alone where you trust it"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise ModelError(f"{path}: cannot be read safely ({reason}); copy it again") from error


class StandIn:
    """In the place of an object whose class is not known here: takes whatever it is given, and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> "StandIn":
        """One, whatever the arguments."""
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        """Forget it."""


def _stand_ins(path: Path) -> list[tuple[type, str]]:
    """A class with nothing in it for each name in a file that is of another package, and that torch would refuse."""
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except (ValueError, RuntimeError, EOFError, OSError, pickle.UnpicklingError):
        return []  # an older format, or no checkpoint: whoever reads it will say so
    own = (*sys.stdlib_module_names, *PACKAGES, "__builtin__")
    foreign = [name for name in names if name in HARMLESS or name.partition(".")[0] not in own]
    return [(_stand_in(name.rpartition(".")[2]), name) for name in foreign]


def _stand_in(name: str) -> type:
    """For what is a mapping by its name, one that takes items; else a class of its own, as classes are keys, too."""
    return OrderedDict if "dict" in name.lower() else type(name, (StandIn,), {})


def _numpy_numbers() -> list[Any]:
    """What a NumPy number in a file is made of (EchoNet-Dynamic stores its R2 as one), under its old and new name."""
    scalar = np.float64(0).__reduce__()[0]
    kinds = [type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64)]
    return [(scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar"), np.dtype, *kinds]


def _culprit(error: Exception) -> str:
    """What torch refused, from its message of many lines."""
    marks = [line.strip() for line in str(error).splitlines() if "GLOBAL" in line or "Unsupported" in line]
    return (marks or ["an unsupported instruction"])[0][:120]
