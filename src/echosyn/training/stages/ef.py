"""The EF regressor: a clip in, its ejection fraction out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn.functional import mse_loss, pad, smooth_l1_loss
from torch.utils.data import Dataset

from echosyn import rng, weights
from echosyn.data import grey_levels, loading
from echosyn.data.records import Record
from echosyn.errors import DataError
from echosyn.metrics import plots
from echosyn.metrics.regression import regression_report
from echosyn.nn import r2plus1d
from echosyn.pixels import Name, convention
from echosyn.training.ef_reading import EFReader, to_input
from echosyn.training.stage import Batch, Objective, Stage, StageSettings
from echosyn.training.stages.vae import reader
from echosyn.weights.echonet_dynamic import normalize, read_state

VALIDATED = ("mae", "rmse", "r2")


class EFSettings(StageSettings):
    """Clip sampling and loss."""

    pretrained: Path | None = None
    """File of torchvision's r2plus1d_18 (Kinetics) to start from, or of EchoNet-Dynamic's ``best.pt``; nothing is downloaded."""
    pixels: Name = "symmetric"
    """How grey levels are shown to the network."""
    normalization: Literal["range", "dataset", "echonet"] = "range"
    """``dataset``: subtract the mean of TRAIN's grey levels and divide by their standard deviation, as EchoNet-Dynamic;
    ``echonet``: its constants in EchoNet-Synthetic's evaluation, whatever is trained on."""
    fps: float = Field(32.0, gt=0)
    """Frame rate of the clips, in real time: videos of any frame rate show the same beats."""
    period: int | None = Field(None, ge=1)
    """Take every n-th frame regardless of frame rate, as EchoNet-Dynamic does; ``fps`` then has no effect."""
    read_period: int | None = Field(None, ge=1)
    """Period at which held-out videos, and whatever the model reads later, are read; none takes ``period``. Published: 2, also
    where training clips of synthetic videos take every frame."""
    num_frames: int = Field(64, ge=2)
    """Frames of a clip."""
    shift: int = Field(0, ge=0)
    """Random translation in pixels, as augmentation."""
    gain: float = Field(0.0, ge=0, lt=1)
    """Random gain of ``1 - gain .. 1 + gain`` on the grey levels, as augmentation."""
    loss: Literal["smooth_l1", "mse"] = "smooth_l1"
    """Smooth L1 of EF / 10 (Huber, bend at 10 points), or the squared error in points (EchoNet-Dynamic)."""
    choose_by: Literal["mae", "rmse"] = "mae"
    """By which error of held-out videos weights are chosen; EchoNet-Dynamic: the squared one."""

    @model_validator(mode="after")
    def _pretrained_fits(self) -> "EFSettings":
        backbone = self.network.get("backbone", "r2plus1d_18")
        if self.normalization == "echonet" and (backbone != "r2plus1d_18" or self.pixels != "symmetric"):
            raise ValueError(
                "normalization = echonet has a constant for each of three channels: expected an r2plus1d_18, symmetric"
            )
        if self.pretrained is not None and backbone != "r2plus1d_18":
            raise ValueError(f"pretrained weights are those of an r2plus1d_18, network.backbone is {backbone!r}")
        return self


