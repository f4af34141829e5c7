"""The sector of a video, and a polar grid on it: grain is stationary in depth and angle, not in rows and columns."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse, spatial  # type: ignore[import-untyped, unused-ignore]

from echosyn.metrics.beams import beams
from echosyn.texture.fan import shown

Array = NDArray[np.float32]
Frames = NDArray[np.uint8]
Mask = NDArray[np.bool_]

THRESHOLD = 4
"""Grey level that a pixel of the sector reaches in at least one frame."""
ARC = 1.7
"""Pixels between neighbouring rays at the deepest ring."""
LEAST = 200
"""A video with fewer pixels in its sector has none."""
CLEARLY = 6
"""Mean grey level of pixels that have to lie in a video's fan, if it has one, and a pixel around it."""
LOST = 0.08
"""Share of them that may lie outside: marks and rulers."""


@dataclass(frozen=True)
class Sector:
    """Pixels inside, and rings and rays about the apex, rings one pixel apart."""

    inside: Mask
    """``(H, W)``."""
    apex: tuple[float, float]
    """Column and row, pixels."""

    @classmethod
    def of(cls, frames: Frames) -> "Sector | None":
        """Of uint8 frames ``(T, H, W)`` with a black background; None if they have nothing bright.

        It is the video's fan (docs/adr/0104) or, where that leaves out what is bright, the convex hull of this.
        """
        bright = ndimage.binary_opening(frames.max(0) >= THRESHOLD, np.ones((2, 2)))
        if bright.sum() < LEAST:
            return None
        mean = frames.mean(0, dtype=np.float32)
        fan = shown(mean)
        if fan is not None:
            inside, clear = fan.mask(mean.shape, 1), mean >= CLEARLY
            if (clear & ~ndimage.binary_dilation(inside)).sum() <= LOST * clear.sum():
                return cls(inside, (fan.apex_x, fan.apex_y))
        try:
            planes = spatial.ConvexHull(np.argwhere(bright)).equations
        except spatial.QhullError:
            return None  # a line
        places = np.moveaxis(np.indices(bright.shape), 0, -1)
        inside = ((places @ planes[:, :2].T + planes[:, 2]) <= 0.5).all(-1)
        return cls(inside, beams(inside).apex)

    @cached_property
    def _polar(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Distance from the apex, pixels, and angle from straight down, radians, of each pixel inside: two ``(P,)``."""
        row, column = np.nonzero(self.inside)
        x, y = column - self.apex[0], row - self.apex[1]
        return np.hypot(x, y), np.arctan2(x, np.maximum(y, 0.1))

    @cached_property
    def position(self) -> tuple[Array, Array]:
        """Ring and ray, fractional and from 0, of each pixel inside: two ``(P,)``."""
        depth, angle = self._polar
        ring, ray = depth - depth.min(), (angle - angle.min()) * float(depth.max()) / ARC
        return ring.astype(np.float32), ray.astype(np.float32)

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Rings and rays of the grid."""
        ring, ray = self.position
        return int(ring.max()) + 2, int(ray.max()) + 2

    @cached_property
    def depth(self) -> Array:
        """Of each pixel inside, from 0 at the nearest to 1 at the deepest: ``(P,)``."""
        ring = self.position[0]
        return ring / np.float32(max(float(ring.max()), 1.0))

    @cached_property
    def coordinates(self) -> Array:
        """Depth and angle of each pixel from -1 to 1, ``(2, H, W)``; (-2, 0) outside."""
        found = np.zeros((2, *self.inside.shape), np.float32)
        found[0] = -2
        found[0][self.inside] = 2 * self.depth - 1
        found[1][self.inside] = self.position[1] / max(float(self.position[1].max()), 1.0) * 2 - 1
        return found

    @cached_property
    def _bilinear(self) -> sparse.csr_array:
        """From the grid's samples to the pixels inside: ``(P, rings * rays)``."""
        ring, ray = self.position
        low, left = ring.astype(np.intp), ray.astype(np.intp)
        f, g = ring - low, ray - left
        at, rays = low * self.shape[1] + left, self.shape[1]
        columns = np.stack([at, at + 1, at + rays, at + rays + 1], 1)
        parts = np.stack([(1 - f) * (1 - g), (1 - f) * g, f * (1 - g), f * g], 1).astype(np.float32)
        ends = np.arange(0, 4 * len(at) + 1, 4)
        return sparse.csr_array((parts.ravel(), columns.ravel(), ends), shape=(len(at), self.shape[0] * rays))

    def from_polar(self, field: Array) -> Array:
        """A polar field ``(rings * rays, T)`` at the pixels inside, bilinear: ``(T, P)``."""
        return np.ascontiguousarray((self._bilinear @ field).T)

    def to_polar(self, images: Array) -> Array:
        """Images ``(T, H, W)`` on the grid, bilinear, 0 beyond the picture: ``(T, rings, rays)``."""
        depth, angle = self._polar
        rings, rays = self.shape
        r = depth.min() + np.arange(rings)[:, None]
        a = angle.min() + np.arange(rays)[None] * (ARC / float(depth.max()))
        places = [self.apex[1] + r * np.cos(a), self.apex[0] + r * np.sin(a)]
        return np.stack([ndimage.map_coordinates(i, places, order=1, mode="constant") for i in images])
