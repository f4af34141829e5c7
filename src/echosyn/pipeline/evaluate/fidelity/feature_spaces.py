"""Feature spaces by name: what turns frames into vectors, and the SHA-256 of the weights that do it."""

import hashlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from echosyn import device as devices
from echosyn import rng, weights
from echosyn.config import near_miss
from echosyn.data.background import background
from echosyn.errors import ConfigError, ModelError
from echosyn.metrics import motion, radiomics, speckle, spectrum
from echosyn.metrics.curves import Curve
from echosyn.nn import efficientnet_lite, inception
from echosyn.pipeline.evaluate.predict_ef import ef_reader
from echosyn.pipeline.models import codec
from echosyn.pixels import convention
from echosyn.training.ef_reading import to_input
from echosyn.weights import fetch, pickles, registry

Frames = NDArray[np.uint8]
Rows = NDArray[np.float32]

FRAMES_AT_ONCE = 16
"""Frames through a network at once. Fixed: a float's last digits depend on it, and results must not."""
PROJECTED = 128
"""Dimensions that EfficientNet's 1,280 are projected to in time series, by a fixed random rotation."""


@dataclass(frozen=True, eq=False)
class Space:
    """A feature space."""

    name: str
    sha256: str
    """Of the weights; of the formula's version where there are none."""
    sees: Literal["frames", "clip"]
    """Whether each frame alone or a clip as a whole becomes a vector."""
    extract: Callable[[Frames, float | None], Rows]
    """Uint8 ``(T, H, W)`` or ``(T, H, W, 3)`` and their rate -> ``(T or 1, d)``."""
    logits: Callable[[Rows], NDArray[np.float64]] | None = None
    """Features -> a classifier's logits, where the space has a classifier."""
    standardized: bool = False
    """Each dimension is divided by its standard deviation over the real set: its units say nothing."""
    min_frames: int = 1
    """Shorter clips say nothing."""
    curves: Mapping[str, Curve] = field(default_factory=dict)
    """By number: the part of a vector that it compares band by band."""


@dataclass(frozen=True)
class Places:
    """Where weights are."""

    fetched: Path | None = None
    """Folder that `echosyn weights fetch` filled, for Inception and I3D."""
    ef: Path | None = None
    """Model folder; by default the one that ships."""
    reid: Path | None = None
    vae: Path | None = None
    """The VAE of ``reid``; by default the one that ships."""
    device: str = "auto"

    def model(self, stage: Literal["ef", "reid", "vae"]) -> Path:
        """The folder of a stage's model."""
        given: Path | None = getattr(self, stage)
        return weights.resolve(given) if given is not None else weights.find(weights.shipped(), stage)


def spaces(names: set[str], places: Places) -> dict[str, Space]:
    """Load what is asked for; networks that several spaces share are loaded once.

    Raises:
        ConfigError: a name is unknown.
        MissingExtraError: the package with EfficientNet's weights is not installed.
        ModelError: weights are missing or not what they should be.
    """
    for name in names:
        if name not in KNOWN:
            raise ConfigError(f"feature space {name!r} is unknown{near_miss(name, sorted(KNOWN))}")
    shared = _Shared(places)
    return {name: KNOWN[name](shared) for name in sorted(names)}


@dataclass(eq=False)
class _Shared:
    """Networks that are loaded once, and the last clip's features: three spaces look at the same frames."""

    places: Places
    _lite: Any = None
    _last: tuple[Frames, Rows] | None = field(default=None)

    @property
    def device(self) -> torch.device:
        return devices.resolve(self.places.device)

    @property
    def lite(self) -> Any:
        self._lite = self._lite or efficientnet_lite.load().to(self.device)
        return self._lite

    def lite_features(self, frames: Frames, fps: float | None = None) -> Rows:
        """EfficientNet-Lite0's 1,280 features of each frame."""
        if self._last is None or self._last[0] is not frames:
            rows = _in_batches(frames, self.device, lambda x: self.lite.pooled(convention("symmetric").to_model(x)))
            self._last = (frames, rows)
        return self._last[1]


def _lite0(shared: _Shared) -> Space:
    def logits(rows: Rows) -> NDArray[np.float64]:
        found: Tensor = shared.lite.fc(torch.from_numpy(rows).to(shared.device))
        return found.double().cpu().numpy()

    return Space("efficientnet-lite0", _hash_of(shared.lite), "frames", shared.lite_features, logits)


