"""The EF regressor: a clip in, its ejection fraction out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import pad, smooth_l1_loss
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
    """How grey levels are shown to the network."""
    fps: float = Field(32.0, gt=0)
    """Frame rate of the clips, in real time: videos of any frame rate show the same beats."""
    num_frames: int = Field(64, ge=2)
    """Frames of a clip."""
    shift: int = Field(0, ge=0)
    """Random translation in pixels, as augmentation."""
    gain: float = Field(0.0, ge=0, lt=1)
    """Random gain of ``1 - gain .. 1 + gain`` on the grey levels, as augmentation."""


class EFStage(Stage):
    """Trains a regressor with a loss that is square for small errors and absolute for large ones."""

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
        """One: the error of the EF."""
        return {"ef": Objective(list(self.network.parameters()), self.loss)}

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Smooth L1 error of EF / 10 (Huber, bend at 10 points), and the mean absolute error in points."""
        settings = self.settings
        clips = to_input(batch["clip"], convention(settings.pixels))
        if settings.shift or settings.gain:
            clips = augmented(clips, settings.shift, settings.gain, settings.loop.seed, batch["index"].tolist())
        predicted, ef = self.network(clips), batch["ef"].float()
        return {"loss": smooth_l1_loss(predicted / 10, ef / 10), "mae": (predicted - ef).abs().mean()}

    def export(self, folder: Path) -> None:
        """Write the model folder."""
        facts = weights.Facts(
            stage=self.name, pixels=self.settings.pixels, fps=self.settings.fps, num_frames=self.settings.num_frames
        )
        weights.save(self.network, folder, facts)


def to_input(clips: Tensor, pixels: PixelConvention) -> Tensor:
    """Uint8 grey clips ``(B, T, H, W)`` -> what the regressor sees, ``(B, 1, T, H, W)`` float32."""
    return pixels.to_model(clips).unsqueeze(1)


def augmented(clips: Tensor, shift: int, gain: float, seed: int, indices: Sequence[int]) -> Tensor:
    """Clips ``(B, C, T, H, W)`` in [-1, 1], each moved by up to ``shift`` pixels and scaled by ``1 - gain .. 1 + gain``.

    Black (-1) comes in at the borders, and stays black under gain; bright is clipped at 1.
    """
    height, width = clips.shape[-2:]
    out = []
    for clip, generator in zip(clips, rng.generators(seed, "augmentation", indices), strict=True):
        dy, dx = (int(v) for v in torch.randint(0, 2 * shift + 1, (2,), generator=generator))
        factor = 1 + gain * (2 * float(torch.rand((), generator=generator)) - 1)
        padded = pad(clip, (shift, shift, shift, shift), value=-1.0)
        out.append(((padded[..., dy : dy + height, dx : dx + width] + 1) * factor - 1).clamp(max=1))
    return torch.stack(out)
