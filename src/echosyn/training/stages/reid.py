"""The re-identification model: do two latent frames show one patient?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import Dataset

from echosyn import rng, weights
from echosyn.data import latents, loading
from echosyn.data.records import Record
from echosyn.training.stage import Batch, Objective, Stage, StageSettings


class ReIDSettings(StageSettings):
    """Pairs of frames of one video and of two."""


class ReIDStage(Stage):
    """Trains a Siamese network with binary cross-entropy on the score of a pair, as published."""

    name = "reid"
    needs_latents = True

    def __init__(self, settings: ReIDSettings) -> None:
        self.settings: ReIDSettings = settings
        self.vae: str | None = None
        with rng.initializing(settings.loop.seed):
            self.network = weights.network(settings.network)

    def items(self, data: Path, records: Sequence[Record]) -> Dataset[dict[str, Any]]:
        """Pairs of latent frames."""
        self.vae = str(latents.info(data).get("vae"))
        return loading.LatentPairs(data, records, self.settings.loop.seed)

    def objectives(self) -> Mapping[str, Objective]:
        """One: tell the pairs apart."""
        return {"reid": Objective(list(self.network.parameters()), self.loss)}

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Binary cross-entropy and the share of pairs on the right side."""
        logits = self.network(batch["a"], batch["b"])
        same = batch["same"].float()
        accuracy = ((logits > 0) == (same > 0.5)).float().mean()
        return {"loss": binary_cross_entropy_with_logits(logits, same), "accuracy": accuracy}

    def export(self, folder: Path) -> None:
        """Write the model folder."""
        weights.save(self.network, folder, weights.Facts(stage=self.name, vae=self.vae))
