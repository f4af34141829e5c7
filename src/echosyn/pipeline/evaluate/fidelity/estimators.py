"""From stored features to numbers: each with its interval, its n, and real against real at the same n."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from echosyn.data.clips import spaced
from echosyn.errors import DataError
from echosyn.estimate import Estimate
from echosyn.metrics.bootstrap import mean_with_interval
from echosyn.metrics.coverage import Coverage, coverage
from echosyn.metrics.floor import halves
from echosyn.metrics.frechet import frechet_distance, frechet_distance_of
from echosyn.metrics.inception_score import InceptionScore
from echosyn.metrics.jackknife import jackknife, leave_one_out
from echosyn.metrics.kernel import kernel_distance, kernel_distances_without
from echosyn.metrics.moments import Array, Moments
from echosyn.metrics.retrieval import retrieval
from echosyn.metrics.two_sample import Codes, classifier_auc, classifier_auc_with_interval
from echosyn.pipeline.evaluate.fidelity.feature_sets import Side, drawn
from echosyn.pipeline.evaluate.fidelity.feature_spaces import Space
from echosyn.pipeline.evaluate.fidelity.protocols import Number, Protocol
from echosyn.rng import numpy_generator

MANIFOLD: tuple[Number, ...] = ("precision", "recall", "density", "coverage")
CURVES: tuple[Number, ...] = ("power_ratio", "persistence")
Sum = TypeVar("Sum", Moments, InceptionScore)
RELIABLE = 10
"""Patients for each dimension, on either side, below which a Fréchet distance is mostly bias."""
CLASSIFIED = 4
"""Most features of a video that the classifier sees: frames of a video are near copies of one another."""


def of_measure(
    numbers: Sequence[Number],
    space: Space,
    real: Side,
    synthetic: Side,
    train: Side | None,
    protocol: Protocol,
    seed: int,
) -> dict[Number, dict[str, Any]]:
    """Every number of one measure as JSON; what cannot be computed is empty and says why.

    Args:
        numbers: which ones.
        space: of the features.
        real: all eligible real videos.
        synthetic: all eligible synthetic videos.
        train: all eligible real TRAIN videos, for the retrieval score.
        protocol: decides n, floors and intervals.
        seed: of subsets, splits and groups.
    """
    if min(len(real.chosen), len(synthetic.chosen)) < 2:
        reason = f"{len(real.chosen)} real and {len(synthetic.chosen)} synthetic videos are long enough, expected at least 2 each"
        return {number: {"value": None, "reason": reason} for number in numbers}
    found: dict[Number, dict[str, Any]] = {}
    comparison: _Comparison | None = None
    for number in numbers:
        try:
            if number == "retrieval":
                found[number] = _retrieval(real, synthetic, train)
                continue
            comparison = comparison or _Comparison(space, real, synthetic, protocol, seed)
            found[number] = comparison.number(number)
        except DataError as error:
            found[number] = {"value": None, "reason": str(error)}
    return found


class _Comparison:
    """The numbers of one measure; what several of them need is computed once."""

    def __init__(self, space: Space, real: Side, synthetic: Side, protocol: Protocol, seed: int) -> None:
        self.space, self.protocol, self.seed, self.every_real = space, protocol, seed, real
        self.splits = [halves(real.patients, seed, i) for i in range(protocol.floor_repeats)]
        if protocol.equal_n:
            least = min([len(left) for left, _ in self.splits] or [len(real.chosen)])
            n = min(len(synthetic.chosen), least)
            self.splits = [(left[:n], right[:n]) for left, right in self.splits]
            real, synthetic = (drawn(side, n, seed, name) for side, name in ((real, "real"), (synthetic, "synthetic")))
        self.real, self.synthetic = real, synthetic

    def number(self, number: Number) -> dict[str, Any]:
        """One number with what belongs to it."""
        if number == "inception_score":
            found = self._inception_score()
        elif number == "frechet":
            found = self._frechet().to_json() | self._floor([self._plain_frechet(*s) for s in self._halves()])
            found["reliable"] = min(self._size(self.real), self._size(self.synthetic)) >= RELIABLE * self.dim
        elif number == "kernel":
            found = self._kernel().to_json() | self._floor(
                [kernel_distance(a.rows, b.rows, *self._patients(a, b)) for a, b in self._small_halves()]
            )
        elif number == "classifier":
            found = self._classifier()
        elif number in CURVES:
            found = self._curve(number)
        else:
            found = self._manifold(number)
        if number in ("frechet", "kernel") and "real_against_real" in found:
            found["blind"] = found["value"] < found["real_against_real"]["value"]
        small = number in ("kernel", *MANIFOLD)
        sides = self._small if small else (self.real, self.synthetic)
        said = {"n": len(sides[1].chosen), "n_real": len(sides[0].chosen), "rows": sides[1].num_rows}
        return found | said | {"dim": self.dim}

    def _size(self, side: Side) -> int:
        """Frames of a video and videos of a patient are alike: unless the protocol counts images, patients count."""
        return side.num_rows if self.protocol.unit == "image" else len(np.unique(side.patients))

    def _patients(self, *sides: Side) -> list[Codes | None]:
        """The patient of each row of the sides; None where the protocol takes each image for a patient."""
        return [None if self.protocol.unit == "image" else side.per_row(side.patients) for side in sides]

    @property
    def dim(self) -> int:
        """Dimensions of the space."""
        return self.real.dim

    def _halves(self) -> list[tuple[Side, Side]]:
        """Real against real: both sides of every split."""
        chosen = self.every_real.chosen
        return [(self.real.of(chosen[left]), self.real.of(chosen[right])) for left, right in self.splits]

    # -- Fréchet distance

    def _frechet(self) -> Estimate:
        a, b = self.real, self.synthetic
        if not self._has_interval(a, b):
            return Estimate(self._plain_frechet(a, b))
        of_a, of_b = a.groups(self.seed), b.groups(self.seed)
        if self._fits(a, b):
            x, y = a.rows, b.rows
            without = [
                leave_one_out(a.per_row(of_a), lambda keep: frechet_distance_of(x[keep], y)),
                leave_one_out(b.per_row(of_b), lambda keep: frechet_distance_of(x, y[keep])),
            ]
            return jackknife(frechet_distance_of(x, y), without)
        parts, others = a.moments(of_a), b.moments(of_b)
        whole, other = _joined(Moments(), parts), _joined(Moments(), others)
        without = [
            [self._of_moments(_joined(Moments(), parts, g), other) for g in range(len(parts))],
            [self._of_moments(whole, _joined(Moments(), others, g)) for g in range(len(others))],
        ]
        return jackknife(self._of_moments(whole, other), without)

    def _has_interval(self, *sides: Side) -> bool:
        """Whether there are patients enough to leave some out."""
        return self.protocol.intervals and all(len(set(side.patients.tolist())) > 2 for side in sides)

    def _plain_frechet(self, a: Side, b: Side) -> float:
        if self._fits(a, b):
            return frechet_distance_of(a.rows, b.rows)
        return self._of_moments(a.moments()[0], b.moments()[0])

    def _of_moments(self, a: Moments, b: Moments) -> float:
        return frechet_distance(a, b, population=self.protocol.population_covariance)

    def _fits(self, a: Side, b: Side) -> bool:
        """Whether the features themselves are the cheaper way."""
        return max(a.num_rows, b.num_rows) <= self.dim and not self.protocol.population_covariance

    # -- numbers of all pairs, on so many rows at most

    @cached_property
    def _small(self) -> tuple[Side, Side]:
        return self._limited(self.real, "rows of real"), self._limited(self.synthetic, "rows of synthetic")

    def _small_halves(self) -> list[tuple[Side, Side]]:
        return [(self._limited(a, "left"), self._limited(b, "right")) for a, b in self._halves()]

    def _limited(self, side: Side, purpose: str) -> Side:
        """Whole videos, in an order drawn by the seed, up to so many rows."""
        if side.num_rows <= self.protocol.max_rows:
            return side
        order = numpy_generator(self.seed, purpose).permutation(len(side.chosen))
        kept = max(2, int((np.cumsum(side.counts[order]) <= self.protocol.max_rows).sum()))
        return side.of(np.sort(side.chosen[order[:kept]]))

    def _kernel(self) -> Estimate:
        x, y = self._small
        patients = self._patients(x, y)
        value = kernel_distance(x.rows, y.rows, *patients)
        if not self._has_interval(x, y):
            return Estimate(value)
        of_x, of_y = (side.per_row(side.groups(self.seed)) for side in (x, y))
        return jackknife(value, kernel_distances_without(x.rows, of_x, y.rows, of_y, *patients), lowest=None)

    @cached_property
    def _manifolds(self) -> Coverage:
        return self._coverage(*self._small)

    @cached_property
    def _real_manifolds(self) -> list[Coverage]:
        return [self._coverage(a, b) for a, b in self._small_halves()]

    def _coverage(self, a: Side, b: Side) -> Coverage:
        return coverage(a.rows, b.rows, self.protocol.neighbours, *self._patients(a, b))

    def _manifold(self, number: Number) -> dict[str, Any]:
        """A mean over the rows of one side; its interval draws that side's patients, the other side's balls stay."""
        found = self._manifolds
        per_row, side = (
            (found.per_synthetic[number], self._small[1])
            if number in found.per_synthetic
            else (found.per_real[number], self._small[0])
        )
        estimate = Estimate(float(per_row.mean()))
        if self.protocol.intervals:
            of_rows = np.unique(side.per_row(side.patients), return_inverse=True)[1]
            patients = np.bincount(of_rows, per_row) / np.bincount(of_rows)
            _, ends = mean_with_interval(patients.tolist(), self.seed)
            estimate = Estimate(estimate.value, *(ends or (None, None)))
        return estimate.to_json() | self._floor([getattr(m, number) for m in self._real_manifolds])

    # -- classifier, and curves

    def _classifier(self) -> dict[str, Any]:
        data = _classified(self.real, self.synthetic)
        if self.protocol.intervals:
            found = classifier_auc_with_interval(*data, self.seed).to_json()
        else:
            found = Estimate(classifier_auc(*data, self.seed)).to_json()
        floors = [classifier_auc(*_classified(a, b), self.seed) for a, b in self._halves()]
        return found | self._floor(floors)

    def _curve(self, number: Number) -> dict[str, Any]:
        """The band that is furthest from equality; all bands, and both curves, beside it."""
        if (curve := self.space.curves.get(number)) is None:
            raise DataError(f"{self.space.name} has no curve for {number}")

        def of(side: Side) -> Array:
            return curve.of_patients(side.unscaled.rows, side.per_row(side.patients))

        real, synthetic = of(self.real), of(self.synthetic)
        estimates = curve.with_intervals(real, synthetic, self.seed)
        floors = [curve.compared(of(a).mean(axis=0), of(b).mean(axis=0)) for a, b in self._halves()]
        bands = [
            {"band": name} | estimate.to_json() | self._floor([float(floor[i]) for floor in floors])
            for i, (name, estimate) in enumerate(zip(curve.bands, estimates, strict=True))
        ]
        worst = bands[curve.worst(np.array([estimate.value for estimate in estimates]))]
        lines = {"real": real.mean(axis=0).tolist(), "synthetic": synthetic.mean(axis=0).tolist()}
        return worst | {"bands": bands, "curves": {"at": list(curve.at), "unit": curve.unit} | lines}

    # -- scores

    def _inception_score(self) -> dict[str, Any]:
        if self.space.logits is None:
            raise DataError(f"{self.space.name} has no classifier")
        if (count := self.protocol.inception_count) is not None:
            return self._published_inception_score(count)
        parts = self._scores(self.synthetic)
        without = (
            [[_joined(InceptionScore(), parts, g).score for g in range(len(parts))]]
            if self._has_interval(self.synthetic)
            else []
        )
        found = jackknife(_joined(InceptionScore(), parts).score, without, lowest=1.0).to_json()
        reals = [_joined(InceptionScore(), self._scores(side)).score for pair in self._halves() for side in pair]
        return found | self._floor(reals)

    def _scores(self, side: Side) -> list[InceptionScore]:
        """One for each jackknife group of patients."""
        assert self.space.logits is not None
        groups = dict(zip(side.chosen.tolist(), side.groups(self.seed).tolist(), strict=True))
        parts = [InceptionScore() for _ in set(groups.values())]
        for i, rows in side.features.stream(side.key):
            if i in groups:
                parts[groups[i]].update(self.space.logits(rows))
        return parts

    def _published_inception_score(self, count: int) -> dict[str, Any]:
        """Parts of ``count / splits`` consecutive images, whatever number there is."""
        assert self.space.logits is not None
        splits, total = self.protocol.inception_splits, self.synthetic.num_rows
        if total <= (splits - 1) * count // splits:
            raise DataError(f"{total} images leave some of the {splits} parts of {count // splits} images empty")
        parts, at = [InceptionScore() for _ in range(splits)], 0
        for _, rows in self.synthetic.features.stream(self.synthetic.key):
            part = np.searchsorted(
                [(i + 1) * count // splits for i in range(splits)], at + np.arange(len(rows)), "right"
            )
            logits = self.space.logits(rows)
            for i in np.unique(part[part < splits]):
                parts[i].update(logits[part == i])
            at += len(rows)
        scores = [p.score for p in parts]
        return {"value": float(np.mean(scores)), "spread": float(np.std(scores))}

    def _floor(self, values: Sequence[float]) -> dict[str, Any]:
        if not values:
            return {}
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        return {"real_against_real": {"value": float(np.mean(values)), "spread": spread, "repeats": len(values)}}


def _retrieval(real: Side, synthetic: Side, train: Side | None) -> dict[str, Any]:
    if train is None or not len(train.chosen):
        raise DataError("there are no real TRAIN videos to retrieve from")
    own, others = (retrieval(train.rows, side.rows) for side in (synthetic, real))
    floor = {"value": others.score, "low": others.low, "high": others.high, "n": others.num_queries}
    adjusted = min(1.0, own.score / others.score)
    said = {"value": own.score, "low": own.low, "high": own.high, "n": own.num_queries}
    said |= {"retrieved": own.num_retrieved, "n_real": own.num_train}
    return said | {"adjusted": adjusted, "dim": train.dim, "real_against_real": floor}


def _classified(a: Side, b: Side) -> tuple[Array, Array, Codes, Codes]:
    """Features of both sides and their patients: at most `CLASSIFIED` of each video, spread over it."""
    x, y = (_spread(side.counts) for side in (a, b))
    return a.rows[x], b.rows[y], a.per_row(a.patients)[x], b.per_row(b.patients)[y]


def _spread(counts: Codes) -> Codes:
    starts = np.cumsum(counts) - counts
    return np.concatenate([start + spaced(int(n), CLASSIFIED) for start, n in zip(starts, counts, strict=True)])


def _joined(total: Sum, parts: Sequence[Sum], without: int | None = None) -> Sum:
    for i, part in enumerate(parts):
        if i != without:
            total.merge(part)
    return total
