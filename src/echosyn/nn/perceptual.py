"""How different two images look: distances between the features of a trained image network."""

import torch
from torch import Tensor

from echosyn.nn.efficientnet_lite import EfficientNetLite0

EPSILON = 1e-10


def perceptual_distance(network: EfficientNetLite0, a: Tensor, b: Tensor) -> Tensor:
    """The distance of each pair of images; 0 for equal ones, differentiable in both.

    LPIPS (Zhang et al. 2018, eq. 1) with all channel weights 1 and the mean over five depths: features are scaled to unit
    length at every place, and their squared difference is averaged over places. No number of the paper compares with it.

    Args:
        network: what sees the images.
        a: images ``(B, 1 or 3, H, W)`` in [-1, 1].
        b: likewise.

    Returns:
        ``(B,)``, float32, in 0..4; a visibly blurred frame is at about 0.3.
    """
    pairs = zip(network.taps(a), network.taps(b), strict=True)
    depths = [(_unit(x) - _unit(y)).square().sum(dim=1).mean(dim=(1, 2)) for x, y in pairs]
    return torch.stack(depths).mean(dim=0)


def _unit(features: Tensor) -> Tensor:
    features = features.float()
    # not x / sqrt(..): the root has no gradient at zero
    return features * torch.rsqrt(features.square().sum(dim=1, keepdim=True) + EPSILON)
