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
Levels = float | tuple[float, ...]
"""Of grey levels 0..255, one number or one for each channel."""
MEAN, STD = (32.660564, 32.79394, 33.07615), (49.802944, 49.89014, 50.17571)
"""Of grey levels, red, green, blue: constants of EchoNet-Synthetic's evaluation, whatever it trains on."""
READING: Mapping[str, Any] = {"stage": "ef", "pixels": PIXELS, "period": 2, "num_frames": 32}
"""How that evaluation reads real videos: every second frame, whatever the training took of synthetic ones."""


def import_echonet_dynamic_ef(checkpoint: Path, folder: Path, *, mean: Levels = MEAN, std: Levels = STD) -> None:
    """EchoNet-Dynamic's EF regressor as a model folder.

    Args:
        checkpoint: its ``best.pt``, or ``r2plus1d_18_32_2_pretrained.pt`` of its release.
        folder: model folder to write; an existing one is replaced.
        mean: of the grey levels 0..255 that it was trained on, which the file does not say; default EchoNet-Synthetic's
            (EchoNet-Dynamic measured its TRAIN videos, as does `echosyn.data.grey_levels.mean_and_std`).
        std: their standard deviation.

    Raises:
        ModelError: the file cannot be read safely, or it is another network.
    """
    network, frames = read_regressor(checkpoint, mean, std)
    weights.save(network, folder, weights.Facts(**{**READING, "num_frames": frames}))


def read_regressor(checkpoint: Path, mean: Levels = MEAN, std: Levels = STD) -> tuple[EFRegressor, int]:
    """The network of a ``best.pt`` in evaluation mode, and how many frames its clips have."""
    state, rest = read_state(checkpoint)
    network = EFRegressor()
    if not r2plus1d.load_published(network, state, checkpoint):
        raise ModelError(
            f"{checkpoint}: its last layer is not an EF's (one output); expected EchoNet-Dynamic's best.pt"
        )
    normalize(network, mean, std)
    return network.eval().requires_grad_(False), int(rest.get("frames", READING["num_frames"]))


def normalize(network: EFRegressor, mean: Levels = MEAN, std: Levels = STD) -> None:
    """Let a regressor normalise grey levels 0..255 as EchoNet-Synthetic's evaluation does."""
    scale = pixels.convention(PIXELS).scale
    if isinstance(mean, tuple) and isinstance(std, tuple):
        network.normalize([m / scale - 1 for m in mean], [s / scale for s in std])
    elif isinstance(mean, float | int) and isinstance(std, float | int):
        network.normalize(mean / scale - 1, std / scale)


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
