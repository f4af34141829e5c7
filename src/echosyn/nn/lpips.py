"""LPIPS (Zhang et al. 2018): how different two images look to VGG-16, every channel weighed as people judged pairs of patches.

The weights of the channels come with torchmetrics; those of VGG-16 are torchvision's, and are never downloaded from here.
"""

from importlib import resources
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn
from torchvision.models import vgg16

from echosyn.errors import MissingExtraError, ModelError
from echosyn.extras import require

FILE = "vgg16-397923af.pth"
"""Torchvision's name of its ImageNet weights."""
ENDS = (4, 9, 16, 23, 30)
"""Layers of ``vgg16().features`` after which features are compared: the last activation of each block."""
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Of ImageNet's channels in [-1, 1]."""
EPSILON = 1e-10


class LPIPS(nn.Module):
    """The distance of each pair of images; 0 for equal ones, differentiable in both; frozen.

    Args:
        features: ``vgg16().features``.
        channels: weight of every channel at each of the five depths, ``(C,)`` each, from 0 on.
    """

    def __init__(self, features: nn.Sequential, channels: list[Tensor]) -> None:
        super().__init__()
        self.depths = nn.ModuleList(features[start:end] for start, end in zip((0, *ENDS), ENDS, strict=False))
        for i, each in enumerate(channels):
            self.register_buffer(f"channels_{i}", each)
        self.requires_grad_(False).eval()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Images ``(B, 1 or 3, H, W)`` in [-1, 1], at least 16x16 -> ``(B,)``, float32."""
        total = torch.zeros(len(a), device=a.device)
        a, b = _standard(a), _standard(b)
        for i, depth in enumerate(self.depths):
            a, b = depth(a), depth(b)
            apart = (_unit(a) - _unit(b)).square() * getattr(self, f"channels_{i}").view(-1, 1, 1)
            total = total + apart.sum(dim=1).mean(dim=(1, 2))
        return total


def load(path: Path | None = None) -> LPIPS:
    """The network with its published weights.

    Args:
        path: torchvision's weights of VGG-16; default where torch keeps what it has downloaded.

    Raises:
        MissingExtraError: no file was given, and torch keeps none.
        ModelError: the file is missing, damaged, or of another network.
    """
    file = path or Path(torch.hub.get_dir()) / "checkpoints" / FILE
    if path is None and not file.is_file():
        raise MissingExtraError(
            f"no {file}: `echosyn weights fetch torchvision/vgg16`, then --set perceptual_backbone=FOLDER/torchvision/{FILE}"
        )
    with torch.device("meta"):
        features = vgg16(weights=None).features
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
        state = {name.removeprefix("features."): found[name] for name in found if name.startswith("features.")}
        features.load_state_dict(state, assign=True)
    except (UnpicklingError, RuntimeError, EOFError, OSError, AttributeError, TypeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()[:160]
        raise ModelError(f"{file}: not the weights of torchvision's VGG-16 ({reason}); expected {FILE}") from error
    return LPIPS(features, channel_weights())


def channel_weights() -> list[Tensor]:
    """The published weights of the channels, ``(C,)`` at each depth (version 0.1)."""
    package = require("torchmetrics.functional.image", extra="train").__name__
    with resources.as_file(resources.files(package) / "lpips_models" / "vgg.pth") as path:
        found = torch.load(path, map_location="cpu", weights_only=True)
    return [found[f"lin{i}.model.1.weight"].flatten() for i in range(len(ENDS))]


def _standard(images: Tensor) -> Tensor:
    shift, scale = (images.new_tensor(values).view(1, 3, 1, 1) for values in (SHIFT, SCALE))
    return (images.float() - shift) / scale


def _unit(features: Tensor) -> Tensor:
    features = features.float()
    # not x / sqrt(..): the root has no gradient at zero
    return features * torch.rsqrt(features.square().sum(dim=1, keepdim=True) + EPSILON)
