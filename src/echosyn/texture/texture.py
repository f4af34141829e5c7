"""The fitted texture: laid on decoded videos, kept in a file beside the VAE's weights."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from echosyn import rng
from echosyn.errors import ModelError
from echosyn.files import usual_permissions, whole
from echosyn.texture import covariance
from echosyn.texture.network import LevelNetwork, predict, ready
from echosyn.texture.scanner import NUM_FEATURES, Scanner
from echosyn.texture.sector import Array, Frames, Sector

FILE = "texture.safetensors"
NUM_SCORES = 129
REACH = 3.0
"""Quantiles are known at evenly spaced normal scores from -`REACH` to `REACH`."""
GREYS = ((0.0, 5.0), (10.0, 24.0), (40.0, 255.0))
"""Expected grey levels of dark, grey and bright places; between them the fields are mixed."""
DEPTHS = ((0.0, 0.4), (0.6, 1.0))
"""Near and far places, in parts of the sector's depth."""
PLACES = ((0, None), (1, 0), (1, 1), (2, 0), (2, 1))
"""Grey and depth of each kind of place that has a field of its own; noise in dark places is alike at all depths."""
PER_PLACE = 1 + sum(covariance.KNOTS)
"""Effects of a scanner on a kind of place: on the logarithm of its amplitude, and on its spectrum along each axis."""


@dataclass(frozen=True)
class Texture:
    """Statistics of recorded frames given decoded ones."""

    network: LevelNetwork
    """To the mean and spread of each pixel's recorded level."""
    quantiles: Array
    """``(257, NUM_SCORES)``: of (level less mean) / spread, at each expected grey level."""
    correlations: Array
    """``(len(PLACES), *covariance.LAGS)``: of the normal scores."""
    amplitudes: Array
    """``(len(PLACES),)``: of the fields; about 1."""
    scanner: Scanner
    """How videos differ."""

    def lay(self, decoded: Frames, seed: int, index: int) -> Frames:
        """The video with texture.

        Args:
            decoded: uint8 ``(T, H, W)`` with a black background; even height and width.
            seed: with ``index`` decides the texture; nothing else does.
            index: the video's number.

        Returns:
            uint8 ``(T, H, W)``, black outside of the sector; the same video if it has none.
        """
        sector = Sector.of(decoded)
        if sector is None:
            return decoded
        generator = rng.numpy_generator(seed, "texture", index)
        effects = self.scanner.draw(decoded, sector, generator)
        return self.drawn(decoded, sector, predict(self.network, decoded, sector), effects, generator)

    def drawn(
        self,
        decoded: Frames,
        sector: Sector,
        levels: tuple[Array, Array],
        effects: NDArray[np.float64],
        generator: np.random.Generator,
    ) -> Frames:
        """As `lay`, with the network's ``levels`` and a scanner's ``effects`` given."""
        mean, spread = levels
        by_place = effects.reshape(len(PLACES), PER_PLACE)
        shape = (len(decoded), *sector.shape)
        polar = covariance.fields(self.correlations, by_place[:, 1:], shape, generator)
        grains = [_standardized(sector.from_polar(field)) for field in polar]
        scores = mixed(mean, sector, grains, self.amplitudes * np.exp(by_place[:, 0]))
        at = ((scores + REACH) * ((NUM_SCORES - 1) / (2 * REACH))).clip(0, NUM_SCORES - 1.001)
        low = at.astype(np.intp)
        part = at - low
        flat, row = self.quantiles.ravel(), level_of(mean).astype(np.intp) * NUM_SCORES + low
        residual = flat[row] * (1 - part) + flat[row + 1] * part
        out = np.zeros_like(decoded)
        out[:, sector.inside] = ((mean + spread * residual).clip(0, 1) ** 2 * 255 + 0.5).astype(np.uint8)
        return out

    def save(self, folder: Path) -> None:
        """Write `FILE` into a model folder."""
        tensors: dict[str, NDArray[Any]] = {
            f"network.{name}": value.numpy() for name, value in self.network.state_dict().items()
        }
        tensors |= {name: getattr(self, name) for name in ("quantiles", "correlations", "amplitudes")}
        tensors |= {f"scanner.{field.name}": getattr(self.scanner, field.name) for field in fields(Scanner)}
        with whole(folder / FILE) as path:
            save_file({name: np.ascontiguousarray(value, np.float32) for name, value in tensors.items()}, path)
            usual_permissions(path)

    @classmethod
    def load(cls, folder: Path) -> "Texture | None":
        """Of a model folder; None if it has none.

        Raises:
            ModelError: the file is damaged or of another version.
        """
        path = file_of(folder)
        if path is None:
            return None
        try:
            found = load_file(path)
            state = {n.removeprefix("network."): torch.from_numpy(v) for n, v in found.items() if "network." in n}
            with rng.initializing(0):
                network = LevelNetwork(len(state["first.bias"]), len(state["down.bias"]))
            network.load_state_dict(state)
            scanner = Scanner(*(found[f"scanner.{field.name}"].astype(np.float64) for field in fields(Scanner)))
            texture = cls(
                ready(network),
                found["quantiles"],
                found["correlations"],
                found["amplitudes"],
                scanner,
            )
        except (SafetensorError, KeyError, RuntimeError, ValueError, OSError) as error:
            raise ModelError(f"{path}: no texture can be read from it; make it anew by `echosyn texture`") from error
        effects = texture.scanner.slopes.shape
        if (texture.correlations.shape, effects) != (
            (len(PLACES), *covariance.LAGS),
            (1 + NUM_FEATURES, len(PLACES) * PER_PLACE),
        ):
            raise ModelError(f"{path}: is of another version; make it anew by `echosyn texture`")
        return texture


