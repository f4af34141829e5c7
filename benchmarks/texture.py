"""A study, not yet in use: speckle for decoded videos by a Gaussian copula. Prints JSON; takes some minutes.

A decoder gives the mean of what a latent may stand for, so its frames have no speckle. The copula is fitted to pairs of
recorded and decoded phantoms: the distribution of a recorded grey level given the decoded one and the contrast around
it, and the autocovariance of its normal scores in depth, angle and time about the sector's apex, in dark and in bright
places. To lay it on a video, a Gaussian field of that covariance is drawn, brought to pixels and sent through the
distributions. Nothing is trained. It is judged on other phantoms by `echosyn.metrics`: classifiers against the recorded
files, power by octave, persistence.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft, ndimage, special

from echosyn import __version__, rng, weights
from echosyn.data import phantom
from echosyn.data.background import background
from echosyn.metrics import speckle, spectrum
from echosyn.metrics.beams import beams
from echosyn.metrics.two_sample import classifier_auc_with_interval
from echosyn.nn import efficientnet_lite
from echosyn.pipeline.models import codec

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

NUM_RANGES = 136
"""Rings of the polar grid, one pixel apart."""
NUM_ANGLES = 124
"""Rays of the polar grid."""
STEP = float(np.deg2rad(0.83))
"""Angle between neighbouring rays, radians."""


@dataclass(frozen=True)
class Fan:
    """The sector of a video."""

    inside: Mask
    """``(H, W)``: its pixels."""
    apex: tuple[float, float]
    """Column and row of the point where its edges meet, pixels."""

    @classmethod
    def of(cls, frames: NDArray[np.uint8], threshold: int = 4) -> "Fan":
        """The sector of uint8 frames ``(T, H, W)`` with a black background.

        Args:
            frames: a video.
            threshold: grey level that a pixel of the sector reaches in at least one frame.
        """
        bright = ndimage.binary_opening(frames.max(0) >= threshold, np.ones((2, 2)))
        inside = ndimage.binary_fill_holes(bright)
        return cls(np.asarray(inside), beams(np.asarray(inside)).apex)

    def position(self) -> tuple[Array, Array]:
        """Ring and ray, fractional, of each pixel inside: two ``(P,)``."""
        row, column = np.nonzero(self.inside)
        x, y = column - self.apex[0], row - self.apex[1]
        ring = np.hypot(x, y).clip(0, NUM_RANGES - 1.001)
        ray = (np.arctan2(x, y) / STEP + (NUM_ANGLES - 1) / 2).clip(0, NUM_ANGLES - 1.001)
        return ring.astype(np.float32), ray.astype(np.float32)

    def from_polar(self, field: Array) -> Array:
        """A polar field ``(T, NUM_RANGES, NUM_ANGLES)`` at the pixels inside, bilinear: ``(T, P)``."""
        ring, ray = self.position()
        low, left = ring.astype(np.int64), ray.astype(np.int64)
        f, g = ring - low, ray - left
        flat = field.reshape(len(field), -1)
        at = low * NUM_ANGLES + left
        upper = flat[:, at] * (1 - g) + flat[:, at + 1] * g
        lower = flat[:, at + NUM_ANGLES] * (1 - g) + flat[:, at + NUM_ANGLES + 1] * g
        result: Array = upper * (1 - f) + lower * f
        return result

    def to_polar(self, images: Array) -> Array:
        """Images ``(T, H, W)`` on the polar grid, bilinear, 0 beyond: ``(T, NUM_RANGES, NUM_ANGLES)``."""
        ring = np.arange(NUM_RANGES)[:, None]
        angle = (np.arange(NUM_ANGLES)[None] - (NUM_ANGLES - 1) / 2) * STEP
        places = [self.apex[1] + ring * np.cos(angle), self.apex[0] + ring * np.sin(angle)]
        return np.stack([ndimage.map_coordinates(i, places, order=1, mode="constant") for i in images])


Frames = NDArray[np.uint8]

NUM_SCORES = 129
"""Steps of the table between normal scores -`REACH` and `REACH`."""
REACH = 3.0
_PAD = 16
"""Frames by which a drawn field is longer than the video, so that its end is not like its beginning."""
MIX = (8.0, 28.0)
"""Decoded grey levels between which dark places become bright."""
_NEIGHBOURHOOD = 7
"""Side of the square in which contrast is measured, pixels."""


def contrast(frames: Frames) -> Array:
    """Standard deviation of grey levels around each pixel of uint8 frames ``(T, H, W)``."""
    grey = frames.astype(np.float32)
    size = (1, _NEIGHBOURHOOD, _NEIGHBOURHOOD)
    mean = ndimage.uniform_filter(grey, size)
    square = ndimage.uniform_filter(grey * grey, size)
    result: Array = np.sqrt((square - mean * mean).clip(0))
    return result


@dataclass(frozen=True)
class Texture:
    """Statistics of recorded frames given decoded ones."""

    greys: Frames
    """``(256, C, NUM_SCORES)``: the recorded grey level at each decoded level, class of contrast and normal score."""
    bounds: Array
    """``(256, C - 1)``: contrasts between the classes, at each decoded level."""
    covariances: Array
    """``(2, lags in frames, in rings, in rays)``: of the normal scores in dark and in bright places, from lag 0, even in
    each direction. Noise in blood changes from frame to frame, speckle of tissue stays."""

    def lay(self, frames: Frames, seed: int, index: int) -> Frames:
        """The decoded video with texture; black outside of its sector.

        Args:
            frames: uint8 ``(T, H, W)``, decoded.
            seed: with ``index`` decides the texture, and nothing else does.
            index: the video's number.
        """
        fan = Fan.of(frames)
        dark, bright = (fan.from_polar(f) for f in self.draw(len(frames), rng.numpy_generator(seed, "texture", index)))
        out = np.zeros_like(frames)
        pixels = frames[:, fan.inside]
        out[:, fan.inside] = self.compressed(pixels, contrast(frames)[:, fan.inside], mixed(pixels, dark, bright))
        return out

    def draw(self, num_frames: int, generator: np.random.Generator) -> list[Array]:
        """Gaussian fields ``(num_frames, NUM_RANGES, NUM_ANGLES)`` for dark and bright places, made of the same noise."""
        shape = (num_frames + _PAD, NUM_RANGES, NUM_ANGLES)
        white = fft.rfftn(generator.standard_normal(shape, dtype=np.float32), overwrite_x=True)
        filtered = (white * np.sqrt(power(covariance, shape)) for covariance in self.covariances)
        return [np.asarray(fft.irfftn(each, s=shape)[:num_frames]) for each in filtered]

    def compressed(self, decoded: Frames, contrasts: Array, scores: Array) -> Frames:
        """Grey levels of pixels ``(...)`` from decoded levels, contrasts and normal scores of the same shape."""
        classes = (contrasts[..., None] > self.bounds[decoded]).sum(-1, dtype=np.int64)
        steps = ((scores + REACH) * ((NUM_SCORES - 1) / (2 * REACH)) + 0.5).clip(0, NUM_SCORES - 1).astype(np.int64)
        return self.greys[decoded, classes, steps]


def mixed(decoded: Frames, dark: Array, bright: Array) -> Array:
    """Scores of unit variance at pixels ``(T, P)``: one field in dark places, the other in bright ones."""
    low, high = MIX
    weight = ((decoded.astype(np.float32) - low) / (high - low)).clip(0, 1)
    result: Array = np.sqrt(1 - weight) * _unit(dark) + np.sqrt(weight) * _unit(bright)
    return result / max(float(result.std()), 1e-6)


def _unit(field: Array) -> Array:
    return field / max(float(field.std()), 1e-6)


def power(covariance: Array, shape: tuple[int, ...]) -> Array:
    """The spectrum that belongs to a covariance, at the frequencies of `scipy.fft.rfftn`; never negative."""
    lags = [np.minimum(np.arange(n), n - np.arange(n)) for n in shape]
    known = [np.minimum(lag, k - 1) for lag, k in zip(lags, covariance.shape, strict=True)]
    fade = [
        np.where(lag < k, 0.5 + 0.5 * np.cos(np.pi * lag / k), 0.0)
        for lag, k in zip(lags, covariance.shape, strict=True)
    ]
    weight = fade[0][:, None, None] * fade[1][None, :, None] * fade[2][None, None]
    whole = covariance[np.ix_(*known)] * weight
    result: Array = fft.rfftn(whole.astype(np.float32)).real.clip(0)
    return result


NUM_CLASSES = 3
"""Of contrast."""
NUM_LEVELS = 28
"""Groups of decoded levels, equally large."""
LAGS = (33, 21, 21)
"""Of the covariance: frames, rings, rays."""
_ROUNDS = 5


def fit(recorded: Sequence[Frames], decoded: Sequence[Frames], seed: int = 0) -> Texture:
    """The texture of recorded videos.

    Args:
        recorded: uint8 ``(T, H, W)`` each, one video a patient, T more than the lags in frames.
        decoded: the same videos through the VAE.
        seed: of the fields that are drawn while fitting.
    """
    fans = [Fan.of(video) for video in decoded]
    bounds, quantiles, chances = _distributions(recorded, decoded, fans)
    nodes = special.ndtr(np.linspace(-REACH, REACH, NUM_SCORES))
    greys = np.empty((256, NUM_CLASSES, NUM_SCORES), np.uint8)
    for level in range(256):
        for c in range(NUM_CLASSES):
            greys[level, c] = np.interp(nodes, chances, quantiles[level, c]).round().clip(0, 255)
    texture = Texture(greys, bounds, np.zeros((2, *LAGS), np.float32))
    places = [_places(video, fan) for video, fan in zip(decoded, fans, strict=True)]
    aim = _covariances([_scores(texture, r, d, f) for r, d, f in zip(recorded, decoded, fans, strict=True)], places)
    texture = replace(texture, covariances=aim)
    some = range(0, len(fans), max(1, len(fans) // 10))
    for turn in range(_ROUNDS):
        fields = [
            _scores(texture, texture.lay(decoded[i], rng.key(seed, "texture fit", turn), i), decoded[i], fans[i])
            for i in some
        ]
        got = _covariances(fields, [places[i] for i in some])
        scale = texture.covariances[:, :1, :1, :1] / got[:, :1, :1, :1]
        texture = replace(texture, covariances=texture.covariances + (aim - got) * scale)
    return texture


def _distributions(
    recorded: Sequence[Frames], decoded: Sequence[Frames], fans: Sequence[Fan]
) -> tuple[Array, NDArray[np.float64], NDArray[np.float64]]:
    """Bounds of contrast ``(256, C - 1)``, quantiles of recorded levels ``(256, C, q)``, and their probabilities ``(q,)``."""
    pairs = [
        (r[:, f.inside], d[:, f.inside], contrast(d)[:, f.inside])
        for r, d, f in zip(recorded, decoded, fans, strict=True)
    ]
    x, level, contrasts = (np.concatenate([pair[k].ravel() for pair in pairs]) for k in range(3))
    order = np.argsort(level, kind="stable")
    x, level, contrasts = x[order], level[order], contrasts[order]
    chances = np.concatenate([[1e-3], np.linspace(0, 1, 65)[1:-1], [1 - 1e-3]])
    starts = np.searchsorted(level, np.unique(np.quantile(level, np.linspace(0, 1, NUM_LEVELS + 1)).astype(int)))
    centres, bounds, quantiles = [], [], []
    for start, end in zip(starts, [*starts[1:], len(level)], strict=True):
        some, near = x[start:end], contrasts[start:end]
        if end - start < 100 * NUM_CLASSES:
            continue
        between = np.quantile(near, np.linspace(0, 1, NUM_CLASSES + 1)[1:-1])
        classes = np.searchsorted(between, near)
        centres.append(float(level[start:end].mean()))
        bounds.append(between)
        quantiles.append([_smooth_quantiles(some[classes == c], chances) for c in range(NUM_CLASSES)])
    levels = np.arange(256)
    table = np.array(quantiles)
    interpolated = np.stack(
        [[np.interp(levels, centres, table[:, c, q]) for q in range(table.shape[2])] for c in range(NUM_CLASSES)]
    )
    edges = np.stack([np.interp(levels, centres, np.array(bounds)[:, k]) for k in range(NUM_CLASSES - 1)], -1)
    return edges.astype(np.float32), interpolated.transpose(2, 0, 1), chances


def _smooth_quantiles(values: Frames, chances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quantiles of grey levels as if each were spread evenly over its step."""
    counts = np.bincount(values, minlength=256)
    reached = np.concatenate([[0], np.cumsum(counts)]) / counts.sum()
    reached += np.arange(257) * 1e-9
    return np.interp(chances, reached, np.arange(257) - 0.5)


