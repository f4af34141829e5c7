"""Files of others with the weights of torchvision's r2plus1d_18: Kinetics', and EchoNet-Dynamic's ``best.pt``."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from echosyn.errors import ModelError
from echosyn.nn.ef_regressor import EFRegressor

CURE = "expected torchvision's r2plus1d_18 (Kinetics) or EchoNet-Dynamic's best.pt"


def read_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a file under torchvision's names, and what else the file says (``frames``, ``period``, ...).

    Nothing in the file is executed: tensors, plain values and NumPy's numbers are read, anything else is refused.

    Raises:
        ModelError: it cannot be read, or its tensors are not those of an r2plus1d_18.
    """
    content = _load(path)
    if not isinstance(content, Mapping):
        raise ModelError(f"{path}: holds a {type(content).__name__}; {CURE}")
    state = content.get("state_dict", content)
    rest = {str(k): v for k, v in content.items() if k != "state_dict"} if "state_dict" in content else {}
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ModelError(f"{path}: has no table of tensors; {CURE}")
    return {str(name).removeprefix("module."): tensor for name, tensor in state.items()}, rest


def load_published(network: EFRegressor, state: Mapping[str, Tensor], where: Path) -> bool:
    """Put tensors under torchvision's names into a network; whether the last layer came along: if it has one output.

    Raises:
        ModelError: they are not those of an r2plus1d_18.
    """
    body = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
    expected = network.network.state_dict()
    different = [n for n in sorted(expected.keys() | body.keys()) if _shape(expected.get(n)) != _shape(body.get(n))]
    if different:
        found, wanted = _shape(body.get(different[0])), _shape(expected.get(different[0]))
        raise ModelError(
            f"{where}: {len(different)} tensor(s) are not those of an r2plus1d_18, first {different[0]!r} (found {found}, "
            f"expected {wanted}); {CURE}"
        )
    network.network.load_state_dict(body)
    head = {name: state.get(f"fc.{name}") for name in network.head.state_dict()}
    one_output = all(_shape(head[name]) == _shape(tensor) for name, tensor in network.head.state_dict().items())
    if one_output:
        network.head.load_state_dict(head)
    return one_output


def _load(path: Path) -> Any:
    if not path.is_file():
        raise ModelError(f"{path}: no such file; {CURE}")
    try:
        with torch.serialization.safe_globals(_numpy_numbers()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise ModelError(f"{path}: cannot be read safely ({reason}); {CURE}") from error


def _numpy_numbers() -> list[Any]:
    """What a NumPy number in a file is made of (EchoNet-Dynamic stores its R2 as one), under its old and new name."""
    scalar = np.float64(0).__reduce__()[0]
    kinds = [type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64)]
    return [(scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar"), np.dtype, *kinds]


def _shape(tensor: Tensor | None) -> tuple[int, ...] | None:
    return None if tensor is None else tuple(tensor.shape)
