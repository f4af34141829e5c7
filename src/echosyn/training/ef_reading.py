"""Read the EF off one recording: its clips go through the regressor a few at a time, so any number of them fits in memory."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from echosyn.data import clips, loading
from echosyn.pixels import PixelConvention

CLIPS_AT_ONCE = 4

NumClips = int | Literal["all"]
"""So many clips of a video, spread evenly over it, or one from every frame on where one can start."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What a regressor says about a recording: means over its clips."""

    ef: float
    """Percent."""
    features: NDArray[np.float32]
    """Penultimate features, ``(d,)``."""
    num_clips: int


@dataclass(frozen=True, eq=False)
class EFReader:
    """A regressor with the clips that it was trained on."""

    network: Any
    """In evaluation mode."""
    pixels: PixelConvention
    fps: float
    num_frames: int
    period: int | None = None

    def __call__(self, frames: loading.Pixels, fps: float, num_clips: NumClips = 4) -> Reading:
        """The EF of a recording.

        Args:
            frames: grey, uint8 ``(T, H, W)``.
            fps: its frame rate.
            num_clips: how many clips to average over; ``all`` is EchoNet-Dynamic's test.
        """
        windows = clips.windows(len(frames), fps, self.fps, self.num_frames, self.period)
        chosen = windows if num_clips == "all" else windows.spread(num_clips)
        ef, features = 0.0, np.zeros(0)
        for i in range(0, len(chosen), CLIPS_AT_ONCE):
            part_ef, part_features = self._forward(frames, chosen[i : i + CLIPS_AT_ONCE])
            ef, features = ef + part_ef, features + part_features if i else part_features
        return Reading(ef / len(chosen), (features / len(chosen)).astype(np.float32), len(chosen))

    @torch.no_grad()
    def _forward(self, frames: loading.Pixels, chosen: list[clips.Indices]) -> tuple[float, NDArray[np.float64]]:
        """Sums of EF and features over a few clips."""
        batch = torch.stack([loading.pixel_clip(frames, c, self.num_frames) for c in chosen])
        shown = to_input(batch, [len(c) for c in chosen], self.pixels, self.network.blank)
        features = self.network.features(shown.to(next(self.network.parameters()).device))
        ef: float = self.network.head(features)[:, 0].double().sum().item()
        return ef, features.double().sum(0).cpu().numpy()


def to_input(batch: Tensor, lengths: list[int], pixels: PixelConvention, blank: float) -> Tensor:
    """Uint8 grey clips ``(B, T, H, W)`` -> what the regressor sees, ``(B, 1, T, H, W)`` float32; ``blank`` past the end."""
    shown = pixels.to_model(batch).unsqueeze(1)
    for clip, length in zip(shown, lengths, strict=True):
        clip[:, length:] = blank
    return shown