def _lite0_in_time(shared: _Shared, name: str, describe: Callable[[Any], Any]) -> Space:
    turn = rng.numpy_generator(0, "projection of EfficientNet-Lite0").normal(
        size=(efficientnet_lite.NUM_FEATURES, PROJECTED)
    )
    turn = np.linalg.qr(turn)[0]

    def extract(frames: Frames, fps: float | None) -> Rows:
        return _one(describe(shared.lite_features(frames) @ turn))

    return Space(name, _hash_of(shared.lite), "clip", extract, min_frames=4)


def _inception(shared: _Shared) -> Space:
    path, digest = _fetched(shared.places, "metrics/inception")
    network = inception.InceptionV3()
    try:
        network.load_state_dict(pickles.read_checkpoint(path))
    except RuntimeError as error:
        raise ModelError(f"{path}: not the weights of Inception-v3; fetch it again") from error
    network.to(shared.device)

    def logits(rows: Rows) -> NDArray[np.float64]:
        return network.logits(torch.from_numpy(rows).to(shared.device)).double().cpu().numpy()

    def extract(frames: Frames, fps: float | None) -> Rows:
        return _in_batches(frames, shared.device, network.pooled)

    return Space("inception-v3", digest, "frames", extract, logits)


def _i3d(shared: _Shared) -> Space:
    path, digest = _fetched(shared.places, "metrics/i3d")
    # TorchScript is a program: it is loaded only because its hash is the published one
    with warnings.catch_warnings(action="ignore", category=FutureWarning):
        network: Any = torch.jit.load(str(path), map_location=shared.device).eval()

    @torch.no_grad()
    def extract(frames: Frames, fps: float | None) -> Rows:
        clip = _planes(frames).permute(1, 0, 2, 3)[None].expand(-1, 3, -1, -1, -1)
        features: Tensor = network(clip.to(shared.device), rescale=True, resize=True, return_features=True)
        return features.float().cpu().numpy()

    return Space("i3d", digest, "clip", extract, min_frames=10)


def _ef(shared: _Shared) -> Space:
    folder = shared.places.model("ef")
    read = ef_reader(folder, shared.places.device)

    @torch.no_grad()
    def extract(frames: Frames, fps: float | None) -> Rows:
        clip = torch.from_numpy(_grey(frames))[None]
        shown = to_input(clip, [len(frames)], read.pixels, read.network.blank)
        features: Tensor = read.network.features(shown.to(shared.device))
        return features.float().cpu().numpy()

    return Space("echosyn-ef", weights.weights_hash(folder), "clip", extract, min_frames=8)


def _reid(shared: _Shared) -> Space:
    folder, vae = shared.places.model("reid"), shared.places.model("vae")
    network, encode = weights.load(folder, "reid").to(shared.device), codec(vae, shared.device, FRAMES_AT_ONCE)

    @torch.no_grad()
    def extract(frames: Frames, fps: float | None) -> Rows:
        latents = encode.encode(torch.from_numpy(_grey(frames)))
        features: Tensor = network.embed(latents.to(shared.device))
        return features.float().cpu().numpy()

    both = hashlib.sha256((weights.weights_hash(folder) + weights.weights_hash(vae)).encode()).hexdigest()
    return Space("echosyn-reid", both, "frames", extract)


def _radiomics(shared: _Shared) -> Space:
    def extract(frames: Frames, fps: float | None) -> Rows:
        return radiomics.radiomics(_grey(frames)).astype(np.float32)

    digest = _formula("radiomics", radiomics.VERSION)
    return Space("radiomics", digest, "frames", extract, standardized=True)


def _motion(shared: _Shared) -> Space:
    def extract(frames: Frames, fps: float | None) -> Rows:
        return _one(motion.motion(_grey(frames)))

    return Space("motion", _formula("motion", motion.VERSION), "clip", extract, standardized=True, min_frames=16)


def _spectrum(shared: _Shared) -> Space:
    def extract(frames: Frames, fps: float | None) -> Rows:
        grey = _grey(frames)
        return spectrum.spectrum(grey, ~background(grey)).astype(np.float32)

    bands = {f"{name} of Nyquist": slice(*ends) for name, ends in spectrum.OCTAVES.items()}
    at = tuple((i + 0.5) / spectrum.RINGS for i in range(spectrum.RINGS))
    power = Curve(slice(spectrum.RINGS), at, "Spatial frequency over Nyquist", bands, "ratio")
    digest = _formula("spectrum", spectrum.VERSION)
    return Space("spectrum", digest, "frames", extract, standardized=True, curves={"power_ratio": power})


