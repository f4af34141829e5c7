"""EchoNet-Synthetic's privacy rule, for comparison: it looks at first frames, and rejects more innocents than it says."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from echosyn.data import filelist, latents
from echosyn.errors import DataError
from echosyn.pipeline.privacy_filter.still_filter import embed, load_reid
from echosyn.privacy.calibration import expected_false_rejection, published_threshold
from echosyn.privacy.filtering import Verdict, judge
from echosyn.privacy.intervals import Rate, wilson


@dataclass(frozen=True, eq=False)
class PublishedFilter:
    """Rejects what correlates with a TRAIN patient at least as the 95th percentile of them does with TEST."""

    reid: Any
    references: Tensor
    patients: list[str]
    threshold: float
    false_rejection: Rate
    """Of VAL patients, whom the rule has not seen."""
    predicted: float
    """What theory expects."""

    def judge(self, candidates: Tensor) -> Verdict:
        """The verdict on latent stills ``(n, C, h, w)``."""
        return judge(embed(self.reid, candidates), self.references, self.threshold)

    @property
    def message(self) -> str:
        """What the rule does, in one sentence."""
        low, high = self.false_rejection.low, self.false_rejection.high
        measured = f"{self.false_rejection.value:.1%} of {self.false_rejection.num} ({low:.1%} to {high:.1%})"
        return f"the published rule says 5% and rejects {measured} unseen real patients; theory predicts {self.predicted:.1%}"


def published(reid: Path, reference: Path, device: str = "auto") -> PublishedFilter:
    """Build the filter.

    Args:
        reid: model folder of the re-identification model.
        reference: latents folder of the real videos, with TRAIN, VAL and TEST.
        device: where to compute.

    Raises:
        DataError: a split is empty.
    """
    model = load_reid(reid, reference, device)
    records = filelist.read(reference)
    embedded = {}
    for split in ("TRAIN", "VAL", "TEST"):
        first = [latents.read(reference, r, [0])[0] for r in records if r.split == split]
        if not first:
            raise DataError(
                f"{reference}: no {split} video; the published rule needs TRAIN, TEST and, to be tried on, VAL"
            )
        embedded[split] = embed(model, torch.stack(first))
    train, val, test = embedded["TRAIN"], embedded["VAL"], embedded["TEST"]
    threshold = published_threshold(train, test)
    rejected = int((~judge(val, train, threshold).kept).sum())
    patients = [r.patient for r in records if r.split == "TRAIN"]
    predicted = expected_false_rejection(len(train), len(test))
    return PublishedFilter(model, train, patients, threshold, wilson(rejected, len(val)), predicted)
