"""Weights under the names of torchvision's r2plus1d_18 (Kinetics', EchoNet-Dynamic's) in our regressor."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from echosyn.errors import ModelError
from echosyn.nn.ef_regressor import EFRegressor

EXPECTED = "expected torchvision's r2plus1d_18 (Kinetics) or EchoNet-Dynamic's best.pt"


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
            f"expected {wanted}); {EXPECTED}"
        )
    network.network.load_state_dict(body)
    head = {name: state.get(f"fc.{name}") for name in network.head.state_dict()}
    one_output = all(_shape(head[name]) == _shape(tensor) for name, tensor in network.head.state_dict().items())
    if one_output:
        network.head.load_state_dict(head)
    return one_output


def _shape(tensor: Tensor | None) -> tuple[int, ...] | None:
    return None if tensor is None else tuple(tensor.shape)
