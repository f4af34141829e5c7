"""Attacks on a synthetic set and on the models that made it. Each gives every real patient a score: higher is likelier in.

What the scores are worth is judged elsewhere, by patients: training patients against patients whom no model saw.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats  # type: ignore[import-untyped, unused-ignore]
from torch import Tensor

from echosyn import rng
from echosyn.errors import DataError
from echosyn.privacy.fingerprints import evenly
from echosyn.privacy.intervals import Risk, exact, risk
from echosyn.privacy.patient_matches import Array, Counts, Exposure, Sides
from echosyn.privacy.permutation import Mask

Errors = Callable[[Tensor, Tensor, float, Sequence[int]], Tensor]
"""``(x0 (n, ...), eps like it, time 0..1, rows) -> (n,)``: squared error of a denoiser's prediction for those items."""
Proximal = Callable[[Tensor, Sequence[int]], Tensor]
"""``(x0, rows) -> eps`` that the denoiser itself sees in clean latents."""

TIMES = (0.2, 0.4, 0.6)
"""Shares of the way to noise. Near 0 the noise drowns what was learned, near 1 nothing of the patient is left."""
ORIENTATIONS, CELL, FRAMES = 8, 4, 8
"""Of `gradients`: bins of half a turn, pixels of a cell, frames of a video."""
DIMENSIONS = 8
"""Of the space in which densities are estimated."""


@torch.no_grad()
def loss_scores(items: Tensor, errors: Errors, *, num_noises: int = 2, seed: int = 0, batch_size: int = 64) -> Array:
    """White box: minus the training loss of each item ``(n, ...)``, over fixed times and noises (Yeom et al. 2018).

    Every item sees the same noises, which takes their luck out of the comparison.
    """
    noises = rng.normal(tuple(items.shape[1:]), seed, "attack noise", range(num_noises))

    def of(part: Tensor, rows: Sequence[int]) -> Tensor:
        found = [errors(part, eps.expand_as(part), t, rows) for eps in noises for t in TIMES]
        return -torch.stack(found).mean(dim=0)

    return _batched(items, of, batch_size)


@torch.no_grad()
def proximal_scores(items: Tensor, errors: Errors, proximal: Proximal, *, batch_size: int = 64) -> Array:
    """White box: the error at the noise that the model itself sees in the clean item (PIA, Kong et al. 2024, eq. 9)."""

    def of(part: Tensor, rows: Sequence[int]) -> Tensor:
        eps = proximal(part, rows)
        return -torch.stack([errors(part, eps, t, rows) for t in TIMES]).mean(dim=0)

    return _batched(items, of, batch_size)


def density_ratio(targets: Array, synthetic: Array, population: Array) -> Array:
    """Black box: how much denser is the synthetic set around each target than the population is (DOMIAS).

    ``log p_synthetic(x) - log p_population(x)`` (van Breugel et al. 2023, eq. 2), Gaussian kernels with Scott's bandwidth
    in the principal components of the population.

    Args:
        targets: Shape ``(n, d)``.
        synthetic: Shape ``(m, d)``.
        population: Shape ``(k, d)``: people like the patients, whom the attacker knows of and who are no targets.

    Raises:
        DataError: Fewer than three synthetic items or people, or NaN.
    """
    if min(len(synthetic), len(population)) < 3:
        raise DataError(f"{len(synthetic)} synthetic items and {len(population)} people, expected at least 3 of each")
    if not all(np.isfinite(x).all() for x in (targets, synthetic, population)):
        raise DataError("a vector holds NaN or infinity, expected finite ones")
    mean = population.mean(axis=0)
    _, spread, axes = np.linalg.svd(population - mean, full_matrices=False)
    num = min(DIMENSIONS, int((spread > 1e-9 * max(spread[0], 1e-12)).sum()))
    scale = spread[:num] / np.sqrt(len(population) - 1)
    x, s, p = ((part - mean) @ axes[:num].T / scale for part in (targets, synthetic, population))
    return _log_density(x, s) - _log_density(x, p)


def gradients(thumbnails: Tensor) -> Tensor:
    """What the filter does not look at: orientations of edges in 7 x 7 cells of thumbnails ``(T, 28, 28)``, unit length ``(d,)``.

    Dalal & Triggs (2005), without blocks; orientations are unsigned, and a few frames are averaged.
    """
    down, right = torch.gradient(evenly(thumbnails.float(), FRAMES), dim=(1, 2))
    size, angle = torch.hypot(down, right), torch.atan2(down, right) % torch.pi
    which = (angle / torch.pi * ORIENTATIONS).long() % ORIENTATIONS
    votes = torch.nn.functional.one_hot(which, ORIENTATIONS).movedim(-1, 1) * size[:, None]
    found = torch.nn.functional.avg_pool2d(votes, CELL).mean(dim=0).flatten().sqrt()
    unit: Tensor = found / found.norm().clamp(min=1e-12)
    return unit


