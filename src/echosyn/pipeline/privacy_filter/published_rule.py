"""EchoNet-Synthetic's privacy rule, for comparison: it looks at first frames, and rejects more innocents than it says.

Latents are scaled to -1..1 as published: a real frame by the extremes of its video, synthetic stills by those of all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from echosyn.data import filelist, latents, stills
from echosyn.data.records import Record
from echosyn.errors import ConfigError, DataError
from echosyn.nn.siamese import min_max
from echosyn.pipeline.privacy_filter.still_filter import embed, load_reid
from echosyn.privacy.calibration import expected_false_rejection, published_threshold
from echosyn.privacy.filtering import Verdict, judge
from echosyn.privacy.intervals import Rate, wilson


@dataclass(frozen=True, eq=False)
class PublishedFilter:
    """Rejects what correlates with a TRAIN patient at least as a percentile of them does with TEST."""

    reid: Any
    references: Tensor
    patients: list[str]
    threshold: float
    false_rejection: Rate
    """Of VAL patients, whom the rule has not seen."""
    predicted: float
    """What theory expects."""
    percentile: float
    extremes: tuple[float, float]
    """Smallest and largest value of all candidates."""

    def judge(self, candidates: Tensor) -> Verdict:
        """The verdict on latent stills ``(n, C, h, w)``."""
        return judge(_embedded(self.reid, candidates, self.extremes), self.references, self.threshold)

    @property
    def message(self) -> str:
        """What the rule does, in one sentence."""
        low, high = self.false_rejection.low, self.false_rejection.high
        measured = f"{self.false_rejection.value:.1%} of {self.false_rejection.num} ({low:.1%} to {high:.1%})"
        return (
            f"the published rule says {100 - self.percentile:g}% and rejects {measured} unseen real patients; theory predicts "
            f"{self.predicted:.1%}"
        )


def published(
    reid: Path, reference: Path, candidates: Sequence[Path], percentile: float = 95.0, device: str = "auto"
) -> PublishedFilter:
    """Build the filter.

    Args:
        reid: model folder of the re-identification model.
        reference: latents folder of the real videos, with TRAIN, VAL and TEST.
        candidates: files of all stills that will be judged.
        percentile: of the threshold, 0..100.
        device: where to compute.

    Raises:
        ConfigError: the percentile is none.
        DataError: a split is empty.
    """
    if not 0 <= percentile <= 100:
        raise ConfigError(f"--percentile {percentile:g}: expected 0..100")
    model = load_reid(reid, reference, device)
    records = filelist.read(reference)
    embedded = {}
    for split in ("TRAIN", "VAL", "TEST"):
        first = [_first_frame(reference, r, model.config.normalize) for r in records if r.split == split]
        if not first:
            raise DataError(
                f"{reference}: no {split} video; the published rule needs TRAIN, TEST and, to be tried on, VAL"
            )
        embedded[split] = embed(model, torch.stack(first), scaled=True)
    train, val, test = embedded["TRAIN"], embedded["VAL"], embedded["TEST"]
    threshold = published_threshold(train, test, percentile)
    rejected = int((~judge(val, train, threshold).kept).sum())
    patients = [r.patient for r in records if r.split == "TRAIN"]
    predicted = expected_false_rejection(len(train), len(test), percentile)
    rate = wilson(rejected, len(val))
    return PublishedFilter(model, train, patients, threshold, rate, predicted, percentile, _extremes(candidates))


def _first_frame(folder: Path, record: Record, normalize: bool) -> Tensor:
    """The first frame ``(C, h, w)`` of a real video, scaled by the extremes of the whole video."""
    video = latents.read(folder, record)
    scaled = min_max(video.flatten(0, 1)[None])[0] if normalize else video.flatten(0, 1)
    return scaled[: video.shape[1]]


def _extremes(files: Sequence[Path]) -> tuple[float, float]:
    each = [torch.aminmax(stills.read_shard(path)["latents"]) for path in files]
    return min(float(one.min) for one in each), max(float(one.max) for one in each)


def _embedded(model: Any, candidates: Tensor, extremes: tuple[float, float]) -> Tensor:
    low, high = extremes
    scaled = (candidates - low) / max(high - low, 1e-8) * 2 - 1 if model.config.normalize else candidates
    return embed(model, scaled, scaled=True)
