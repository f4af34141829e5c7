"""The outline of the left ventricle: a still in, the cavity's pixels out."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from echosyn import rng, weights
from echosyn.data import loading, outlines
from echosyn.data.records import Record, Tracing
from echosyn.errors import DataError
from echosyn.training.stage import Batch, Objective, Stage, StageSettings
from echosyn.training.stages.vae import reader

SMOOTH = 1.0
"""Pixels added to both sides of a Dice coefficient, so that an empty mask has one."""
HAZY = 0.7
"""Share of stills that are shown through haze."""
COMPRESSION = 11.0
"""Natural logarithms of power from black to white: 48 dB, as scanners show them."""


class OutlineSettings(StageSettings):
    """Augmentation: how much stills of other scanners and patients may differ from those learned from."""

    rotation: float = Field(0.3, ge=0)
    """Largest rotation, radians."""
    zoom: float = Field(0.2, ge=0)
    """Largest logarithm of a zoom."""
    stretch: float = Field(0.2, ge=0, lt=1)
    """Largest relative change of width and of height, each by itself."""
    shift: float = Field(0.1, ge=0)
    """Largest movement over the frame's size."""
    contrast: float = Field(0.6, ge=0)
    """Largest logarithm of the exponent of grey levels."""
    gain: float = Field(0.35, ge=0)
    """Standard deviation of the logarithm of a gain that changes slowly over the frame."""
    haze: float = Field(0.45, ge=0)
    """Largest grey level of haze, which hides what is darker; white is 1."""
    noise: float = Field(0.08, ge=0)
    """Largest standard deviation of noise; white is 1."""


class TracedStills(loading.Items):
    """``{"frame": uint8 (H, W), "mask": uint8 (H, W), "index": g}``: traced stills in turn."""

    def __init__(
        self,
        records: Sequence[Record],
        read: loading.ReadVideo,
        traced: Mapping[str, Mapping[int, list[Tracing]]],
        seed: int,
    ) -> None:
        super().__init__(records, seed, "traced stills")
        self.read, self.traced = read, traced
        self.stills = [(record, frame) for record in self.records for frame in sorted(traced[record.name])]

    @cached_property
    def shuffle(self) -> loading.Shuffle:
        """The order over all stills of all videos."""
        return loading.Shuffle(len(self.stills), self.seed)

    def __getitem__(self, g: int) -> dict[str, Any]:
        record, number = self.stills[self.shuffle[g]]
        frame = self.read(record)[number]
        mask = outlines.mask(self.traced[record.name][number], frame.shape)
        return {"frame": torch.from_numpy(frame), "mask": torch.from_numpy(mask), "index": g}


class OutlineStage(Stage):
    """Trains on the traced frames of videos, by cross entropy and the soft Dice coefficient (Milletari et al. 2016)."""

    name = "outline"
    needs_latents = False
    criterion = ("dice", "max")

    def __init__(self, settings: OutlineSettings) -> None:
        self.settings: OutlineSettings = settings
        with rng.initializing(settings.loop.seed):
            self.network = self.begin()

    def items(self, data: Path, records: Sequence[Record]) -> Dataset[dict[str, Any]]:
        """The traced stills of the videos."""
        traced = outlines.by_frame(data)
        usable = [r for r in records if r.name in traced]
        if records and not usable:
            raise DataError(
                f"{data}: no TRAIN video is traced; expected chords in VolumeTracings.csv, as `phantom` and EchoNet-Dynamic have"
            )
        return TracedStills(usable, reader(data), traced, self.settings.loop.seed)

    def objectives(self) -> Mapping[str, Objective]:
        """One: cross entropy and Dice."""
        return {"outline": Objective(list(self.network.parameters()), self.loss)}

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Their sum, and the Dice coefficient."""
        stills, masks = batch["frame"][:, None].float() / 255, batch["mask"][:, None].float()
        stills, masks = augmented(stills, masks, self.settings, batch["index"].tolist())
        logits = self.network(stills)
        found = dice(logits.sigmoid(), masks).mean()
        return {"loss": F.binary_cross_entropy_with_logits(logits, masks) + 1 - found, "dice": found}

    @torch.no_grad()
    def validate(self, data: Path, records: Sequence[Record], folder: Path) -> dict[str, float]:
        """Median and lowest tenth of the Dice coefficients of held-out traced stills."""
        traced, read = outlines.by_frame(data), reader(data)
        usable = [r for r in records if r.name in traced]
        if not usable:
            return {}
        items = TracedStills(usable, read, traced, self.settings.loop.seed)
        found = []
        for position in range(len(items.stills)):
            item = items[position]
            logits = self.network(item["frame"][None, None].to(self.device).float() / 255)
            found.append(float(dice((logits > 0).float().cpu(), item["mask"][None, None].float())))
        return {
            "stills": float(len(found)),
            "dice": float(np.median(found)),
            "dice_p10": float(np.quantile(found, 0.1)),
        }

    def export(self, folder: Path) -> None:
        """Write the model folder."""
        weights.save(self.network, folder, weights.Facts(stage=self.name))


def dice(found: Tensor, wanted: Tensor) -> Tensor:
    """Dice coefficient of each of ``(B, 1, H, W)``, parts of pixels count in part: ``(B,)``."""
    both = 2 * (found * wanted).sum((1, 2, 3)) + SMOOTH
    return both / (found.sum((1, 2, 3)) + wanted.sum((1, 2, 3)) + SMOOTH)


def augmented(
    stills: Tensor, masks: Tensor, settings: OutlineSettings, indices: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Stills ``(B, 1, H, W)`` in 0..1 with their masks, each turned, stretched, moved, and shown by another scanner.

    What becomes of a still depends on the seed and its index alone.
    """
    seed = settings.loop.seed
    shown, moved = [], []
    for still, mask, generator in zip(stills, masks, rng.generators(seed, "augmentation", indices), strict=True):
        numbers = 2 * torch.rand(12, generator=generator) - 1
        grid = F.affine_grid(_placement(numbers, settings)[None], [1, *still.shape], align_corners=False)
        layers = torch.stack([still, mask, sector(still)], 1)
        all_three = F.grid_sample(layers, grid.to(still.device), align_corners=False)
        inside = all_three[:, 2:] > 0.5
        clouded = _hazy(all_three[:, :1], inside, numbers, settings, generator)
        shown.append(_developed(clouded, inside, numbers, settings, generator)[0])
        moved.append(all_three[0, 1:2])
    return torch.stack(shown), torch.stack(moved)