def _scores(texture: Texture, recorded: Frames, decoded: Frames, fan: Fan) -> Array:
    """Normal scores of recorded pixels in polar coordinates; a level that holds a range of scores gets their middle."""
    place = fan.inside
    classes = (contrast(decoded)[:, place][..., None] > texture.bounds[decoded[:, place]]).sum(-1)
    lowest, highest = _steps(texture.greys)
    x, d = recorded[:, place], decoded[:, place]
    middle = (lowest[d, classes, x] + highest[d, classes, x]) / 2
    image = np.zeros(decoded.shape, np.float32)
    image[:, place] = (middle / (NUM_SCORES - 1) * 2 - 1) * REACH
    return fan.to_polar(image)


def _steps(greys: Frames) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """First and last step of the table ``(256, C, 256)`` at which each grey level is reached."""
    flat = greys.reshape(-1, NUM_SCORES)
    levels = np.arange(256)
    low = np.stack([np.searchsorted(row, levels, "left") for row in flat])
    high = np.stack([np.searchsorted(row, levels, "right") for row in flat]) - 1
    low, high = low.clip(0, NUM_SCORES - 1), np.maximum(high, low).clip(0, NUM_SCORES - 1)
    shape = (*greys.shape[:2], 256)
    return low.reshape(shape).astype(np.int16), high.reshape(shape).astype(np.int16)


