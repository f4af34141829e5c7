"""How frames look: pictures made square, their features, and their power by ring. For the benchmarks of real recordings."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from echosyn.data.background import background
from echosyn.metrics import spectrum
from echosyn.pixels import convention

SIZE = 112


def squared(picture: Image.Image) -> Image.Image:
    """The picture in grey, at the top of a black square."""
    square = Image.new("L", (max(picture.size),) * 2)
    square.paste(picture.convert("L"), ((square.width - picture.width) // 2, 0))
    return square


def still(picture: Image.Image) -> np.ndarray:
    """A picture as ``(SIZE, SIZE)``."""
    return np.asarray(squared(picture).resize((SIZE, SIZE), Image.Resampling.BOX))


def lite0(frames: np.ndarray, network: Any) -> np.ndarray:
    """Features ``(n, 1280)`` of EfficientNet-Lite0 of frames ``(n, H, W)``."""
    with torch.no_grad():
        rows: np.ndarray = network.pooled(convention("symmetric").to_model(torch.from_numpy(frames[:, None]))).numpy()
    return rows


def spectra(clips: Sequence[np.ndarray]) -> np.ndarray:
    """Of every frame of clips ``(T, H, W)``; a clip has one background."""
    return np.concatenate([spectrum.spectrum(clip, ~background(clip)) for clip in clips])


def power(clips: Sequence[np.ndarray]) -> np.ndarray:
    """Of each ring, geometric mean over all frames."""
    rings: np.ndarray = np.exp(spectra(clips)[:, : spectrum.RINGS].mean(axis=0))
    return rings
