"""The re-identification model: do two latent frames show one patient?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torch.utils.data import Dataset, default_collate

from echosyn import rng, weights
from echosyn.data import latents, loading
from echosyn.data.augmentation import Augmentation, augmented
from echosyn.data.records import Record
from echosyn.diffusion.codec import LatentCodec
from echosyn.errors import ConfigError
from echosyn.nn.siamese import correlations, load_backbone
from echosyn.training import verification
from echosyn.training.stage import Batch, Objective, Stage, StageSettings
from echosyn.training.stages.vae import reader
from echosyn.weights.echonet_dynamic import read_state

VALIDATION_PAIRS = 1
"""For each held-out patient, as published."""


class ReIDSettings(StageSettings):
    """Pair sampling and objective."""

    objective: Literal["bce", "contrastive"] = "bce"
    """Score single pairs, half of them of one patient, as published; or find every frame's partner among all frames of the
    batch (the part of it that goes through the network at once: ``micro_batch_size``, one process)."""
    temperature: float = Field(0.1, gt=0)
    """Temperature of the contrastive loss; lower values weight hard negatives more."""
    vae: str | None = None
    """Model folder of the VAE: trains on a dataset folder, whose frames are changed by ``augmentation`` and then encoded;
    without it, on a latents folder."""
    augmentation: Augmentation = Augmentation()
    """Changes that leave a patient the same, where ``vae`` is given."""
    choose_by: Literal["auc", "loss"] = "auc"
    """By which number of held-out patients weights are chosen and training ends: AUC of verification, or cross-entropy of
    pairs, as published."""
    pretrained: Path | None = None
    """File of torchvision's ImageNet weights for a ResNet backbone to start from."""

    @model_validator(mode="after")
    def _pretrained_fits(self) -> Self:
        backbone = self.network.get("backbone", "resnet50")
        if self.pretrained is not None and not backbone.startswith("resnet"):
            raise ValueError(f"pretrained weights are those of a ResNet, network.backbone is {backbone!r}")
        if self.choose_by == "loss" and self.objective != "bce":
            raise ValueError("choose_by = loss is the cross-entropy of pairs: expected objective = bce")
        return self