def file_of(folder: Path) -> Path | None:
    """The texture's file of a model folder, if there is one."""
    path = folder / FILE
    return path if path.is_file() else None


def level_of(mean: Array) -> NDArray[np.int16]:
    """Expected grey levels, 0 to 255, of square roots of grey."""
    return (mean * mean * 255 + 0.5).astype(np.int16)


def mixed(mean: Array, sector: Sector, grains: list[Array], amplitudes: NDArray[Any]) -> Array:
    """Normal scores ``(T, P)``: the fields of kinds of places, unit variance each, blended by grey level and depth."""
    some = np.stack([grain[::3, ::5].ravel() for grain in grains])
    together = some @ some.T / some.shape[1]
    np.fill_diagonal(together, 1)
    weights = _weights(mean, sector)
    total = np.zeros_like(mean)
    variance = np.zeros_like(mean)
    amplitude = np.zeros_like(mean)
    for i, (weight, grain) in enumerate(zip(weights, grains, strict=True)):
        total += weight * grain
        amplitude += weight * np.float32(amplitudes[i])
        variance += weight * weight
        for j in range(i):
            variance += weight * weights[j] * np.float32(2 * together[i, j])
    return (total * amplitude / np.sqrt(np.maximum(variance, 1e-6))).astype(np.float32, copy=False)


def _standardized(grain: Array) -> Array:
    """Of unit variance at the pixels; interpolation takes some."""
    return grain / np.float32(max(float(grain.std()), 1e-6))


def _weights(mean: Array, sector: Sector) -> list[Array]:
    """Shares of the kinds of places at each pixel, ``(T, P)`` each, their sum 1."""
    edges = [(level / 255) ** 0.5 for level in (GREYS[0][1], GREYS[1][0], GREYS[1][1], GREYS[2][0])]
    not_dark = ((mean - edges[0]) / (edges[1] - edges[0])).clip(0, 1)
    bright = ((mean - edges[2]) / (edges[3] - edges[2])).clip(0, 1)
    far = ((sector.depth - DEPTHS[0][1]) / (DEPTHS[1][0] - DEPTHS[0][1])).clip(0, 1)[None]
    greys, depths = [1 - not_dark, not_dark - bright, bright], [1 - far, far]
    return [greys[grey] if depth is None else greys[grey] * depths[depth] for grey, depth in PLACES]
