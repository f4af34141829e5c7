"""Planted copies of real recordings, from exact to hardly recognisable: what a screen misses can only be seen on these.

A positive control is made of a real recording ``(T, H, W)`` uint8, or of its latents. The strength is in the unit that a reader
expects; `PositiveControl.must` is the share that a screen has to catch, None where the curve is only shown.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate, pad

from echosyn.pixels import moved
from echosyn.privacy.video_digests import RATE

DENSE = 2 * RATE
"""Frames a second of the recordings that are disguised; every second one is looked at, so that an odd delay shows frames that
are no references."""

Redraw = Callable[[Tensor, float], Tensor]
"""Latent frames noised to a share 0..1 of the way and denoised again by the image model."""
Relay = Callable[[Tensor, torch.Generator], Tensor]
"""Frames through the VAE and back, with another texture on them."""
Change = Callable[[Tensor, Tensor, torch.Generator], Tensor]
"""(the recording, another patient's, randomness) -> the control; uint8 ``(T, H, W)``, or latents ``(T, C, h, w)``."""


@dataclass(frozen=True)
class PositiveControl:
    """A way to disguise a copy, at one strength."""

    kind: str
    strength: float
    unit: str
    must: float | None
    change: Change
    latent: bool = False
    essential: bool = True
    """A screen that misses it is of no use; else copies of this kind are only not excluded."""

    def __str__(self) -> str:
        return f"{self.kind} {self.strength:g} {self.unit}".strip() if self.strength else self.kind


def in_pixels(relay: Relay | None = None) -> list[PositiveControl]:
    """Disguises of pixels; with a VAE that has a texture, the same latents with another one."""
    moved_by = "pixels, both axes"
    other = [] if relay is None else [PositiveControl("other texture", 0, "", 1.0, lambda x, y, g: relay(x, g))]
    return [
        PositiveControl("exact copy", 0, "", 1.0, lambda x, y, g: x),
        *_graded("re-encoded", "JPEG quality", _QUALITIES, lambda q: lambda x, y, g: reencoded(x, round(q))),
        *_graded("other phase", "s later", _DELAYS, lambda s: lambda x, y, g: later(x, s)),
        *_graded("noise", "dB", _NOISES, lambda d: lambda x, y, g: noisy(x, d, g)),
        *_graded("gain", "%", _GAINS, lambda p: lambda x, y, g: _pixels(x * (1 + p / 100))),
        *_graded("shift", moved_by, _SHIFTS, lambda p: lambda x, y, g: _moved(x, shift=p)),
        *_graded("rotation", "degrees", _ANGLES, lambda a: lambda x, y, g: _moved(x, degrees=a)),
        *_graded("crop", "%", _CROPS, lambda p: lambda x, y, g: _moved(x, scale=1 - p / 100)),
        *_graded("shift", moved_by, _FAR, lambda p: lambda x, y, g: _moved(x, shift=p), essential=False),
        *_graded("rotation", "degrees", _TURNED, lambda a: lambda x, y, g: _moved(x, degrees=a), essential=False),
        *_graded("crop", "%", _ZOOMED, lambda p: lambda x, y, g: _moved(x, scale=1 - p / 100), essential=False),
        *_graded("gamma", "", _GAMMAS, lambda p: lambda x, y, g: _pixels(255 * (x / 255) ** p), essential=False),
        *_graded("speed", "%", _SPEEDS, lambda p: lambda x, y, g: faster(x, p / 100), essential=False),
        *_graded(
            "squeezed", "% of the width", _WIDTHS, lambda p: lambda x, y, g: squeezed(x, p / 100), essential=False
        ),
        PositiveControl("mirror", 0, "", 0.95, lambda x, y, g: x.flip(-1), essential=False),
        PositiveControl("upside down", 0, "", 0.95, lambda x, y, g: x.flip(-2), essential=False),
        PositiveControl("quarter turn", 0, "", 0.95, lambda x, y, g: x.rot90(1, (-2, -1)), essential=False),
        PositiveControl("inverted grey levels", 0, "", 0.95, lambda x, y, g: 255 - x, essential=False),
        PositiveControl("reversed in time", 0, "", 0.95, lambda x, y, g: x.flip(0), essential=False),
        *_graded("warped", "% of the side", _WARPS, lambda p: lambda x, y, g: warped(x, p / 100, g), essential=False),
        PositiveControl("half inverted", 0, "", 0.95, lambda x, y, g: half_inverted(x), essential=False),
        PositiveControl("quarters swapped", 0, "", 0.95, lambda x, y, g: _rolled(x), essential=False),
        *_graded("tiled", "times a side", _TILES, lambda n: lambda x, y, g: tiled(x, round(n)), essential=False),
        *_graded("cut out", "% of the side", _CUT, lambda p: lambda x, y, g: cut_out(x, p / 100), essential=False),
        *_graded(
            "in a corner", "% of the side", _SMALL, lambda p: lambda x, y, g: cornered(x, p / 100), essential=False
        ),
        *_graded("mixture", "% of another patient", _SHARES, lambda p: lambda x, y, g: mixed(x, y, p / 100)),
        *other,
    ]


Grades = Sequence[tuple[float, float | None]]
"""Strengths, and the share of each that must be caught."""

_QUALITIES: Grades = ((90, 1.0), (50, 1.0), (20, None), (5, None))
_DELAYS: Grades = ((0.0625, 0.95), (0.5625, 0.95))
_NOISES: Grades = ((30, None), (20, 0.95), (10, None), (0, None))
_GAINS: Grades = ((-40, None), (-20, 0.95), (20, 0.95), (40, None))
_SHIFTS: Grades = ((2, None), (4, 0.95), (8, None))
_ANGLES: Grades = ((5, 0.95), (10, None))
_CROPS: Grades = ((5, 0.95), (10, None))
_FAR: Grades = ((12, 0.95), (16, 0.95))
_TURNED: Grades = ((20, 0.95), (45, 0.95))
_ZOOMED: Grades = ((20, 0.95), (-20, 0.95), (50, 0.95), (-60, 0.95), (-100, 0.95))
_WIDTHS: Grades = ((60, 0.95),)
_GAMMAS: Grades = ((0.5, 0.95), (2, 0.95))
_SPEEDS: Grades = ((80, 0.95), (125, 0.95))
_WARPS: Grades = ((5, None), (10, None), (20, None))
_TILES: Grades = ((2, 0.95), (3, None))
_CUT: Grades = ((60, None), (40, None))
_SMALL: Grades = ((50, 0.95), (33, None))
_SHARES: Grades = ((10, None), (25, None), (50, None))
_LATENT_NOISES: Grades = ((0.1, None), (0.3, None), (0.5, None), (1.0, None))
_REDRAWN: Grades = ((10, None), (25, None), (50, None), (75, None))


def in_latents(redraw: Redraw | None = None) -> list[PositiveControl]:
    """Disguises of latents: noise, and with an image model its own redrawing of them."""
    unit = "standard deviations"
    made = _graded("latent noise", unit, _LATENT_NOISES, lambda s: lambda x, y, g: x + s * _normal(x, g), latent=True)
    if redraw is not None:
        draw = redraw
        made += _graded(
            "redrawn by the LIDM", "% noise", _REDRAWN, lambda p: lambda x, y, g: draw(x, p / 100), latent=True
        )
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


def faster(frames: Tensor, speed: float) -> Tensor:
    """Every frame shown ``1 / speed`` times as long, the nearest one at each time."""
    times = torch.arange(int((len(frames) - 1) / speed) + 1) * speed
    return frames[times.round().long()]


def squeezed(frames: Tensor, share: float) -> Tensor:
    """The recording at a share of its width, black beside it."""
    height, width = frames.shape[-2:]
    narrow = round(share * width)
    left = (width - narrow) // 2
    return pad(_resized(frames, height, narrow), (left, width - narrow - left))


def warped(frames: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Smoothly bent, all frames alike; the farthest pixel comes from ``share`` of a side away."""
    bend = interpolate(
        torch.randn(1, 2, 3, 3, generator=generator), frames.shape[-2:], mode="bicubic", align_corners=True
    )[0]
    bend = bend * (2 * share / float(bend.norm(dim=0).max()))
    height, width = (torch.linspace(-1, 1, side) for side in frames.shape[-2:])
    y, x = torch.meshgrid(height, width, indexing="ij")
    grid = torch.stack([x + bend[0], y + bend[1]], dim=-1)[None]
    return _pixels(grid_sample(frames.float()[None], grid, align_corners=True)[0])


def half_inverted(frames: Tensor) -> Tensor:
    """Grey levels of the left half inverted."""
    middle = frames.shape[-1] // 2
    return torch.cat([255 - frames[..., :middle], frames[..., middle:]], dim=-1)


def tiled(frames: Tensor, num: int) -> Tensor:
    """The recording made small, ``num`` times beside and below itself; black where that leaves a rest."""
    height, width = (side // num for side in frames.shape[-2:])
    together = _resized(frames, height, width).repeat(1, num, num)
    return pad(together, (0, frames.shape[-1] - num * width, 0, frames.shape[-2] - num * height))


def cut_out(frames: Tensor, share: float) -> Tensor:
    """The middle, ``share`` of each side; black around it."""
    black = torch.zeros_like(frames)
    height, width = (round(share * side) for side in frames.shape[-2:])
    top, left = (frames.shape[-2] - height) // 2, (frames.shape[-1] - width) // 2
    black[:, top : top + height, left : left + width] = frames[:, top : top + height, left : left + width]
    return black


def cornered(frames: Tensor, share: float) -> Tensor:
    """The recording made small, in the upper right corner; black beside it."""
    height, width = (round(share * side) for side in frames.shape[-2:])
    return pad(_resized(frames, height, width), (frames.shape[-1] - width, 0, 0, frames.shape[-2] - height))


def noisy(frames: Tensor, decibel: float, generator: torch.Generator) -> Tensor:
    """White noise added at a signal-to-noise ratio: 20 dB is a tenth of the recording's root mean square."""
    x = frames.float()
    rms = x.square().mean().sqrt()
    return _pixels(x + rms * 10 ** (-decibel / 20) * torch.randn(x.shape, generator=generator))


def mixed(frames: Tensor, other: Tensor, share: float) -> Tensor:
    """Two patients one over the other, ``share`` of the second; as long as the shorter."""
    num = min(len(frames), len(other))
    return _pixels((1 - share) * frames[:num].float() + share * other[:num].float())


def _graded(
    kind: str,
    unit: str,
    grades: Grades,
    at: Callable[[float], Change],
    *,
    latent: bool = False,
    essential: bool = True,
) -> list[PositiveControl]:
    return [PositiveControl(kind, strength, unit, must, at(strength), latent, essential) for strength, must in grades]


def _moved(frames: Tensor, shift: float = 0.0, degrees: float = 0.0, scale: float = 1.0) -> Tensor:
    by = shift / frames.shape[-1]
    return _pixels(moved(frames.float(), shift=(by, by), degrees=degrees, scale=scale))


def _rolled(frames: Tensor) -> Tensor:
    return frames.roll((frames.shape[-2] // 2, frames.shape[-1] // 2), (-2, -1))


def _resized(frames: Tensor, height: int, width: int) -> Tensor:
    return _pixels(interpolate(frames.float()[:, None], (height, width), mode="bilinear", antialias=True)[:, 0])


def _pixels(values: Tensor) -> Tensor:
    return values.round().clamp(0, 255).to(torch.uint8)


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator)
