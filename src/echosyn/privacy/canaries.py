"""Planted copies of real hearts, from exact to hardly recognisable: what a filter misses can only be seen on these.

A canary is made of a real recording ``(T, H, W)`` uint8, or of its latents. The strength is in the unit that a reader
expects; `Canary.must` is the share that a filter has to catch, None where the curve is only shown.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from echosyn.pixels import moved
from echosyn.privacy.fingerprints import RATE

DENSE = 2 * RATE
"""Frames a second of the recordings that are disguised; every second one is looked at, so that an odd delay shows frames that
are no references."""

Redraw = Callable[[Tensor, float], Tensor]
"""Latent frames noised to a share 0..1 of the way and denoised again by the image model."""


@dataclass(frozen=True)
class Canary:
    """A way to disguise a copy, at one strength."""

    kind: str
    strength: float
    unit: str
    must: float | None
    change: Callable[[Tensor, Tensor, torch.Generator], Tensor]
    """(the recording, another patient's, randomness) -> the canary; uint8 ``(T, H, W)``, or latents ``(T, C, h, w)``."""
    latent: bool = False


def in_pixels() -> list[Canary]:
    """Disguises of pixels."""
    made = [Canary("exact copy", 0, "", 1.0, lambda x, _, g: x)]
    made += [
        Canary("re-encoded", q, "JPEG quality", must, lambda x, _, g, q=q: reencoded(x, q))
        for q, must in ((90, 1.0), (50, 1.0), (20, None), (5, None))
    ]
    made += [
        Canary("other phase", s, "s later", must, lambda x, _, g, s=s: later(x, s))
        for s, must in ((0.0625, 0.95), (0.5625, 0.95))
    ]
    made += [
        Canary("noise", d, "dB", must, lambda x, _, g, d=d: noisy(x, d, g))
        for d, must in ((30, 0.95), (20, 0.95), (10, None), (0, None))
    ]
    made += [
        Canary("gain", s, "%", must, lambda x, _, g, s=s: _pixels(x * (1 + s / 100)))
        for s, must in ((-40, None), (-20, 0.95), (20, 0.95), (40, None))
    ]
    made += [_moved("shift", p, "pixels, both axes", must, shift=p) for p, must in _SHIFTS]
    made += [_moved("rotation", a, "degrees", must, degrees=a) for a, must in _ANGLES]
    made += [_moved("crop", c, "%", must, scale=1 - c / 100) for c, must in _CROPS]
    made += [Canary("mirror", 0, "", None, lambda x, _, g: x.flip(-1))]
    made += [
        Canary("mixture", s, "% of another patient", None, lambda x, y, g, s=s: mixed(x, y, s / 100))
        for s in (10, 25, 50)
    ]
    return made


_SHIFTS: Sequence[tuple[float, float | None]] = ((2, 0.95), (4, 0.95), (8, None), (12, None))
_ANGLES: Sequence[tuple[float, float | None]] = ((2.5, 0.95), (5, 0.95), (10, None), (20, None))
_CROPS: Sequence[tuple[float, float | None]] = ((2.5, 0.95), (5, 0.95), (10, None), (20, None))


def in_latents(redraw: Redraw | None = None) -> list[Canary]:
    """Disguises of latents: noise, and with an image model its own redrawing of them."""
    made = [
        Canary("latent noise", s, "standard deviations", None, lambda x, _, g, s=s: x + s * _normal(x, g), latent=True)
        for s in (0.1, 0.3, 0.5, 1.0)
    ]
    if redraw is not None:
        made += [
            Canary("redrawn by the LIDM", s, "% noise", None, lambda x, _, g, s=s: redraw(x, s / 100), latent=True)
            for s in (10, 25, 50, 75)
        ]
    return made


def reencoded(frames: Tensor, quality: int) -> Tensor:
    """Every frame through JPEG, as Motion-JPEG does."""
    shown = []
    for frame in frames.numpy():
        file = io.BytesIO()
        Image.fromarray(frame).save(file, "JPEG", quality=quality)
        shown.append(np.asarray(Image.open(file)))
    return torch.from_numpy(np.stack(shown))


def later(frames: Tensor, seconds: float, fps: float = DENSE) -> Tensor:
    """The recording without its beginning; at most half of it is taken off."""
    return frames[min(round(seconds * fps), len(frames) // 2) :]


def noisy(frames: Tensor, decibel: float, generator: torch.Generator) -> Tensor:
    """White noise added at a signal-to-noise ratio: 20 dB is a tenth of the recording's root mean square."""
    x = frames.float()
    rms = x.square().mean().sqrt()
    return _pixels(x + rms * 10 ** (-decibel / 20) * torch.randn(x.shape, generator=generator))


def mixed(frames: Tensor, other: Tensor, share: float) -> Tensor:
    """Two patients one over the other, ``share`` of the second; as long as the shorter."""
    num = min(len(frames), len(other))
    return _pixels((1 - share) * frames[:num].float() + share * other[:num].float())


def _moved(
    kind: str,
    strength: float,
    unit: str,
    must: float | None,
    shift: float = 0.0,
    degrees: float = 0.0,
    scale: float = 1.0,
) -> Canary:
    def change(frames: Tensor, _: Tensor, generator: torch.Generator) -> Tensor:
        by = shift / frames.shape[-1]
        return _pixels(moved(frames.float(), shift=(by, by), degrees=degrees, scale=scale))

    return Canary(kind, strength, unit, must, change)


def _pixels(values: Tensor) -> Tensor:
    return values.round().clamp(0, 255).to(torch.uint8)


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator)
