"""The EF regressor: a clip in, its ejection fraction out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import mse_loss
from torch.utils.data import Dataset

from echosyn import rng, weights
from echosyn.data import loading
from echosyn.data.records import Record
from echosyn.errors import DataError
from echosyn.pixels import Name, PixelConvention, convention
from echosyn.training.stage import Batch, Objective, Stage, StageSettings
from echosyn.training.stages.vae import reader


class EFSettings(StageSettings):
    """Which clips of a video are shown."""

    pixels: Name = "symmetric"
    fps: float = Field(32.0, gt=0)
    """Frame rate of the clips, in real time: videos of any frame rate show the same beats."""
    num_frames: int = Field(64, ge=2)
    shift: int = Field(0, ge=0)
    """Random translation in pixels, as augmentation."""


class EFStage(Stage):
    """Trains a regressor with mean squared error, in units of ten points."""

    name = "ef"
    needs_latents = False

    def __init__(self, settings: EFSettings) -> None:
        self.settings: EFSettings = settings
        with rng.initializing(settings.loop.seed):
            self.network = weights.network(settings.network)

    def items(self, data: Path, records: Sequence[Record]) -> Dataset[dict[str, Any]]:
        """Clips of the videos whose EF is known."""
        settings = self.settings
        usable = [r for r in records if r.ef is not None]
        if records and not usable:
            raise DataError(f"{data}: no TRAIN video has an EF to learn from")
        return loading.Clips(usable, reader(data), settings.fps, settings.num_frames, settings.loop.seed)

    def objectives(self) -> Mapping[str, Objective]:
        """One: the squared error."""
        return {"ef": Objective(list(self.network.parameters()), self.loss)}

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Squared error of EF / 10, and the mean absolute error in points."""
        clips = to_input(batch["clip"], convention(self.settings.pixels))
        if self.settings.shift:
            clips = shifted(clips, self.settings.shift, self.settings.loop.seed, batch["index"].tolist())
        predicted, ef = self.network(clips), batch["ef"].float()
        return {"loss": mse_loss(predicted / 10, ef / 10), "mae": (predicted - ef).abs().mean()}

    def export(self, folder: Path) -> None:
        """Write the model folder."""
        facts = weights.Facts(
            stage=self.name, pixels=self.settings.pixels, fps=self.settings.fps, num_frames=self.settings.num_frames
        )
        weights.save(self.network, folder, facts)


def to_input(clips: Tensor, pixels: PixelConvention) -> Tensor:
    """Uint8 grey clips ``(B, T, H, W)`` -> what the regressor sees, ``(B, 1, T, H, W)`` float32."""
    return pixels.to_model(clips).unsqueeze(1)


def shifted(clips: Tensor, most: int, seed: int, indices: Sequence[int]) -> Tensor:
    """Every clip ``(C, T, H, W)`` moved by up to ``most`` pixels, black where nothing was."""
    out = []
    for clip, generator in zip(clips, rng.generators(seed, "shift", indices), strict=True):
        dy, dx = (int(v) for v in torch.randint(-most, most + 1, (2,), generator=generator))
        padded = torch.nn.functional.pad(clip, (most, most, most, most), value=-1.0)
        h, w = clip.shape[-2:]
        out.append(padded[..., most + dy : most + dy + h, most + dx : most + dx + w])
    return torch.stack(out)