def nearest_by_far(patients: Array, synthetic: Array, *, block: int = 256) -> Array:
    """By how much each patient is likelier the source of a synthetic video than any other patient is, at the best: ``(n,)``.

    No threshold: what counts is the rank of a patient among all, and the gap behind the first. Negative: never the first.

    Args:
        patients: Unit vectors ``(n, d)``, at least two.
        synthetic: Likewise ``(m, d)``, at least one.
        block: Videos at a time.
    """
    best = np.full(len(patients), -np.inf)
    for start in range(0, len(synthetic), block):
        likeness = patients @ synthetic[start : start + block].T
        second, first = np.partition(likeness, -2, axis=0)[-2:]
        best = np.maximum(best, (likeness - np.where(likeness == first, second, first)).max(axis=1))
    return best


@dataclass(frozen=True)
class Excess:
    """Right guesses about training patients beyond those about held-out ones, whose recordings cannot have leaked."""

    risk: Risk
    """Shares of training patients (main) and of held-out ones (control) of whom the guess is right."""
    naive: float
    """Share that a guess without the videos' pixels gets right; an attack below it is weak, and says little."""
    p_value: float
    """Of more right guesses about training than about held-out patients (Fisher's exact test)."""

    @classmethod
    def of(cls, right: Mask, is_train: Mask, naive: float) -> "Excess":
        """Of guesses about patients, one each."""
        hits = [(int(right[side].sum()), int(side.sum())) for side in (is_train, ~is_train)]
        table = [[hit, num - hit] for hit, num in hits]
        p_value = float(stats.fisher_exact(table, alternative="greater").pvalue)
        return cls(risk(*(exact(*counts) for counts in hits)), naive, p_value)


def halves_linked(first: Array, second: Array, synthetic: Array, is_train: Mask) -> Excess:
    """Linkability (Anonymeter, Giomi et al. 2023, section 3.2, k = 1), which knows no threshold.

    Somebody who is given two halves of recordings takes them for one patient's where both are nearest to the same video. Halves
    of one recording are alike, so that many are linked whoever the patient is: the control says how many.

    Args:
        first: Unit vectors of the first halves ``(n, d)``.
        second: Of the second halves.
        synthetic: Of the videos ``(m, d)``.
        is_train: Of each patient.
    """
    same = (first @ synthetic.T).argmax(axis=1) == (second @ synthetic.T).argmax(axis=1)
    return Excess.of(same, is_train, 1 / len(synthetic))


def attribute_inferred(
    truth: Sequence[str | None], nearest: Counts, labels: Sequence[str | None], is_train: Mask
) -> Excess | None:
    """Attribute inference (Anonymeter, section 3.3): the label of the nearest synthetic video is taken for the patient's.

    The naive guess is a label drawn from the set. None where no training or no held-out patient's attribute is known.

    Args:
        truth: The attribute of each patient ``(n,)``; None where unknown.
        nearest: The synthetic video nearest to each.
        labels: What the set says of each of its videos; a video of which it says nothing gives a wrong guess.
        is_train: Of each patient.
    """
    known = np.array([value is not None for value in truth], bool)
    if not is_train[known].any() or is_train[known].all():
        return None
    of = np.array([str(value) for value in truth])[known]
    said = np.array([label or "" for label in labels])
    naive = float((of[is_train[known], None] == said).mean())
    return Excess.of(said[nearest[known]] == of, is_train[known], naive)


def singling_out(exposure: Exposure, sides: Sides) -> Risk:
    """Each synthetic video is a description, 'looks at least this much like it'; does it fit exactly one patient?

    Main: share of training patients whom some video singles out. Control: of held-out patients, of as many: the larger side is
    thinned at random, because a description fits one of many more easily than one of few.

    Args:
        exposure: To all synthetic videos.
        sides: With which it was made.
    """
    each = (exposure.singled_out[list(side)] for side in (sides.train, sides.held_out))
    return risk(*(exact(int(side.sum()), len(side)) for side in each))


def _batched(items: Tensor, of: Callable[[Tensor, Sequence[int]], Tensor], batch_size: int) -> Array:
    parts = [
        of(items[i : i + batch_size], range(i, min(i + batch_size, len(items))))
        for i in range(0, len(items), batch_size)
    ]
    scores: Array = torch.cat(parts).double().cpu().numpy() if parts else np.zeros(0)
    return scores


def _log_density(x: Array, of: Array) -> Array:
    """Up to the constant that every Gaussian kernel has: ``log mean exp(-|x - y|^2 / 2 h^2) - d log h``."""
    n, d = of.shape
    width = n ** (-1 / (d + 4)) * np.maximum(of.std(axis=0), 0.05)
    distance = (((x[:, None] - of[None]) / width) ** 2).sum(axis=2)
    least = distance.min(axis=1, keepdims=True)
    density: Array = -0.5 * least[:, 0] + np.log(np.exp(-0.5 * (distance - least)).mean(axis=1)) - np.log(width).sum()
    return density
