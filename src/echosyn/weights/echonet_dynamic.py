"""EchoNet-Dynamic's EF regressor as a model folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from echosyn import pixels, weights
from echosyn.errors import ModelError
from echosyn.nn import r2plus1d
from echosyn.nn.ef_regressor import EFRegressor
from echosyn.weights.pickles import unpickled

PIXELS: pixels.Name = "symmetric"


def import_echonet_dynamic_ef(checkpoint: Path, folder: Path, *, mean: float, std: float) -> None:
    """EchoNet-Dynamic's EF regressor as a model folder.

    Args:
        checkpoint: its ``best.pt``, or ``r2plus1d_18_32_2_pretrained.pt`` of its release.
        folder: model folder to write; an existing one is replaced.
        mean: of the grey levels 0..255 that it was trained on: the file does not say
            (`echosyn.data.grey_levels.mean_and_std` measures it; EchoNet-Dynamic did on its TRAIN videos).
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
    content = unpickled(path)
    if not isinstance(content, Mapping):
        raise ModelError(f"{path}: holds a {type(content).__name__}; {r2plus1d.EXPECTED}")
    state = content.get("state_dict", content)
    rest = {str(k): v for k, v in content.items() if k != "state_dict"} if "state_dict" in content else {}
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ModelError(f"{path}: has no table of tensors; {r2plus1d.EXPECTED}")
    return {str(name).removeprefix("module."): tensor for name, tensor in state.items()}, rest