def _speckle(shared: _Shared) -> Space:
    def extract(frames: Frames, fps: float | None) -> Rows:
        grey = _grey(frames)
        return speckle.speckle(grey, ~background(grey)).astype(np.float32)

    return Space("speckle", _formula("speckle", speckle.VERSION), "frames", extract, standardized=True)


def _speckle_motion(shared: _Shared) -> Space:
    def extract(frames: Frames, fps: float | None) -> Rows:
        grey = _grey(frames)
        return _one(speckle.speckle_motion(grey, ~background(grey)))

    bins, scale = spectrum.BINS, spectrum.BINS / spectrum.RINGS
    bands = {
        f"{name} of Nyquist": slice(int(low * scale), int(high * scale))
        for name, (low, high) in spectrum.OCTAVES.items()
    }
    at = tuple((i + 1) / bins for i in range(bins))
    curves = {
        "power_ratio": Curve(slice(bins), at, "Temporal frequency over Nyquist", bands, "ratio"),
        "persistence": Curve(
            slice(-len(speckle.TIMES), None),
            tuple(map(float, speckle.TIMES)),
            "Frames later",
            {f"{lag} frame(s) later": slice(i, i + 1) for i, lag in enumerate(speckle.TIMES)},
            "difference",
        ),
    }
    digest = _formula("speckle-motion", speckle.VERSION)
    return Space("speckle-motion", digest, "clip", extract, standardized=True, min_frames=16, curves=curves)


KNOWN: Mapping[str, Callable[[_Shared], Space]] = {
    "efficientnet-lite0": _lite0,
    "lite0-trajectory": partial(_lite0_in_time, name="lite0-trajectory", describe=motion.trajectory),
    "lite0-debiased": partial(_lite0_in_time, name="lite0-debiased", describe=motion.debiased_trajectory),
    "inception-v3": _inception,
    "i3d": _i3d,
    "echosyn-ef": _ef,
    "echosyn-reid": _reid,
    "radiomics": _radiomics,
    "motion": _motion,
    "spectrum": _spectrum,
    "speckle": _speckle,
    "speckle-motion": _speckle_motion,
}
"""Every feature space."""


def _fetched(places: Places, name: str) -> tuple[Path, str]:
    """The file of a registry entry in the folder of fetched weights, and its hash, which must be the published one."""
    source = registry.sources()[name]
    (file, digest) = next(iter(source.files.items()))
    cure = f"give --weights FOLDER that `echosyn weights fetch FOLDER {name}` filled, or take --protocol echosyn-v3"
    if places.fetched is None or not (path := places.fetched / source.folder / file).is_file():
        raise ModelError(f"weights {name} not found; {cure}")
    return path, fetch.check(path, digest)


@torch.no_grad()
def _in_batches(frames: Frames, device: torch.device, network: Callable[[Tensor], Tensor]) -> Rows:
    """Frame by frame features, a fixed number of frames at a time."""
    planes = _planes(frames)
    parts = [network(planes[i : i + FRAMES_AT_ONCE].to(device)) for i in range(0, len(planes), FRAMES_AT_ONCE)]
    rows: Rows = torch.cat(parts).float().cpu().numpy()
    return rows


def _planes(frames: Frames) -> Tensor:
    """``(T, H, W)`` or ``(T, H, W, 3)`` -> ``(T, 1 or 3, H, W)``."""
    pixels = torch.from_numpy(np.ascontiguousarray(frames))
    return pixels.unsqueeze(1) if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)


def _grey(frames: Frames) -> Frames:
    if frames.ndim == 3:
        return np.ascontiguousarray(frames)
    grey: Frames = frames.mean(axis=3).round().astype(np.uint8)
    return grey


def _one(vector: NDArray[np.float64]) -> Rows:
    return vector.astype(np.float32)[None]


def _formula(name: str, version: int) -> str:
    return hashlib.sha256(f"echosyn {name} {version}".encode()).hexdigest()


def _hash_of(network: Any) -> str:
    """SHA-256 of a network's weights in memory, by name."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
