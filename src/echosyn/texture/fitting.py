"""From pairs of recorded and decoded videos to a texture."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special  # type: ignore[import-untyped, unused-ignore]

from echosyn import rng
from echosyn.errors import DataError
from echosyn.progress import Progress, silent
from echosyn.texture import covariance
from echosyn.texture.network import predict, train
from echosyn.texture.scanner import Scanner, features
from echosyn.texture.sector import Array, Frames, Mask, Sector
from echosyn.texture.texture import DEPTHS, GREYS, NUM_SCORES, PER_PLACE, PLACES, REACH, Texture, level_of

Double = NDArray[np.float64]

LEAST_VIDEOS = 8
ROUNDS = 5
"""In which the fields' spectra are corrected for what mixing, quantiles and whole grey levels do to them."""
OF_ROUNDS = 14
"""Videos of which a round makes a texture."""
FLOOR = 0.1
"""Power, in parts of that of white noise, below which spectra are not told apart."""
FEWEST = 2500
"""Pixels over all frames from which a kind of place of one video has statistics of its own."""
_GROUPS = 24
"""Of expected grey levels, equally large, with quantiles of their own."""
_STEPS = 1025
_FAR = 8.0
"""Standardized residuals are inverted on `_STEPS` steps from -`_FAR` to `_FAR`."""