class ReIDStage(Stage):
    """Trains a Siamese network: binary cross-entropy of pairs as published, or contrastively."""

    name = "reid"
    criterion: tuple[str, Literal["max", "min"]] = ("auc", "max")

    def __init__(self, settings: ReIDSettings) -> None:
        self.settings: ReIDSettings = settings
        if settings.choose_by == "loss":
            self.criterion = ("loss", "min")
        self.needs_latents = settings.vae is None
        if self.needs_latents and settings.augmentation != Augmentation():
            raise ConfigError(
                "settings of reid: augmentation changes pixels and has no effect on latents; set vae=FOLDER"
            )
        self.codec = None if settings.vae is None else _codec(Path(settings.vae))
        self.vae = None if settings.vae is None else weights.latents_hash(weights.resolve(Path(settings.vae)))
        with rng.initializing(settings.loop.seed):
            self.network = self.begin()
        if settings.pretrained is not None:
            load_backbone(self.network, read_state(settings.pretrained)[0], settings.pretrained)

    def items(self, data: Path, records: Sequence[Record]) -> Dataset[dict[str, Any]]:
        """Pairs of frames: latent ones, or augmented pixels."""
        if self.needs_latents:
            self.vae = str(latents.info(data).get("vae"))
        same = 0.5 if self.settings.objective == "bce" else 1.0
        return loading.Pairs(records, self._reader(data), same, self.settings.loop.seed)

    def objectives(self) -> Mapping[str, Objective]:
        """One: tell patients apart."""
        return {"reid": Objective(list(self.network.parameters()), self.loss)}

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The objective, and the share of pairs or frames on the right side."""
        a, b = self._latents(batch["a"]), self._latents(batch["b"])
        if self.settings.objective == "contrastive":
            embeddings = torch.cat([self.network.embed(a), self.network.embed(b)])
            return contrastive(embeddings, batch["patient"].repeat(2), self.settings.temperature)
        logits, same = self.network(a, b), batch["same"].float()
        accuracy = ((logits > 0) == (same > 0.5)).float().mean()
        return {"loss": binary_cross_entropy_with_logits(logits, same), "accuracy": accuracy}

    @torch.no_grad()
    def validate(self, data: Path, records: Sequence[Record], folder: Path) -> dict[str, float]:
        """How well frames of held-out patients half a beat apart are told from those of other patients.

        ``loss`` is the cross-entropy of `VALIDATION_PAIRS` pairs for each patient, half of them of two, the same at every call.
        Writes ``roc.png``. Too few patients (fewer than two) give no numbers.
        """
        index = None if self.needs_latents else reader(data)
        read = (lambda r: latents.read(data, r)) if index is None else (lambda r: torch.from_numpy(index(r)))
        pairs = verification.opposite_frames(records, read)
        if len(set(pairs.patients)) < 2:
            return {}
        a, b = (self._latents(frames.to(self.device)) for frames in (pairs.a, pairs.b))
        found = verification.verify(correlations(self.network.embed(a), self.network.embed(b)), pairs.patients)
        floor = verification.verify(-torch.cdist(a.flatten(1), b.flatten(1)), pairs.patients)
        verification.plot({"re-identification": found, "distance of latents": floor}, folder / "roc.png")
        numbers = found.numbers() | {"auc_of_latents": floor.numbers()["auc"]}
        known = [r for r in records if r.fps is not None and r.num_frames is not None]
        is_asked = self.settings.objective == "bce" and len({r.patient for r in known}) > 1
        return numbers | ({"loss": self._held_out_loss(data, known)} if is_asked else {})

    def _held_out_loss(self, data: Path, records: Sequence[Record]) -> float:
        pairs = loading.Pairs(records, self._reader(data), 0.5, rng.key(self.settings.loop.seed, "validation pairs", 0))
        total, count = 0.0, VALIDATION_PAIRS * len(pairs.patients)
        for first in range(0, count, self.settings.loop.batch_size):
            part = range(first, min(first + self.settings.loop.batch_size, count))
            batch = default_collate([pairs[g] for g in part])
            total += len(part) * float(
                self.loss({name: value.to(self.device) for name, value in batch.items()})["loss"]
            )
        return total / count

    def export(self, folder: Path) -> None:
        """Write the model folder."""
        weights.save(self.network, folder, weights.Facts(stage=self.name, vae=self.vae))

    def _reader(self, data: Path) -> loading.ReadFrame:
        if self.needs_latents:
            return lambda record, draws: latents.drawn(data, record, draws)
        video, largest = reader(data), self.settings.augmentation

        def read(record: Record, draws: np.random.Generator) -> Tensor:
            frames = video(record)
            return augmented(torch.from_numpy(frames[int(draws.integers(len(frames)))]), largest, draws)

        return read

    def _latents(self, frames: Tensor) -> Tensor:
        """What the network sees: latents as they are, pixels encoded (the posterior's mean)."""
        if self.codec is None:
            return frames
        self.codec.vae.to(self.device)
        return self.codec.encode(frames).to(self.device)


def contrastive(embeddings: Tensor, patients: Tensor, temperature: float) -> dict[str, Tensor]:
    """Cross-entropy of finding every frame's partner among all frames (NT-Xent, Chen et al. 2020, eq. 1).

    The similarity is the correlation of embeddings, with which the privacy filter works too. Other frames of the same
    patient are neither partner nor stranger.

    Args:
        embeddings: Shape ``(2 n, d)``; row ``i`` and row ``n + i`` are partners.
        patients: A number for each row's patient, shape ``(2 n,)``.
        temperature: Divides the correlations.

    Returns:
        ``loss``, and ``accuracy``: the share of frames whose partner is the most similar one.
    """
    n = len(embeddings) // 2
    row = torch.arange(2 * n, device=embeddings.device)
    partner = row.roll(n)
    scores = correlations(embeddings, embeddings) / temperature
    hidden = patients[:, None] == patients[None]
    hidden[row, partner] = False
    scores = scores.masked_fill(hidden, -torch.inf)
    return {"loss": cross_entropy(scores, partner), "accuracy": (scores.argmax(dim=1) == partner).float().mean()}


def _codec(vae: Path) -> LatentCodec:
    folder = weights.resolve(vae)
    return LatentCodec(weights.load(folder, "vae"), weights.load_facts(folder).pixels)
