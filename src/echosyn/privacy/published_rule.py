"""EchoNet-Synthetic's privacy rule, for comparison: it looks at first frames, and rejects more unseen patients than it says."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from echosyn.errors import DataError
from echosyn.privacy.fingerprints import Embed
from echosyn.privacy.intervals import Rate, wilson
from echosyn.privacy.matching import nearest
from echosyn.privacy.screen import ScreeningResult


@dataclass(frozen=True, eq=False)
class PublishedRule:
    """Rejects what correlates with a TRAIN patient at least as a percentile of them does with TEST.

    Kept for comparison. It does not reject 5 % of unseen patients: see `expected_false_rejection`.
    """

    embed: Embed
    references: Tensor
    """Embeddings of TRAIN, float ``(m, d)``."""
    patients: Sequence[str]
    """Whose each is."""
    threshold: float
    false_rejection: Rate
    """Of VAL patients, whom the rule has not seen."""
    predicted: float
    """What theory expects."""
    percentile: float = 95.0

    @classmethod
    def of(
        cls,
        splits: Sequence[str | None],
        patients: Sequence[str],
        first: Callable[[int], Tensor],
        embed: Embed,
        percentile: float = 95.0,
    ) -> "PublishedRule | None":
        """The rule of some real videos, tried on VAL; None unless there are TRAIN, VAL and TEST.

        Args:
            splits: Split of each video.
            patients: Whose each is.
            first: First latent frame ``(C, h, w)`` of the video at a position.
            embed: The re-identification network.
            percentile: Of the threshold, 0..100.
        """
        rows = {name: [i for i, split in enumerate(splits) if split == name] for name in ("TRAIN", "VAL", "TEST")}
        if not all(rows.values()):
            return None
        train, val, test = (embed(torch.stack([first(i) for i in chosen])) for chosen in rows.values())
        threshold, owners = published_threshold(train, test, percentile), [patients[i] for i in rows["TRAIN"]]
        rejected = int((~_judged(val, train, owners, threshold).kept).sum())
        return cls(
            embed,
            train,
            owners,
            threshold,
            wilson(rejected, len(val)),
            expected_false_rejection(len(train), len(test), percentile),
            percentile,
        )

    def judge(self, items: Tensor) -> ScreeningResult:
        """The verdict on latent stills ``(n, C, h, w)``; the score is their similarity, float32.

        Raises:
            DataError: The threshold is not finite, or what `echosyn.privacy.matching.nearest` refuses.
        """
        return _judged(self.embed(items), self.references, self.patients, self.threshold)

    def to_json(self) -> dict[str, Any]:
        """Threshold, ``false_rejection`` and ``predicted`` as plain values."""
        return {
            "threshold": self.threshold,
            "false_rejection": asdict(self.false_rejection),
            "predicted": self.predicted,
        }

    @property
    def message(self) -> str:
        """What the rule does, in one sentence."""
        low, high = self.false_rejection.low, self.false_rejection.high
        measured = f"{self.false_rejection.value:.1%} of {self.false_rejection.num} ({low:.1%} to {high:.1%})"
        return (
            f"the published rule says {100 - self.percentile:g}% and rejects {measured} unseen real patients; "
            f"theory predicts {self.predicted:.1%}"
        )


def published_threshold(train: Tensor, test: Tensor, percentile: float = 95.0) -> float:
    """The percentile, over ``train``, of the best match in ``test``.

    Args:
        train: Embeddings, float ``(n, d)``.
        test: Embeddings, float ``(m, d)``.
        percentile: In 0..100.
    """
    return float(np.percentile(nearest(train, test).similarity.double().numpy(), percentile))


def expected_false_rejection(num_train: int, num_test: int, percentile: float = 95.0) -> float:
    """Share of unseen patients that the rule rejects, ``1 - (percentile / 100)^(num_train / num_test)``.

    Its threshold comes from maxima over ``num_test`` references, but candidates are scored by a maximum over
    ``num_train``. If similarities to different references are independent, ``F(tau)^num_test = percentile / 100``, and
    such a candidate is kept with probability ``F(tau)^num_train``: 26 % rejected for EchoNet-Dynamic.
    """
    return float(1.0 - (percentile / 100.0) ** (num_train / num_test))


def _judged(embedded: Tensor, references: Tensor, patients: Sequence[str], threshold: float) -> ScreeningResult:
    if not -np.inf < threshold < np.inf:
        raise DataError(f"the threshold is {threshold}, expected a finite number: nothing could be rejected")
    found = nearest(embedded, references)
    # In float64, where every float32 similarity is exact: a candidate at the threshold is rejected.
    kept = found.similarity.double() < threshold
    owners = [patients[i] for i in found.index.tolist()]
    return ScreeningResult(kept, found.similarity, ["reid"] * len(kept), owners)