def _places(decoded: Frames, fan: Fan) -> Array:
    """Dark and bright places well inside of the sector on the polar grid: ``(2, T, NUM_RANGES, NUM_ANGLES)``, 0 or 1."""
    inner = ndimage.binary_erosion(fan.inside, iterations=2)
    inside = fan.to_polar(inner[None].astype(np.float32)) > 0.99
    level = fan.to_polar(decoded.astype(np.float32))
    return np.stack([inside & (level < MIX[0]), inside & (level > MIX[1])]).astype(np.float32)


def _covariances(fields: Sequence[Array], places: Sequence[Array]) -> Array:
    """Autocovariance in dark and in bright places over all videos at `LAGS`, each lag by the pairs of places that have it."""
    total, pairs = np.zeros((2, *LAGS)), np.zeros((2, *LAGS))
    for field, both in zip(fields, places, strict=True):
        shape = tuple(fft.next_fast_len(n + lag, real=True) for n, lag in zip(field.shape, LAGS, strict=True))
        for k, seen in enumerate(both):
            total[k] += _even(fft.irfftn(np.abs(fft.rfftn(field * seen, s=shape)) ** 2, s=shape))
            pairs[k] += _even(fft.irfftn(np.abs(fft.rfftn(seen, s=shape)) ** 2, s=shape))
    return (total / pairs.clip(1)).astype(np.float32)