def sector(still: Tensor) -> Tensor:
    """1 between the first and the last echo of each row of a still ``(1, H, W)``, 0 outside."""
    echo = (still > 0).float()
    return echo.cummax(-1).values * echo.flip(-1).cummax(-1).values.flip(-1)


def _placement(numbers: Tensor, settings: OutlineSettings) -> Tensor:
    """``(2, 3)``: where a pixel's content comes from."""
    angle, zoom = settings.rotation * numbers[0], torch.exp(settings.zoom * numbers[9])
    wide, high = (zoom * (1 + settings.stretch * number) for number in numbers[1:3])
    cos, sin = torch.cos(angle), torch.sin(angle)
    across, down = 2 * settings.shift * numbers[3], 2 * settings.shift * numbers[4]
    return torch.stack([torch.stack([cos * wide, -sin * high, across]), torch.stack([sin * wide, cos * high, down])])


def _hazy(
    still: Tensor, inside: Tensor, numbers: Tensor, settings: OutlineSettings, generator: torch.Generator
) -> Tensor:
    """Echoes of haze, uneven and with speckle of its own, added in power: grey levels are its logarithm.

    Half of them thicken towards the probe, where apexes of ventricles are hard to see.
    """
    if numbers[10] > 2 * HAZY - 1 or not settings.haze:
        return still
    size = still.shape[-2:]
    slow = F.interpolate(torch.randn(1, 1, 4, 4, generator=generator), size=size, mode="bicubic", align_corners=False)
    parts = F.avg_pool2d(torch.randn(1, 4, *size, generator=generator) ** 2, (1, 3), stride=1, padding=(0, 1))
    speckle = parts.mean(dim=1, keepdim=True).clamp(min=1e-3).log() / COMPRESSION
    near, fall, grain = torch.rand(3, generator=generator)
    depth = inside.float().cumsum(dim=2).cpu() / (0.36 * size[0])
    thicker = 1.6 * (near - 0.5).clamp(min=0) * torch.exp(-depth * (1 + fall))
    level = settings.haze * (0.5 + 0.5 * numbers[11] + 0.27 * slow + thicker)
    haze = (level + 1.5 * grain * speckle).to(still.device)
    return torch.where(inside, torch.logaddexp(COMPRESSION * still, COMPRESSION * haze) / COMPRESSION, still)


def _developed(
    still: Tensor, inside: Tensor, numbers: Tensor, settings: OutlineSettings, generator: torch.Generator
) -> Tensor:
    """Another grey curve, gain, sharpness and noise; outside of the sector is nearly black."""
    size = still.shape[-2:]
    slow = F.interpolate(torch.randn(1, 1, 4, 4, generator=generator), size=size, mode="bicubic", align_corners=False)
    noise = torch.randn(1, 1, *size, generator=generator) * settings.noise * numbers[5].abs()
    slow, noise = slow.to(still.device), noise.to(still.device)
    x = still.clamp(0, 1) ** float(torch.exp(settings.contrast * numbers[6]))
    x = x * torch.exp(settings.gain * slow) * float(1 + 0.4 * numbers[7])
    smoother = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    x = x + float(0.25 + 0.75 * numbers[8]) * (smoother - x)
    return (x + noise * inside).clamp(0, 1)
