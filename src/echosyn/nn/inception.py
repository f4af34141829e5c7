"""Inception-v3 of 2015-12-05, the network of FID and the inception score: torchvision's blocks with TensorFlow's poolings.

Against torchvision's classifier: average pools do not count the padding, the last block pools by maximum, there are 1,008
classes and no auxiliary head, and images are resized as TensorFlow 1 did.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import inception

from echosyn.errors import DataError

SIZE = 299
NUM_FEATURES = 2048
NUM_CLASSES = 1008


class InceptionV3(nn.Module):
    """Uint8 images in, ``pool3`` features and logits out; frozen, in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        conv = inception.BasicConv2d
        self.Conv2d_1a_3x3 = conv(3, 32, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = conv(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = conv(32, 64, kernel_size=3, padding=1)
        self.Conv2d_3b_1x1 = conv(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = conv(80, 192, kernel_size=3)
        self.Mixed_5b = _A(192, pool_features=32)
        self.Mixed_5c = _A(256, pool_features=64)
        self.Mixed_5d = _A(288, pool_features=64)
        self.Mixed_6a = inception.InceptionB(288)
        self.Mixed_6b = _C(768, channels_7x7=128)
        self.Mixed_6c = _C(768, channels_7x7=160)
        self.Mixed_6d = _C(768, channels_7x7=160)
        self.Mixed_6e = _C(768, channels_7x7=192)
        self.Mixed_7a = inception.InceptionD(768)
        self.Mixed_7b = _E(1280, largest=False)
        self.Mixed_7c = _E(2048, largest=True)
        self.fc = nn.Linear(NUM_FEATURES, NUM_CLASSES)
        self.requires_grad_(False).eval()

    def pooled(self, images: Tensor) -> Tensor:
        """Uint8 images ``(B, 1 or 3, H, W)`` of any size -> ``pool3``, ``(B, 2048)``; grey becomes three equal channels."""
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
            raise DataError(f"images are {images.dtype} {tuple(images.shape)}, expected uint8 (B, 1 or 3, H, W)")
        x = (resized_as_tensorflow(images.float(), SIZE) - 128) / 128
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x.expand(-1, 3, -1, -1))))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, stride=2)))
        x = F.max_pool2d(x, 3, stride=2)
        for name, block in self.named_children():
            if name.startswith("Mixed"):
                x = block(x)
        return x.mean(dim=(2, 3))

    def logits(self, features: Tensor) -> Tensor:
        """``pool3`` features ``(B, 2048)`` -> logits ``(B, 1008)`` without the bias, as the inception score takes them."""
        return F.linear(features, self.fc.weight)


def resized_as_tensorflow(images: Tensor, size: int) -> Tensor:
    """Bilinear, as TensorFlow 1 resized: place ``i`` reads at ``i * old / new``, without half a pixel and without smoothing.

    Args:
        images: Shape ``(B, C, H, W)``.
        size: New height and width.
    """
    for axis in (2, 3):
        old = images.shape[axis]
        at = torch.arange(size, dtype=torch.float32) * (old / size)
        below = at.floor().long().clamp(max=old - 1)
        above = (below + 1).clamp(max=old - 1)
        shape = [1, 1, 1, 1]
        shape[axis] = size
        share = (at - below).view(shape).to(images.device)
        lower, upper = (images.index_select(axis, i.to(images.device)) for i in (below, above))
        images = lower + (upper - lower) * share
    return images


def _average(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, kernel_size=3, stride=1, padding=1, count_include_pad=False)


class _A(inception.InceptionA):  # type: ignore[misc]
    def _forward(self, x: Tensor) -> list[Tensor]:
        five = self.branch5x5_2(self.branch5x5_1(x))
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return [self.branch1x1(x), five, double, self.branch_pool(_average(x))]


class _C(inception.InceptionC):  # type: ignore[misc]
    def _forward(self, x: Tensor) -> list[Tensor]:
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = x
        for i in range(1, 6):
            double = getattr(self, f"branch7x7dbl_{i}")(double)
        return [self.branch1x1(x), seven, double, self.branch_pool(_average(x))]


class _E(inception.InceptionE):  # type: ignore[misc]
    def __init__(self, in_channels: int, *, largest: bool) -> None:
        super().__init__(in_channels)
        self.largest = largest

    def _forward(self, x: Tensor) -> list[Tensor]:
        three = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = F.max_pool2d(x, kernel_size=3, stride=1, padding=1) if self.largest else _average(x)
        return [
            self.branch1x1(x),
            torch.cat([self.branch3x3_2a(three), self.branch3x3_2b(three)], 1),
            torch.cat([self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)], 1),
            self.branch_pool(pooled),
        ]