def fit(
    recorded: Sequence[Frames],
    decoded: Sequence[Frames],
    seed: int = 0,
    steps: int = 1500,
    progress: Progress = silent,
    moving: Texture | None = None,
) -> Texture:
    """The texture of recorded videos.

    Args:
        recorded: uint8 ``(T, H, W)`` each, one video a patient; those without a sector or too short are left out.
        decoded: the same videos through the VAE.
        seed: of the network and of the fields that are drawn while fitting.
        steps: in which the network is trained.
        progress: told what is done.
        moving: another texture whose course in time this one shall have: then videos of any length will do, and their frames are
            taken for stills.

    Raises:
        DataError: fewer than `LEAST_VIDEOS` videos have a sector and, without ``moving``, more frames than `covariance.LAGS`.
    """
    fewest = 1 if moving else covariance.LAGS[0] + 1
    sectors = [Sector.of(video) if len(video) >= fewest else None for video in decoded]
    kept = [i for i, sector in enumerate(sectors) if sector is not None]
    if len(kept) < LEAST_VIDEOS:
        enough = "a sector" if moving else f"a sector and at least {fewest} frames"
        raise DataError(f"{len(kept)} videos have {enough}, expected at least {LEAST_VIDEOS}")
    known = [sector for sector in sectors if sector is not None]
    recorded, decoded = ([videos[i] for i in kept] for videos in (recorded, decoded))
    network = train(recorded, decoded, known, steps, seed)
    progress("texture", 1, ROUNDS + 2)
    levels = [predict(network, video, sector) for video, sector in zip(decoded, known, strict=True)]
    inside = [video[:, sector.inside] for video, sector in zip(recorded, known, strict=True)]
    quantiles = _quantiles(inside, levels, rng.numpy_generator(seed, "texture quantiles", 0))
    inverse = _inverse(quantiles)
    weights = [_weights(mean, sector) for (mean, _), sector in zip(levels, known, strict=True)]
    still = moving is not None
    products = covariance.products_of_stills if still else covariance.products
    sums = covariance.sums_of_stills if still else covariance.sums
    of_weights = [[products(weight) for weight in each] for each in weights]

    def measured(i: int, pixels: Frames) -> tuple[Double, Double]:
        """Sums at all lags, and moments, of each kind of place of video i."""
        scores = _scores(pixels, levels[i], inverse)
        image = np.zeros((len(pixels), *known[i].inside.shape), np.float32)
        image[:, known[i].inside] = scores
        polar = known[i].to_polar(image)
        lags = np.stack([sums(polar, *each) for each in zip(weights[i], of_weights[i], strict=True)])
        return lags, _moments(scores, levels[i][0], known[i])

    def correlations(lags: Double) -> Double:
        """Of all videos together, in each kind of place."""
        of_all = covariance.correlation(lags.sum(0))
        if moving is None:
            return of_all
        return np.stack([covariance.in_motion(*each) for each in zip(of_all, moving.correlations, strict=True)])

    found = [measured(i, pixels) for i, pixels in enumerate(inside)]
    lags, moments = (np.stack([each[k] for each in found]) for k in (0, 1))
    progress("texture", 2, ROUNDS + 2)
    aim = correlations(lags)
    effects = _effects(lags, moments, aim, rng.numpy_generator(seed, "texture effects", 0), still=still)
    known_features = np.stack([features(video, sector) for video, sector in zip(decoded, known, strict=True)])
    start = np.stack([_possible(c) for c in aim]).astype(np.float32)
    ones = np.ones(len(PLACES), np.float32)
    texture = Texture(network, quantiles, start, ones, Scanner.of(known_features, effects))
    some = list(range(0, len(kept), max(1, len(kept) // OF_ROUNDS)))
    goal, size = correlations(lags[some]), _deviations(moments[some])
    for turn in range(ROUNDS):
        made = [
            texture.drawn(
                decoded[i], known[i], levels[i], effects[i], rng.numpy_generator(seed, f"texture fit {turn}", i)
            )[:, known[i].inside]
            for i in some
        ]
        seen = [measured(i, pixels) for i, pixels in zip(some, made, strict=True)]
        got = correlations(np.stack([each[0] for each in seen]))
        texture = replace(
            texture,
            correlations=np.stack([_corrected(*each) for each in zip(texture.correlations, goal, got, strict=True)]),
            amplitudes=texture.amplitudes * (size / _deviations(np.stack([each[1] for each in seen]))) ** 0.8,
        )
        progress("texture", turn + 3, ROUNDS + 2)
    return texture


def _quantiles(inside: Sequence[Frames], levels: Sequence[tuple[Array, Array]], draws: np.random.Generator) -> Array:
    """Of standardized residuals at each expected grey level, ``(257, NUM_SCORES)``; whole grey levels are spread evenly."""
    pixels, mean, spread = (
        np.concatenate([x.ravel() for x in parts])
        for parts in (inside, [mean for mean, _ in levels], [spread for _, spread in levels])
    )
    dithered = pixels.astype(np.float32) + draws.random(len(pixels), np.float32) - 0.5
    residual = (np.sqrt(dithered.clip(0) / 255) - mean) / spread
    level = mean * mean * 255
    chances = special.ndtr(np.linspace(-REACH, REACH, NUM_SCORES))
    groups = np.array_split(np.argsort(level), _GROUPS)
    centres = [float(level[group].mean()) for group in groups]
    table = np.array([np.quantile(residual[group], chances) for group in groups])
    columns = [np.interp(np.arange(257), centres, column) for column in table.T]
    return np.stack(columns, 1).astype(np.float32)


def _inverse(quantiles: Array) -> Array:
    """Normal scores of standardized residuals, ``(257, _STEPS)``."""
    scores = np.linspace(-REACH, REACH, NUM_SCORES)
    rising = quantiles + np.arange(NUM_SCORES) * 1e-6
    return np.stack([np.interp(np.linspace(-_FAR, _FAR, _STEPS), row, scores) for row in rising]).astype(np.float32)


def _scores(pixels: Frames, levels: tuple[Array, Array], inverse: Array) -> Array:
    """Normal scores of pixels ``(T, P)``: the middle between those of a grey level's ends; black has no lower end."""
    mean, spread = levels
    row = level_of(mean).astype(np.intp) * _STEPS

    def at(grey: Array) -> Array:
        residual = (np.sqrt(grey.clip(0) / 255) - mean) / spread
        step = ((residual + _FAR) * ((_STEPS - 1) / (2 * _FAR)) + 0.5).clip(0, _STEPS - 1).astype(np.intp)
        found: Array = inverse.ravel()[row + step]
        return found

    grey = pixels.astype(np.float32)
    low = np.where(pixels == 0, np.float32(-REACH), at(grey - 0.5))
    return ((low + at(grey + 0.5)) / 2).astype(np.float32, copy=False)


def _weights(mean: Array, sector: Sector) -> list[Array]:
    """Where kinds of places are purely themselves, on the polar grid; as heavy as the grid's cells are large."""
    image = np.zeros((len(mean), *sector.inside.shape), np.float32)
    image[:, sector.inside] = mean
    level = sector.to_polar(image) ** 2 * 255
    inner = ndimage.binary_erosion(sector.inside, iterations=2).astype(np.float32)
    inside = sector.to_polar(inner[None]) > 0.99
    rings = np.arange(sector.shape[0], dtype=np.float32)[None, :, None] / sector.shape[0]
    return [((inside & place) * np.sqrt(rings)).astype(np.float32) for place in _places(level, rings)]


def _moments(scores: Array, mean: Array, sector: Sector) -> Double:
    """Squares less the mean's, and number of pixels, of each kind of place: ``(len(PLACES), 2)``."""
    found = [scores[place].astype(np.float64) for place in _places(mean * mean * 255, sector.depth)]
    return np.array([[float((values**2).sum()), len(values)] for values in found])


def _places(level: NDArray[Any], depth: NDArray[Any]) -> Iterator[Mask]:
    """Where each kind of place is purely itself, at expected grey levels and depths from 0 to 1 that broadcast."""
    for grey, far in PLACES:
        place = (level >= GREYS[grey][0]) & (level <= GREYS[grey][1])
        if far is not None:
            place = place & (depth >= DEPTHS[far][0]) & (depth <= DEPTHS[far][1])
        yield place


def _deviations(moments: Double) -> Array:
    """Of all videos together: ``(len(PLACES),)``."""
    squares, number = moments.sum(0).T
    found: Array = np.sqrt(np.maximum(squares, 1.0) / np.maximum(number, 1.0)).astype(np.float32)
    return found


def _effects(lags: Double, moments: Double, aim: Double, draws: np.random.Generator, *, still: bool) -> Double:
    """What is particular in each video, ``(n, len(PLACES) * PER_PLACE)``; a kind of place that it hardly has is another's.

    Nothing in time if frames are ``still``.
    """
    pooled = _deviations(moments)
    effects = np.full((len(lags), len(PLACES), PER_PLACE), np.nan)
    for k in range(len(PLACES)):
        everybody = np.maximum(covariance.marginals(aim[k]), 1e-6)
        for i in range(len(lags)):
            squares, number = moments[i, k]
            if number < FEWEST:
                continue
            own = covariance.marginals(covariance.correlation(lags[i, k]))
            effects[i, k, 0] = 0.5 * np.log(max(squares, 1.0) / number) - np.log(pooled[k])
            effects[i, k, 1:] = np.log((own / everybody).clip(0.15, 6))
        known = np.flatnonzero(~np.isnan(effects[:, k, 0]))
        missing = np.flatnonzero(np.isnan(effects[:, k, 0]))
        effects[missing, k] = effects[draws.choice(known, len(missing)), k] if len(known) else 0.0
    # Whole grey levels leave little to measure in the dark: only its flicker is taken from each video, and not its extremes.
    along_time = 1 + covariance.KNOTS[0]
    if still:
        effects[:, :, 1:along_time] = 0
    effects[:, 0, along_time:] = 0
    effects[:, 0, 1:along_time] = effects[:, 0, 1:along_time].clip(-0.7, 0.7)
    return effects.reshape(len(lags), -1)


def _possible(correlations: Double) -> Double:
    """The nearest correlations without negative power."""
    return covariance.from_power(covariance.power(covariance.windowed(correlations)).clip(1e-4))


def _corrected(now: Array, goal: Double, got: Double) -> Array:
    """The correlations of a field whose result shall have those of the goal, and got others."""
    want, have = (covariance.power(covariance.windowed(c)).clip(FLOOR) for c in (goal, got))
    factor = (want / have).clip(0.4, 2.5) ** 0.8
    result: Array = covariance.from_power(covariance.power(now.astype(np.float64)).clip(1e-4) * factor).astype(
        np.float32
    )
    return result
