"""What a patient is recognised by: vectors in several spaces, made alike for real and synthetic frames.

A query's vectors are *views*: several frames, each as it is and moved a little, of which the best match counts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d

from echosyn.pixels import moved
from echosyn.privacy import parts, registration
from echosyn.privacy.matching import varied
from echosyn.privacy.scenes import distinct, scenes
from echosyn.privacy.video_digests import REFERENCE_EVERY, THUMBNAIL, LazySequence, VideoDigest

QUERY_FRAMES = 8
"""Frames of a video that are matched, evenly from its first to its last; besides, those that are like none of them."""
QUERY_MOTIONS = 4
"""Stretches of a video whose motion is matched."""
MOTION_FRAMES = 8
"""Steps of a stretch: one second."""
CELLS = (-0.5, 0.0, 0.5)
"""Cells of a latent by which a still is moved along each axis; half a cell is 4 pixels of 112."""
THUMBNAIL_PIXELS = (-1.0, 0.0, 1.0)
"""Pixels of a thumbnail by which a frame is moved along each axis."""

Views = Mapping[str, Tensor]
"""Vectors ``(k, d)`` by space."""
Embed = Callable[[Tensor], Tensor]
"""Latent frames ``(n, C, h, w)`` -> embeddings ``(n, d)``."""
Items = TypeVar("Items", contravariant=True)


class Prints(Protocol[Items]):
    """How items become the views with which they are matched."""

    @property
    def centre(self) -> Tensor:
        """What was taken off before items are correlated."""

    def of_queries(self, items: Items) -> Sequence[Views]:
        """The views of each item."""


@dataclass(frozen=True, eq=False)
class Vectors:
    """Items that are views already."""

    centre: Tensor

    def of_queries(self, items: Sequence[Views]) -> Sequence[Views]:
        """The items."""
        return items


VECTORS = Vectors(torch.zeros(0))


@dataclass(frozen=True, eq=False)
class StillPrints:
    """Vectors of latent stills: spaces ``reid`` and ``latents``.

    Args:
        embed: The re-identification network.
        centre: Mean of the real latents ``(C, h, w)``, taken off before stills are correlated: what all patients have in
            common identifies nobody.
    """

    embed: Embed
    centre: Tensor

    def of_reference(self, frames: Tensor) -> Views:
        """Of a real video's latent frames ``(n, C, h, w)``: one vector a frame and space."""
        return {"reid": self.embed(frames), "latents": (frames - self.centre).flatten(1)}

    def of_references(self, videos: Sequence[Tensor]) -> list[Views]:
        """Of several real videos, embedded together."""
        lengths = [len(frames) for frames in videos]
        joined = {space: rows.split(lengths) for space, rows in self.of_reference(torch.cat(list(videos))).items()}
        return [{space: rows[i] for space, rows in joined.items()} for i in range(len(videos))]

    def of_queries(self, items: Tensor) -> list[Views]:
        """The views with which each of some stills ``(n, C, h, w)`` is matched: moved by every pair of `CELLS`."""
        if not len(items):
            return []
        embedded = self.embed(items)
        looked_at = (shifted(items, CELLS) - self.centre).flatten(1).unflatten(0, (len(items), -1))
        return [{"reid": e[None], "latents": x} for e, x in zip(embedded, looked_at, strict=True)]


@dataclass(frozen=True, eq=False)
class VideoPrints:
    """Vectors of whole videos: spaces ``reid``, ``pixels``, ``motion``, and those of `registration` and `parts`.

    Of what is blank there is nothing to recognise.

    Args:
        embed: The re-identification network.
        centre: Mean `echosyn.privacy.registration.picture` of the real videos; its first part, the mean thumbnail, is taken off
            before frames are correlated.
    """

    embed: Embed
    centre: Tensor

    def of_reference(self, digest: VideoDigest) -> Views:
        """All vectors of a real video."""
        return {
            "reid": self.embed(digest.latents),
            "pixels": varied((digest.thumbnails[::REFERENCE_EVERY] - self.centre[0]).flatten(1)),
            "motion": motions(digest.thumbnails),
            registration.SPACE: (picture := registration.reference(digest.thumbnails)),
            parts.SPACE: picture,
        }

    def of_queries(self, items: Sequence[VideoDigest]) -> Sequence[Views]:
        """The views with which each video is matched, made when they are asked for."""
        return LazySequence(len(items), lambda i: self.of_query(items[i]))

    def of_query(self, digest: VideoDigest) -> Views:
        """The views with which a video is matched. Every frame is looked at, also those between the ones of `RATE`."""
        every = digest.every
        apart = every - self.centre[0]
        chosen = distinct(apart, evenly(torch.arange(len(digest.thumbnails)), QUERY_FRAMES))
        frames = shifted(every[chosen, None], THUMBNAIL_PIXELS)
        pictures = torch.cat([registration.query(every[scene], self.centre) for scene in scenes(apart)])
        return {
            "reid": self.embed(evenly(digest.latents, QUERY_FRAMES)),
            "pixels": varied((frames - self.centre[0]).flatten(1)),
            "motion": evenly(motions(digest.thumbnails), QUERY_MOTIONS),
            registration.SPACE: pictures,
            parts.SPACE: pictures,
        }


def thumbnails(frames: Tensor) -> Tensor:
    """Uint8 frames ``(T, H, W)`` of any size -> float32 ``(T, THUMBNAIL, THUMBNAIL)``, averaged over areas."""
    return adaptive_avg_pool2d(frames.float()[:, None], THUMBNAIL)[:, 0]


def evenly(items: Tensor, num: int) -> Tensor:
    """``num`` rows from the first to the last, or all if there are fewer."""
    if len(items) <= num:
        return items
    return items[torch.linspace(0, len(items) - 1, num).round().long()]


def shifted(frames: Tensor, steps: tuple[float, ...]) -> Tensor:
    """Frames ``(n, C, h, w)`` moved by every pair of ``steps`` in pixels: those of a frame in a row, ``(n steps^2, ...)``."""
    side = frames.shape[-1]
    variants = [moved(frames, shift=(x / side, y / side)) for y in steps for x in steps]
    return torch.stack(variants, dim=1).flatten(0, 1)


def motions(frames: Tensor) -> Tensor:
    """What changes from thumbnail to thumbnail over every second of a video ``(T, h, w)`` at `RATE`: ``(windows, d)``.

    Half as fine as the thumbnails. What stands still falls out. Empty if the video is shorter than a second or stands
    still, for then it has no motion to recognise.
    """
    changes = avg_pool2d(frames.diff(dim=0)[:, None], 2).flatten(1)
    if len(changes) < MOTION_FRAMES:
        return changes.new_zeros(0, MOTION_FRAMES * changes.shape[1])
    windows = changes.unfold(0, MOTION_FRAMES, 1).transpose(1, 2).flatten(1)
    return varied(windows)
