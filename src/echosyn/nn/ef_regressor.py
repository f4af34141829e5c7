"""The networks that read the ejection fraction off a clip."""

import math
from collections.abc import Sequence
from typing import Literal, cast

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.video import r2plus1d_18

Backbone = Literal["r2plus1d_18", "small"]


class EFRegressor(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Clips in, ejection fraction in percent out.

    ``r2plus1d_18`` is the network of EchoNet-Dynamic (Ouyang et al. 2020; Tran et al. 2018): three channels, grey is
    repeated. ``small`` learns within a minute on a CPU: EF compares two moments of a beat, so every frame is described
    alone and the description's extremes over time are compared.

    Args:
        backbone: Which of the two.
        bias: Start of the output's bias, the mean EF of EchoNet-Dynamic.
        mean: Subtracted from the clips, in their units, one number or one for each channel; nothing is normalised without it.
        std: What the clips are then divided by, likewise.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        *,
        backbone: Backbone = "r2plus1d_18",
        bias: float = 55.6,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] = 1.0,
    ) -> None:
        super().__init__()
        if backbone == "small":
            extremes = _Extremes()
            self.network: nn.Module = extremes
            width = extremes.num_features
        elif backbone == "r2plus1d_18":
            published = r2plus1d_18(weights=None)
            width = int(published.fc.in_features)
            published.fc = nn.Identity()
            self.network = published
        else:
            raise ValueError(f"backbone is {backbone!r}, expected 'r2plus1d_18' or 'small'")
        self.head = nn.Linear(width, 1)
        nn.init.constant_(self.head.bias, bias)

    @property
    def blank(self) -> float:
        """The value that stands for no picture: black, or the mean, which is 0 to a network that normalises.

        NaN where each channel has its own mean, as grey levels have one for all.
        """
        mean = self.config.mean
        return -1.0 if mean is None else float(mean) if isinstance(mean, int | float) else math.nan

    def normalize(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        """From now on, subtract ``mean`` from the clips and divide by ``std``; both are stored with the weights."""
        self.register_to_config(mean=mean, std=std)

    def features(self, clips: Tensor) -> Tensor:
        """``(B, C, T, H, W)`` in [-1, 1], C = 1 or 3 -> penultimate features ``(B, D)``."""
        is_each = not isinstance(self.config.mean, int | float | None)
        if self.config.mean is not None and not is_each:
            clips = (clips - self.config.mean) / self.config.std
        channels = 1 if self.config.backbone == "small" else 3
        if clips.shape[1] != channels:
            clips = clips.mean(1, keepdim=True).expand(-1, channels, -1, -1, -1)
        if is_each:
            mean, std = (clips.new_tensor(v).view(-1, 1, 1, 1) for v in (self.config.mean, self.config.std))
            clips = ((clips - mean) / std).nan_to_num(nan=0.0)
        return cast(Tensor, self.network(clips))

    def forward(self, clips: Tensor) -> Tensor:
        """EF in percent, ``(B,)``."""
        return cast(Tensor, self.head(self.features(clips))[:, 0])


class _Extremes(nn.Module):
    """Frames at half resolution -> convolutions -> a short filter in time -> mean, and largest minus smallest."""

    def __init__(self, width: int = 16, channels: int = 64) -> None:
        super().__init__()

        def layer(inputs: int, outputs: int) -> nn.Sequential:
            convolution = nn.Conv2d(inputs, outputs, kernel_size=3, stride=2, padding=1)
            return nn.Sequential(convolution, nn.GroupNorm(4, outputs), nn.SiLU())

        self.frames = nn.Sequential(layer(1, width), layer(width, 2 * width), layer(2 * width, 4 * width))
        self.project = nn.Linear(4 * width * 49, channels)
        self.smooth = nn.Conv1d(channels, channels, kernel_size=5, padding=2, padding_mode="replicate")
        self.mix = nn.Sequential(nn.Linear(3 * channels, 128), nn.SiLU())
        self.num_features = 128

    def forward(self, clips: Tensor) -> Tensor:
        batch, _, _, height, width = clips.shape
        frames = F.avg_pool2d(clips.transpose(1, 2).reshape(-1, 1, height, width), 2)
        x = F.adaptive_avg_pool2d(self.frames(frames), 7).flatten(1)
        x = self.smooth(self.project(x).unflatten(0, (batch, -1)).transpose(1, 2))
        low, high = x.amin(-1), x.amax(-1)
        return cast(Tensor, self.mix(torch.cat([x.mean(-1), high - low, high + low], dim=1)))
