"""The privacy filter: which candidates are nobody's."""

from dataclasses import dataclass

import torch
from torch import Tensor

from echosyn.errors import DataError
from echosyn.privacy.calibration import Threshold
from echosyn.privacy.matching import nearest


@dataclass(frozen=True, eq=False)
class Verdict:
    """What the filter decided on each candidate. Similarities and neighbours are private: keep them in the house."""

    kept: Tensor
    """Bool ``(n,)``: may be animated and released."""
    similarity: Tensor
    """To the nearest reference, float32 ``(n,)``: Pearson correlation, or the score of `echosyn.privacy.screening.Fusion`."""
    nearest: Tensor
    """Row of that reference, or number of its patient, int64 ``(n,)``."""
    threshold: float

    @property
    def rejection_rate(self) -> float:
        """Share of candidates rejected; 0 when there is none."""
        return int((~self.kept).sum()) / len(self.kept) if len(self.kept) else 0.0


def judge(candidates: Tensor, references: Tensor, threshold: Threshold | float, *, block: int = 8192) -> Verdict:
    """Reject each candidate whose similarity to its nearest reference is at least the threshold.

    Candidates and references must be prepared alike (same scaling, same embedding model), and ``references`` must be
    the set that the threshold was calibrated against.

    Args:
        candidates: Embeddings, float ``(n, d)``; ``n`` may be 0.
        references: Embeddings of the training frames, float ``(m, d)``.
        threshold: From `echosyn.privacy.calibration.calibrate`, or a number in -1..1.
        block: See `echosyn.privacy.matching.nearest`.

    Raises:
        DataError: The threshold is not finite, or what `nearest` refuses.
    """
    limit = threshold.value if isinstance(threshold, Threshold) else float(threshold)
    if not -torch.inf < limit < torch.inf:
        raise DataError(f"the threshold is {limit}, expected a finite number: nothing could be rejected")
    matches = nearest(candidates, references, block=block)
    # In float64, where every float32 similarity is exact: a candidate at the threshold is rejected.
    kept = matches.similarity.double() < limit
    return Verdict(kept, matches.similarity, matches.index, limit)
