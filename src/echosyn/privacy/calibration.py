"""From held-out patients to a threshold: how similar to the training set is somebody who was never in it?"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from echosyn.errors import DataError
from echosyn.estimate import patients_drawn, percentiles
from echosyn.rng import numpy_generator

Array = NDArray[np.float64]

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Threshold:
    """Similarity from which a candidate counts as a copy, and what that promises."""

    value: float
    """Reject if the similarity to the nearest reference is at least this."""
    low: float
    """Lower end of the 95 % bootstrap interval over held-out patients."""
    high: float
    """Upper end."""
    requested_rate: float
    """False rejection rate that was asked for."""
    claimed_rate: float
    """Bound on the false rejection rate that these held-out patients support; at most the requested one if `enough`."""
    num_patients: int
    """Held-out patients."""
    num_frames: int
    """Held-out frames of all of them."""
    enough: bool
    """There are enough held-out patients for the requested rate."""

    @property
    def achievable_rate(self) -> float:
        """Smallest rate that this many patients can claim, ``1 / (num_patients + 1)``."""
        return 1.0 / (self.num_patients + 1)

    @property
    def message(self) -> str:
        """What the threshold means, in one sentence for a report."""
        if self.enough:
            return (
                f"a still of a patient unseen by the models is rejected with a probability of at most "
                f"{self.claimed_rate:.1%} (calibrated on {self.num_patients} held-out patients)"
            )
        needed = math.ceil(1.0 / self.requested_rate - _ROUNDING) - 1
        return (
            f"{self.num_patients} held-out patient(s) cannot support a false rejection rate of "
            f"{self.requested_rate:.1%} (at least {needed} are needed): the threshold is their largest "
            f"similarity, which supports {self.claimed_rate:.1%}; the false rejection rate is higher than requested"
        )

    def to_json(self) -> dict[str, float | int | bool | str]:
        """Plain values under the fields' names, with ``achievable_rate`` and ``message``."""
        return asdict(self) | {"achievable_rate": self.achievable_rate, "message": self.message}


def threshold_from_scores(
    similarity: Array,
    patients: Sequence[str],
    *,
    false_rejection_rate: float = 0.05,
    num_bootstrap: int = 1000,
    seed: int = 0,
) -> Threshold:
    """Threshold at which a still of an unseen patient is rejected at most as often as ``false_rejection_rate``.

    Held-out patients are scored against the *same* references that candidates will be scored against: a best match over
    more references is higher (the published rule overlooks that, see `echosyn.privacy.published_rule`).

    A candidate is one still; a held-out patient may have many. All frames are used, each with the weight
    ``1 / ((n + 1) * frames of its patient)``, and the weight ``1 / (n + 1)`` stands for the patient to come: the
    threshold is the smallest score below or at which the weight reaches ``1 - rate``. That is the conformal quantile
    for hierarchical data (Lee, Barber & Willett 2023): for a random frame of a random unseen patient the bound holds
    whatever the distribution of scores (without ties), patients with long videos count no more than others, and no
    frame has to be picked at random. With one frame a patient it is the ``ceil((n + 1)(1 - rate))``-th smallest score.

    Args:
        similarity: Of frames of patients in no training set to their nearest reference, float64 ``(n_frames,)``.
        patients: The patient of each frame.
        false_rejection_rate: In 0..1, both excluded.
        num_bootstrap: Resamples of patients for the interval; 0: the interval is the value.
        seed: Of the bootstrap.

    Raises:
        DataError: No held-out frame, or a rate out of range.
    """
    if not 0.0 < false_rejection_rate < 1.0:
        raise DataError(f"the false rejection rate is {false_rejection_rate}, expected between 0 and 1")
    if len(similarity) != len(patients) or len(similarity) == 0:
        raise DataError(
            f"{len(similarity)} held-out frames of {len(patients)} named patients, expected as many and at least one"
        )
    order = np.argsort(similarity, kind="stable")
    scores = np.asarray(similarity, dtype=np.float64)[order]
    codes = np.unique(np.asarray(patients, dtype=str), return_inverse=True)[1][order]
    num = int(codes.max()) + 1
    share = 1.0 / np.bincount(codes)[codes]
    value, above = _quantile(scores, share, num, false_rejection_rate)
    rng = numpy_generator(seed, "threshold bootstrap")
    values = [
        _quantile(scores, share * patients_drawn(rng, num)[codes], num, false_rejection_rate)[0]
        for _ in range(num_bootstrap)
    ]
    low, high = percentiles(values) if values else (value, value)
    return Threshold(
        value=value,
        low=low,
        high=high,
        requested_rate=false_rejection_rate,
        claimed_rate=above,
        num_patients=num,
        num_frames=len(scores),
        enough=above <= false_rejection_rate + _ROUNDING,
    )


def _quantile(scores: Array, share: Array, num: int, rate: float) -> tuple[float, float]:
    """Smallest sorted score with weight ``1 - rate`` at or below it (else the last), and the weight above it."""
    at_or_below = np.cumsum(share) / (num + 1)
    position = int(np.searchsorted(at_or_below, 1.0 - rate - _ROUNDING))
    # a frame of weight 0 (not drawn in this resample) is no candidate for the largest
    last = int(np.flatnonzero(share)[-1])
    position = min(position, last)
    last_equal = int(np.searchsorted(scores, scores[position], side="right")) - 1
    return float(scores[position]), float(1.0 - at_or_below[last_equal])
