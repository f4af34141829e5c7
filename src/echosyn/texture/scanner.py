"""How recordings differ in their grain: one draw of it for each video, as if of another scanner."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special  # type: ignore[import-untyped, unused-ignore]

from echosyn.texture.sector import Frames, Sector

Double = NDArray[np.float64]

DARK = 8.0
"""Decoded grey level below which a pixel counts as dark."""
LIMIT = 2.5
"""Standard deviations beyond which a feature is taken for that far."""
NUM_FEATURES = 9
COMPONENTS = 12
"""Directions in which what the features leave open varies."""
RIDGE = 0.1
QUANTILES = np.linspace(0.02, 0.98, 33)


@dataclass(frozen=True)
class Scanner:
    """A Gaussian copula of the effects of one video's scanner, given features of the decoded video."""

    mean: Double
    """Of the features ``(F,)``."""
    deviation: Double
    """Of the features ``(F,)``."""
    slopes: Double
    """Normal scores of the effects given 1 and the standardized features: ``(F + 1, E)``."""
    loadings: Double
    """What is added for standard normal numbers: ``(E, C)``."""
    quantiles: Double
    """Of each effect at `QUANTILES`: ``(Q, E)``."""

    def draw(self, decoded: Frames, sector: Sector, generator: np.random.Generator) -> Double:
        """Effects ``(E,)`` for a decoded video."""
        x = _standardized(features(decoded, sector)[None], self.mean, self.deviation)
        scores = (x @ self.slopes)[0] + self.loadings @ generator.standard_normal(self.loadings.shape[1])
        chances = special.ndtr(scores)
        columns = zip(chances, self.quantiles.T, strict=True)
        return np.array([np.interp(chance, QUANTILES, column) for chance, column in columns])

    @classmethod
    def of(cls, found: Double, effects: Double) -> "Scanner":
        """From features ``(n, F)`` and effects ``(n, E)`` of n videos."""
        mean, deviation = found.mean(0), found.std(0) + 1e-6
        x = _standardized(found, mean, deviation)
        order = np.argsort(np.argsort(effects, axis=0, kind="stable"), axis=0)
        scores = special.ndtri((order + 0.5) / len(effects))
        scores[:, np.ptp(effects, axis=0) == 0] = 0
        penalty = np.eye(x.shape[1]) * RIDGE * len(x)
        penalty[0, 0] = 0
        slopes = np.linalg.solve(x.T @ x + penalty, x.T @ scores)
        _, size, directions = np.linalg.svd(scores - x @ slopes, full_matrices=False)
        loadings = directions[:COMPONENTS].T * size[:COMPONENTS]
        left = np.clip(
            1 - (x @ slopes).var(0), 0.05, 1
        )  # the few directions carry all of it, so that scores have unit variance
        loadings *= np.sqrt(left / np.maximum((loadings**2).sum(1), 1e-9))[:, None]
        return cls(mean, deviation, slopes, loadings, np.quantile(effects, QUANTILES, axis=0))


def features(decoded: Frames, sector: Sector) -> Double:
    """What a decoded video shows of its scanner: grey levels and the sector's shape.

    Not how restless it is: generated latents do not flicker as encoded ones do.
    """
    x = decoded[:, sector.inside].astype(np.float32)
    shape = [float((x < DARK).mean()), float(sector.inside.mean()), sector.apex[1] / sector.inside.shape[0]]
    levels = np.sqrt(np.quantile(x, [0.1, 0.25, 0.5, 0.75, 0.9, 0.98]))
    return np.array([*levels, *shape])


def _standardized(x: Double, mean: Double, deviation: Double) -> Double:
    scaled = ((x - mean) / deviation).clip(-LIMIT, LIMIT)
    return np.concatenate([np.ones((len(x), 1)), scaled], axis=1)
