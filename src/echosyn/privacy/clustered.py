"""Patients with several items each: how many items reach a tail, and what that says about the rate of the tail.

Items of a patient are alike. As a model of that, scores are, after some monotone transformation, normal with the same correlation
between any two items of a patient (a Gaussian copula). The number of items that reach a tail of a given rate is then a sum of
independent numbers, one a patient, and has an exact law; with one item a patient it is binomial.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, optimize, special, stats  # type: ignore[import-untyped, unused-ignore]

Array = NDArray[np.float64]

MOST_ITEMS = 100
"""Of a patient; as items of a patient are alike, more tell hardly more."""
_QUANTILES = np.array([0.005, 0.03, 0.15, 0.5, 0.85, 0.97, 0.995])
"""Of what the analysis of variance leaves possible; wide, as the transformation is estimated too (ADR 98)."""
_LARGEST = 0.9999
_LEVELS = np.linspace(-6.0, 6.0, 121)
"""Of what a patient's items share."""
_DENSITY = special.softmax(-(_LEVELS**2) / 2)
_LEAST = 1e-12


@dataclass(frozen=True, eq=False)
class Clusters:
    """Patients with about as many items each."""

    num: int
    """Patients."""
    size: int
    """Items of each: the harmonic mean, at most `MOST_ITEMS`."""
    correlations: Array
    """Correlations of two items of a patient, 0..1, rising and equally likely."""

    @classmethod
    def of(cls, scores: Array, codes: NDArray[np.int64]) -> "Clusters":
        """As in these scores ``(items,)``, of the patients 0, 1, ... in ``codes``."""
        counts = np.bincount(codes)
        num = len(counts)
        size = min(round(1.0 / float((1.0 / counts).mean())), MOST_ITEMS)
        if size == 1:
            return cls(num, 1, np.zeros(1))
        return cls(num, size, _correlations(scores, codes, counts) if num > 1 else np.array([_LARGEST]))

    def at_least(self, rate: float) -> Array:
        """Probability that 0, 1, ... ``num * size`` items or more reach the tail of a rate in 0..1."""
        counts = self.num * self.size + 1
        length = fft.next_fast_len(counts, real=True)
        one = fft.rfft(self._of_one(rate, self.correlations), length)
        law = fft.irfft(_power(one, self.num).mean(axis=0), length)[:counts]
        found: Array = np.cumsum(law[::-1])[::-1].clip(0.0, 1.0)
        return found

    def rate_at_most(self, share: Array, rate: float) -> Array:
        """Probability that the rate of a tail is at most ``rate`` if its limit is the score that a share of the items reach."""
        most = self.num * self.size
        found: Array = (
            special.betainc(share * most, most + 1 - share * most, rate)
            if self.size == 1
            else np.interp(share * most, np.arange(most + 1), self.at_least(rate))
        )
        return found

    def rate(self, share: float, probability: float) -> float:
        """The rate of the tail beyond the score that a share of the items, above 0, reach: a quantile of its law."""

        def missed(rate: float) -> float:
            return float(self.rate_at_most(np.array(share), rate)) - probability

        low, high = 1e-9, 1.0 - 1e-9
        if missed(low) >= 0.0:
            return low
        return float(optimize.brentq(missed, low, high, xtol=1e-12, rtol=1e-9)) if missed(high) > 0.0 else high

    def effective(self, rate: float) -> float:
        """How many patients with one item each would tell as much of the tail of a rate.

        ``n / (c + (1 - c) / m)`` for n patients with m items (Kish 1965) and the correlation c, within a patient, of reaching
        the tail.
        """
        if self.size == 1:
            return float(self.num)
        middle = len(self.correlations) // 2
        law = self._of_one(rate, self.correlations[middle : middle + 1])[0]
        both = float(law @ (np.arange(self.size + 1) * np.arange(-1, self.size))) / (self.size * (self.size - 1))
        together = min(1.0, max(0.0, (both - rate**2) / (rate - rate**2)))
        return float(self.num / (together + (1 - together) / self.size))

    def _of_one(self, rate: float, correlations: Array) -> Array:
        """Probability that 0, 1, ... ``size`` items of one patient reach the tail, at each correlation: ``(c, size + 1)``."""
        shared, own = np.sqrt(correlations)[:, None], np.sqrt(1.0 - correlations)[:, None]
        reach = special.ndtr((shared * _LEVELS + special.ndtri(rate)) / own).clip(_LEAST, 1.0 - _LEAST)
        items = np.arange(self.size + 1)
        odds = np.exp(items * special.logit(reach)[..., None] + self.size * np.log1p(-reach)[..., None])
        law: Array = np.einsum("l,clk->ck", _DENSITY, odds) * special.binom(self.size, items)
        return law


def _power(values: NDArray[np.complex128], exponent: int) -> NDArray[np.complex128]:
    """By squaring, seven times as fast as NumPy's."""
    found = values if exponent % 2 else np.ones_like(values)
    while exponent := exponent // 2:
        values = values * values
        found = found * values if exponent % 2 else found
    return found


def _correlations(scores: Array, codes: NDArray[np.int64], counts: NDArray[np.int64]) -> Array:
    """What the scores of at least two patients, one of whom has several, leave possible.

    The intraclass correlation of the scores, made normal (Yeo & Johnson 2000), by the law of the ratio of variances between and
    within patients (Searle, Casella & McCulloch 1992, 3.6). Ranks would not do: of few patients they
    hide how far apart those are.
    """
    num, items = len(counts), len(codes)
    spread = float(scores.std())
    if spread == 0.0:
        return np.array([_LARGEST])
    normal = stats.yeojohnson((scores - np.median(scores)) / spread)[0]
    normal = normal - normal.mean()
    means = np.bincount(codes, normal) / counts
    between = float((counts * means**2).sum()) / (num - 1)
    within = float(((normal - means[codes]) ** 2).sum()) / (items - num)
    size = (items - float((counts**2).sum()) / items) / (num - 1)
    ratio = between / max(within, _LEAST * between) / stats.f.ppf(_QUANTILES[::-1], num - 1, items - num)
    found: Array = ((ratio - 1.0) / (ratio - 1.0 + size)).clip(0.0, _LARGEST)
    return found
