"""The published re-identification network, and how published weights fill a network of ours."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from echosyn.errors import ModelError
from echosyn.nn.siamese import SiameseNet
from echosyn.weights.pickles import read_checkpoint


def import_siamese(checkpoint: Path) -> SiameseNet:
    """The re-identification network of a ``*_best_network.pth``; its sizes are read off the weights."""
    found = read_checkpoint(checkpoint)
    expect(checkpoint, found, ("model.conv1.weight", "model.fc.weight", "fc_end.weight"), "Siamese ResNet-50")
    renamed = {_siamese_name(name): tensor for name, tensor in found.items()}
    channels, features = found["model.conv1.weight"].shape[1], found["model.fc.weight"].shape[0]
    network: SiameseNet = SiameseNet(in_channels=channels, embedding_size=features)
    fill(network, renamed, checkpoint)
    return network


def _siamese_name(name: str) -> str:
    return name.replace("fc_end.", "score.", 1) if name.startswith("fc_end.") else name.replace("model.", "network.", 1)


def expect(checkpoint: Path, found: Mapping[str, Tensor], names: tuple[str, ...], what: str) -> None:
    """Raise `ModelError` unless a checkpoint has the names that tell what it holds."""
    if missing := [name for name in names if name not in found]:
        raise ModelError(
            f"{checkpoint}: no {what}: it lacks {missing[0]!r} (first of its names: {next(iter(found))!r})"
        )


def fill(network: nn.Module, weights: Mapping[str, Tensor], checkpoint: Path) -> None:
    """Load tensors into a network; a `ModelError` names the first that does not fit."""
    try:
        network.load_state_dict(dict(weights))
    except RuntimeError as error:
        reason = " ".join(line.strip() for line in str(error).splitlines()[:2])
        raise ModelError(
            f"{checkpoint}: its weights do not fit ({reason}); give its own settings file with --config"
        ) from error
    network.eval().requires_grad_(False)
