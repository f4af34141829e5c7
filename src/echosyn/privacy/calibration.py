"""From held-out patients to a threshold: how similar to the training set is somebody who was never in it?"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import special  # type: ignore[import-untyped, unused-ignore]

from echosyn.errors import DataError
from echosyn.estimate import CONFIDENCE
from echosyn.privacy.clustered import Clusters

Array = NDArray[np.float64]

PRECISION = 0.05
"""Held-out patients are enough if the false rejection rate is at most so much above the requested one: 100 for 5 %."""
_ROUNDING = 1e-9
_TAIL = (1.0 - CONFIDENCE) / 2.0


@dataclass(frozen=True)
class Threshold:
    """Similarity from which a candidate counts as a copy, and what that promises."""

    value: float
    """Reject if the similarity to the nearest reference is at least this."""
    low: float
    """Lower end of the 95 % interval of the score that the requested rate of unseen patients reaches (order statistics)."""
    high: float | None
    """Upper end; None where these patients show none, and ``low`` is then a one-sided bound."""
    requested_rate: float
    """False rejection rate that was asked for."""
    claimed_rate: float
    """Bound on the false rejection rate that these held-out patients support; at most the requested one if `enough`."""
    rate_low: float
    """Lower end of the 95 % interval of the false rejection rate of this threshold (law of order statistics)."""
    rate_high: float
    """Upper end."""
    num_patients: int
    """Held-out patients."""
    num_frames: int
    """Held-out frames of all of them."""
    enough: bool
    """The patients support the requested rate, which is then known to within `PRECISION`."""

    @property
    def achievable_rate(self) -> float:
        """Smallest rate that this many patients can claim, ``1 / (num_patients + 1)``."""
        return 1.0 / (self.num_patients + 1)

    @property
    def message(self) -> str:
        """What the threshold means, in one sentence for a report."""
        known = f"between {self.rate_low:.1%} and {self.rate_high:.1%} (95 % interval)"
        if self.enough:
            return (
                f"an item of a patient unseen by the models is rejected with a probability of at most {self.claimed_rate:.1%}, "
                f"on average over calibrations; that of this one, by {self.num_patients} held-out patients, is {known}"
            )
        return (
            f"{self.num_patients} held-out patient(s) are too few to know a false rejection rate of {self.requested_rate:.1%} to "
            f"within {100 * PRECISION:.0f} points, expected at least {needed_patients(self.requested_rate)}: this threshold's is "
            f"{known}, {self.claimed_rate:.1%} on average"
        )

    def to_json(self) -> dict[str, float | int | bool | str]:
        """Plain values under the fields' names, with ``achievable_rate`` and ``message``."""
        return asdict(self) | {"achievable_rate": self.achievable_rate, "message": self.message}


def threshold_from_scores(
    similarity: Array,
    patients: Sequence[str],
    *,
    false_rejection_rate: float = 0.05,
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

    That bound is an average over calibrations. With one frame a patient, the rate of *this* threshold, the k-th largest of n,
    follows Beta(k, n + 1 - k); with several, the law of `echosyn.privacy.clustered.Clusters`.

    Args:
        similarity: Of frames of patients in no training set to their nearest reference, float64 ``(n_frames,)``.
        patients: The patient of each frame.
        false_rejection_rate: In 0..1, both excluded.

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
    position, above = _quantile(scores, share, num, false_rejection_rate)
    clusters, reached = Clusters.of(scores, codes), _reached(scores, share, num)
    rate_low, rate_high = (clusters.rate(reached[position], probability) for probability in (_TAIL, 1.0 - _TAIL))
    low, high = _order_statistics(scores, clusters.rate_at_most(reached, false_rejection_rate))
    return Threshold(
        value=float(scores[position]),
        low=low,
        high=high,
        requested_rate=false_rejection_rate,
        claimed_rate=above,
        rate_low=rate_low,
        rate_high=rate_high,
        num_patients=num,
        num_frames=len(scores),
        enough=above <= false_rejection_rate + _ROUNDING
        and clusters.effective(false_rejection_rate) >= needed_patients(false_rejection_rate),
    )


def threshold_value(scores: Array, codes: NDArray[np.int64], rate: float) -> float:
    """The value of `threshold_from_scores`, without what it promises.

    Args:
        scores: ``(n,)``, at least one.
        codes: A number of each one's patient, any below a few times n.
        rate: False rejection rate.
    """
    order = np.argsort(scores, kind="stable")
    counts = np.bincount(codes)
    position, _ = _quantile(scores[order], 1.0 / counts[codes[order]], int((counts > 0).sum()), rate)
    return float(scores[order[position]])


@cache
def needed_patients(rate: float) -> int:
    """The number of held-out patients, one frame each, from which on a false rejection rate is known to `PRECISION`."""
    num = np.arange(1, 20_000)
    k = np.floor((num + 1) * rate + _ROUNDING)
    known = (k > 0) & (special.betaincinv(np.maximum(k, 1), num + 1 - k, 1.0 - _TAIL) <= rate + PRECISION)
    return int(num[~known].max(initial=0)) + 1


def _reached(scores: Array, share: Array, num: int) -> Array:
    """Share of the patients' items that reach each of the sorted scores, each patient counting alike."""
    at_or_above: Array = np.cumsum(share[::-1])[::-1][np.searchsorted(scores, scores, side="left")] / num
    return at_or_above


def _order_statistics(scores: Array, below: Array) -> tuple[float, float | None]:
    """Interval of the score at which the rate is the requested one, between order statistics (Nyblom 1992).

    Args:
        scores: Sorted.
        below: Probability that the rate at each of them is below the requested one, rising.
    """
    if below[-1] < 1.0 - _TAIL:
        return float(np.interp(2.0 * _TAIL, below, scores)), None
    low, high = np.interp([_TAIL, 1.0 - _TAIL], below, scores)
    return float(low), float(high)


def _quantile(scores: Array, share: Array, num: int, rate: float) -> tuple[int, float]:
    """Position of the smallest sorted score with weight ``1 - rate`` at or below it (else the last), and the weight above it."""
    at_or_below = np.cumsum(share) / (num + 1)
    position = min(int(np.searchsorted(at_or_below, 1.0 - rate - _ROUNDING)), len(scores) - 1)
    last_equal = int(np.searchsorted(scores, scores[position], side="right")) - 1
    return position, float(1.0 - at_or_below[last_equal])