def _even(correlation: NDArray[np.float64]) -> NDArray[np.float64]:
    """The lags of `LAGS`, mean of both signs of the last."""
    t, r, a = LAGS
    backward = np.concatenate([correlation[:t, :r, :1], correlation[:t, :r, :-a:-1]], -1)
    return (correlation[:t, :r, :a] + backward) / 2


def pairs(seed: int, num: int, num_frames: int) -> tuple[list[Frames], list[Frames]]:
    """Phantoms of both views, as recorded and through the VAE that ships."""
    vae = codec(weights.shipped() / "vae", torch.device("cpu"))
    recorded = [
        phantom.render(phantom.patient(seed, i, view=("A4C", "PSAX")[i % 2], num_frames=64, fps=32.0))[:num_frames]
        for i in range(num)
    ]
    return recorded, [vae.decode(vae.encode(torch.from_numpy(video)))[..., 0].numpy() for video in recorded]


class Judge:
    """Classifiers and powers against recorded videos."""

    def __init__(self, recorded: Sequence[Frames]) -> None:
        self.network = efficientnet_lite.load()
        self.recorded = self.features(recorded)

    @torch.no_grad()
    def features(self, videos: Sequence[Frames]) -> dict[str, NDArray[np.float64]]:
        """By space: ``(videos, rows, numbers)``."""
        rows: dict[str, list[NDArray[np.float64]]] = {}
        for video in videos:
            inside, few = ~background(video), video[:: len(video) // 3][:3]
            image = torch.from_numpy(few).float()[:, None].expand(-1, 3, -1, -1) / 127.5 - 1.0
            found = {
                "efficientnet-lite0": self.network.pooled(image).numpy(),
                "spectrum": spectrum.spectrum(few, inside),
                "speckle": speckle.speckle(few, inside),
                "speckle-motion": speckle.speckle_motion(video, inside)[None],
            }
            for name, values in found.items():
                rows.setdefault(name, []).append(values)
        return {name: np.stack(values) for name, values in rows.items()}

    def __call__(self, videos: Sequence[Frames]) -> dict[str, object]:
        """AUC of each space with its interval, power over recorded by octave in space, persistence."""
        found = self.features(videos)
        figures: dict[str, object] = {}
        for name, values in found.items():
            mine = self.recorded[name]
            a, b = (x.reshape(-1, x.shape[-1]) for x in (mine, values))
            p, q = (np.repeat(np.arange(len(x)), x.shape[1]) for x in (mine, values))
            figures[f"AUC {name}"] = classifier_auc_with_interval(a, b, p, q, 0).to_json()
        power = [np.exp(x["spectrum"][..., : spectrum.RINGS]).mean((0, 1)) for x in (found, self.recorded)]
        figures["power over recorded"] = {
            name: round(float(power[0][low:high].mean() / power[1][low:high].mean()), 3)
            for name, (low, high) in spectrum.OCTAVES.items()
        }
        lags = len(speckle.TIMES)
        figures["persistence, recorded and here"] = [
            x["speckle-motion"][:, 0, -lags:].mean(0).round(3).tolist() for x in (self.recorded, found)
        ]
        return figures


def main() -> None:
    """Fit, lay, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fit", type=int, default=40, help="phantoms to fit to")
    parser.add_argument("--judge", type=int, default=60, help="phantoms a side to judge on")
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--seed", type=int, default=11)
    asked = parser.parse_args()
    start = time.process_time()
    texture = fit(*pairs(asked.seed, asked.fit, asked.frames), asked.seed)
    fitted = time.process_time()
    recorded, decoded = pairs(asked.seed + 1, asked.judge, asked.frames)
    others, _ = pairs(asked.seed + 2, asked.judge, asked.frames)
    before = time.process_time()
    laid = [texture.lay(video, asked.seed, i) for i, video in enumerate(decoded)]
    spent = (time.process_time() - before) / (asked.judge * asked.frames)
    judge = Judge(recorded)
    result = {
        "version": __version__,
        "asked": vars(asked),
        "fit, CPU s with rendering": round(fitted - start, 1),
        "lay, CPU ms a frame": round(spent * 1000, 2),
        "other patients": judge(others),
        "through the VAE": judge(decoded),
        "with texture": judge(laid),
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