class EFStage(Stage):
    """Trains a regressor and tests it on held-out videos."""

    name = "ef"
    needs_latents = False

    def __init__(self, settings: EFSettings) -> None:
        self.settings: EFSettings = settings
        self.criterion = (settings.choose_by, "min")
        self.read_period = settings.period if settings.read_period is None else settings.read_period
        with rng.initializing(settings.loop.seed):
            self.network = self.begin()
        if settings.normalization == "echonet":
            normalize(self.network)
        if settings.pretrained is not None:
            r2plus1d.load_published(self.network, read_state(settings.pretrained)[0], settings.pretrained)

    def items(self, data: Path, records: Sequence[Record]) -> Dataset[dict[str, Any]]:
        """Clips of the videos whose EF is known; measures their grey levels if the network is to know them."""
        settings = self.settings
        usable = [r for r in records if r.ef is not None]
        if records and not usable:
            raise DataError(
                f"{data}: no TRAIN video has an EF; expected labels in the EF column of "
                "FileList.csv: fill it, or import with --labels"
            )
        read = reader(data)
        if settings.normalization == "dataset" and usable:
            mean, std = grey_levels.mean_and_std(read, usable, settings.loop.seed)
            scale = convention(settings.pixels).scale
            self.network.normalize(mean / scale - 1, std / scale)
        seed = settings.loop.seed
        return loading.Clips(usable, read, settings.fps, settings.num_frames, seed, settings.period)

    def objectives(self) -> Mapping[str, Objective]:
        """One: the error of the EF."""
        return {"ef": Objective(list(self.network.parameters()), self.loss)}

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The error that `EFSettings.loss` says, and the mean absolute error in points."""
        settings, blank = self.settings, self.network.blank
        clips = to_input(batch["clip"], batch["length"].tolist(), convention(settings.pixels), blank)
        if settings.shift or settings.gain:
            seed, indices = settings.loop.seed, batch["index"].tolist()
            clips = augmented(clips, settings.shift, settings.gain, seed, indices, blank)
        predicted, ef = self.network(clips), batch["ef"].float()
        loss = mse_loss(predicted, ef) if settings.loss == "mse" else smooth_l1_loss(predicted / 10, ef / 10)
        return {"loss": loss, "mae": (predicted - ef).abs().mean()}

    @torch.no_grad()
    def validate(self, data: Path, records: Sequence[Record], folder: Path) -> dict[str, float]:
        """MAE, RMSE and R2 with 95 % intervals over patients, on four clips a video; ``ef.png`` shows every video."""
        known = [r for r in records if r.ef is not None and r.fps is not None]
        if not known:
            return {}
        settings, read = self.settings, reader(data)
        ef_of = EFReader(self.network, convention(settings.pixels), settings.fps, settings.num_frames, self.read_period)
        predicted = np.array([ef_of(read(r), r.fps or settings.fps).ef for r in known])
        target = np.array([r.ef for r in known], float)
        (folder / "ef.png").write_bytes(
            plots.scatter(target, predicted, "Held-out videos", "EF (%)", "Predicted EF (%)")
        )
        error = np.abs(predicted - target)
        few = {"videos": float(len(known)), "mae": float(error.mean()), "rmse": float(np.sqrt((error**2).mean()))}
        report = regression_report(predicted, target, seed=settings.loop.seed, groups=[r.patient for r in known])
        return few | _numbers(report.to_json())

    def export(self, folder: Path) -> None:
        """Write the model folder."""
        settings = self.settings
        facts = weights.Facts(
            stage=self.name,
            pixels=settings.pixels,
            fps=settings.fps,
            period=self.read_period,
            num_frames=settings.num_frames,
        )
        weights.save(self.network, folder, facts)


def augmented(clips: Tensor, shift: int, gain: float, seed: int, indices: Sequence[int], blank: float = -1.0) -> Tensor:
    """Clips ``(B, C, T, H, W)`` in [-1, 1], each moved by up to ``shift`` pixels and scaled by ``1 - gain .. 1 + gain``.

    ``blank`` comes in at the borders; black stays black under gain, bright is clipped at 1.
    """
    height, width = clips.shape[-2:]
    out = []
    for clip, generator in zip(clips, rng.generators(seed, "augmentation", indices), strict=True):
        dy, dx = (int(v) for v in torch.randint(0, 2 * shift + 1, (2,), generator=generator))
        factor = 1 + gain * (2 * float(torch.rand((), generator=generator)) - 1)
        brighter = ((clip + 1) * factor - 1).clamp(max=1)
        out.append(pad(brighter, (shift, shift, shift, shift), value=blank)[..., dy : dy + height, dx : dx + width])
    return torch.stack(out)


def _numbers(report: Mapping[str, Any]) -> dict[str, float]:
    """``mae``, ``mae_low``, ``mae_high``, ...: what a report could compute."""
    named = {
        name if part == "value" else f"{name}_{part}": report[name][part]
        for name in VALIDATED
        for part in ("value", "low", "high")
    }
    return {name: value for name, value in named.items() if value is not None}
