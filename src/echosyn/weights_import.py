"""Weights that others published as pickles -> model folders; nothing in the file is executed."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from echosyn import pixels, weights
from echosyn.errors import ModelError
from echosyn.nn import r2plus1d
from echosyn.nn.ef_regressor import EFRegressor

PIXELS: pixels.Name = "symmetric"


def import_echonet_dynamic_ef(checkpoint: Path, folder: Path, *, mean: float, std: float) -> None:
    """EchoNet-Dynamic's EF regressor as a model folder.

    Args:
        checkpoint: its ``best.pt``, or ``r2plus1d_18_32_2_pretrained.pt`` of its release.
        folder: model folder to write; an existing one is replaced.
        mean: of the grey levels 0..255 that it was trained on: the file does not say
            (`echosyn.data.levels.mean_and_std` measures it; EchoNet-Dynamic did on its TRAIN videos).
        std: their standard deviation.

    Raises:
        ModelError: the file cannot be read safely, or it is another network.
    """
    state, rest = read_state(checkpoint)
    network = EFRegressor()
    if not r2plus1d.load_published(network, state, checkpoint):
        raise ModelError(
            f"{checkpoint}: its last layer is not an EF's (one output); expected EchoNet-Dynamic's best.pt"
        )
    scale = pixels.convention(PIXELS).scale
    network.normalize(mean / scale - 1, std / scale)
    facts = weights.Facts(
        stage="ef", pixels=PIXELS, period=int(rest.get("period", 2)), num_frames=int(rest.get("frames", 32))
    )
    weights.save(network, folder, facts)


def read_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a file under torchvision's names, and what else the file says (``frames``, ``period``, ...).

    Nothing in the file is executed: tensors, plain values and NumPy's numbers are read, anything else is refused.

    Raises:
        ModelError: it cannot be read, or it has no table of tensors.
    """
    content = _load(path)
    if not isinstance(content, Mapping):
        raise ModelError(f"{path}: holds a {type(content).__name__}; {r2plus1d.EXPECTED}")
    state = content.get("state_dict", content)
    rest = {str(k): v for k, v in content.items() if k != "state_dict"} if "state_dict" in content else {}
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ModelError(f"{path}: has no table of tensors; {r2plus1d.EXPECTED}")
    return {str(name).removeprefix("module."): tensor for name, tensor in state.items()}, rest


def _load(path: Path) -> Any:
    if not path.is_file():
        raise ModelError(f"{path}: no such file; {r2plus1d.EXPECTED}")
    try:
        with torch.serialization.safe_globals(_numpy_numbers()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise ModelError(f"{path}: cannot be read safely ({reason}); {r2plus1d.EXPECTED}") from error


def _numpy_numbers() -> list[Any]:
    """What a NumPy number in a file is made of (EchoNet-Dynamic stores its R2 as one), under its old and new name."""
    scalar = np.float64(0).__reduce__()[0]
    kinds = [type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64)]
    return [(scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar"), np.dtype, *kinds]
