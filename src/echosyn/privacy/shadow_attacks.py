"""Attacks that compare a model's loss of each patient with the losses of models of the attacker's own (shadow models).

What is compared is minus the logarithm of the loss: higher is better known, and a model that is worse throughout is shifted.
Where it matters, each model's numbers are put on the scale of their median and absolute deviation: shadow models are smaller.
"""

import numpy as np

from echosyn.errors import ConfigError
from echosyn.privacy.patient_matches import Array
from echosyn.privacy.permutation import Mask
from echosyn.rng import numpy_generator

FEWEST = 4
"""Shadow models: each patient is in two and out of two."""
GAMMA = 1.0
"""By how much a member's likelihood ratio must be above others' (RMIA)."""


def refuse_odd(num: int) -> None:
    """Refuse numbers of shadow models that cannot have every patient in half of them.

    Raises:
        ConfigError: It is neither 0 nor an even number from `FEWEST`.
    """
    if num and (num < FEWEST or num % 2):
        raise ConfigError(f"--shadow-models {num}: expected 0 or an even number from {FEWEST}, such as 8")


def drawn(num: int, patients: int, seed: int = 0) -> Mask:
    """Who is in which shadow model, ``(num, patients)``: each patient in half of them, each model has half of the patients."""
    inside = np.zeros((num, patients), bool)
    for k in range(0, num, 2):
        inside[k, numpy_generator(seed, "shadow model", k).permutation(patients)[: patients // 2]] = True
        inside[k + 1] = ~inside[k]
    return inside


def lira(target: Array, shadows: Array, inside: Mask) -> Array:
    """Log likelihood ratio of a patient's loss, in against out (LiRA, Carlini et al. 2022, algorithm 1, variances pooled).

    Args:
        target: Losses of the model under attack ``(n,)``, above 0.
        shadows: Of the shadow models ``(m, n)``.
        inside: Of `drawn`.
    """
    t, s = standardized(target[None])[0], standardized(shadows)

    def log_density(of: Mask) -> Array:
        num = of.sum(axis=0)
        mean = np.where(of, s, 0.0).sum(axis=0) / num
        variance = np.where(of, (s - mean) ** 2, 0.0).sum() / max(int((num - 1).sum()), 1) + 1e-6
        density: Array = -0.5 * (t - mean) ** 2 / variance - 0.5 * np.log(variance)
        return density

    return log_density(inside) - log_density(~inside)


def rmia(target: Array, shadows: Array, gamma: float = GAMMA) -> Array:
    """Share of the others whose likelihood ratio a patient's exceeds (RMIA, Zarifzadeh et al. 2024, eq. 2 and 4).

    The ratio of a patient is the model's likelihood over its mean under all shadow models, half of which saw the patient.

    Args:
        target: Losses of the model under attack ``(n,)``, above 0.
        shadows: Of the shadow models ``(m, n)``.
        gamma: From 1.
    """
    ratio = standardized(target[None])[0] - np.logaddexp.reduce(standardized(shadows), axis=0)
    below = np.searchsorted(np.sort(ratio), ratio - np.log(gamma), side="left")
    share: Array = below / len(ratio)
    return share


def calibrated(target: Array, shadows: Array, inside: Mask) -> Array:
    """How much smaller a patient's loss is than under models that never saw the patient (Watson et al. 2022, eq. 4).

    Args:
        target: Losses of the model under attack ``(n,)``, above 0.
        shadows: Of the shadow models ``(m, n)``.
        inside: Of `drawn`.
    """
    outside: Array = np.where(inside, 0.0, np.log(shadows)).sum(axis=0) / (~inside).sum(axis=0)
    return outside - np.log(target)


def standardized(losses: Array) -> Array:
    """Minus logarithms, each row on the scale of its median and 1.4826 x the median absolute deviation, ``(m, n)``."""
    scores = -np.log(losses)
    middle = np.median(scores, axis=1, keepdims=True)
    spread = 1.4826 * np.median(np.abs(scores - middle), axis=1, keepdims=True)
    result: Array = (scores - middle) / np.maximum(spread, 1e-12)
    return result
