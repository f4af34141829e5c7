"""What a heart is recognised by: vectors in several spaces, made alike for real and synthetic frames.

Everything starts from latents that one VAE encoded, of frames `RATE` times a second. A query's vectors are *views*: several
frames, each as it is and moved a little, of which the best match counts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from echosyn.pixels import moved

RATE = 8.0
"""Frames a second that are looked at."""
REFERENCE_EVERY = 2
"""Of those, every n-th of a real video is a reference still."""
QUERY_FRAMES = 8
"""Frames of a video that are matched, evenly from its first to its last."""
QUERY_MOTIONS = 4
"""Stretches of a video whose motion is matched."""
MOTION_FRAMES = 8
"""Steps of a stretch: one second."""
SHIFTS = (-0.5, 0.0, 0.5)
"""Cells of a latent by which a query is moved along each axis; half a cell is 4 pixels of 112."""

Views = Mapping[str, Tensor]
"""Vectors ``(k, d)`` by space: ``reid``, ``correlation``, ``motion``."""
Embed = Callable[[Tensor], Tensor]
"""Latent frames ``(n, C, h, w)`` -> embeddings ``(n, d)``."""


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """Turns latents into vectors.

    Args:
        embed: The re-identification network.
        centre: Mean of the real latents ``(C, h, w)``, which is taken off before frames are correlated: what all hearts
            have in common identifies nobody.
    """

    embed: Embed
    centre: Tensor

    def of_still(self, frames: Tensor, *, shifts: bool) -> Views:
        """Vectors of latent frames ``(n, C, h, w)``: ``n`` rows a space, nine times as many correlations with shifts."""
        looked_at = shifted(frames) if shifts else frames
        return {"reid": self.embed(frames), "correlation": (looked_at - self.centre).flatten(1)}

    def of_stills(self, frames: Tensor) -> list[Views]:
        """The vectors with which each of some stills ``(n, C, h, w)`` is matched."""
        if not len(frames):
            return []
        together = self.of_still(frames, shifts=True)
        parts = {name: vectors.unflatten(0, (len(frames), -1)) for name, vectors in together.items()}
        return [{name: vectors[i] for name, vectors in parts.items()} for i in range(len(frames))]

    def of_reference(self, video: Tensor) -> Views:
        """All vectors of a real video's latents ``(T, C, h, w)`` at `RATE`."""
        return {**self.of_still(video[::REFERENCE_EVERY], shifts=False), "motion": motions(video)}

    def of_query(self, video: Tensor) -> Views:
        """The vectors with which a video's latents ``(T, C, h, w)`` at `RATE` are matched, synthetic or real."""
        windows = motions(video)
        return {
            **self.of_still(evenly(video, QUERY_FRAMES), shifts=True),
            "motion": evenly(windows, QUERY_MOTIONS),
        }


def evenly(items: Tensor, num: int) -> Tensor:
    """``num`` rows from the first to the last, or all if there are fewer."""
    if len(items) <= num:
        return items
    return items[torch.linspace(0, len(items) - 1, num).round().long()]


def shifted(frames: Tensor) -> Tensor:
    """Latent frames ``(n, C, h, w)`` moved by every pair of `SHIFTS`: ``(9 n, C, h, w)``, those of a frame in a row."""
    side = frames.shape[-1]
    variants = [moved(frames, shift=(x / side, y / side)) for y in SHIFTS for x in SHIFTS]
    return torch.stack(variants, dim=1).flatten(0, 1)


def motions(video: Tensor) -> Tensor:
    """What changes from frame to frame over every second of a video ``(T, C, h, w)`` at `RATE`: ``(windows, d)``.

    Half as fine as the latents. What stands still, such as gain and background, falls out. Empty if the video is shorter.
    """
    changes = torch.nn.functional.avg_pool2d(video.diff(dim=0), 2, ceil_mode=True).flatten(1)
    if len(changes) < MOTION_FRAMES:
        return changes.new_zeros(0, MOTION_FRAMES * changes.shape[1])
    return changes.unfold(0, MOTION_FRAMES, 1).transpose(1, 2).flatten(1)
