"""Frames of another size, and pixels made square."""

import numpy as np
from PIL import Image

from echosyn.data.frames import Frames

SQUARE_ENOUGH = 0.005
"""How far from 1 a pixel's aspect may be and count as square: less than one pixel in 200."""


def resized(frames: Frames, size: int) -> Frames:
    """Resize ``(T, H, W)`` to ``(T, size, size)``.

    Shrinking averages over areas (PIL's BOX): no ringing at the sector's edge, so that black stays black, which a
    Lanczos filter would not keep. Enlarging is bilinear, for the same reason.
    """
    h, w = frames.shape[1:]
    if (h, w) == (size, size):
        return frames
    kernel = Image.Resampling.BOX if min(h, w) >= size else Image.Resampling.BILINEAR
    return np.stack([np.asarray(Image.fromarray(frame).resize((size, size), kernel)) for frame in frames])


def squared_size(height: int, width: int, pixel_aspect: float) -> tuple[int, int]:
    """``(height, width)`` that `squared` gives: the direction in which pixels lie closer is left, the other enlarged."""
    if abs(pixel_aspect - 1) < SQUARE_ENOUGH:
        return height, width
    if pixel_aspect > 1:
        return height, round(width * pixel_aspect)
    return round(height / pixel_aspect), width


def squared(frames: Frames, pixel_aspect: float) -> Frames:
    """Frames whose pixels are as wide as they are high; none is lost, because the coarser direction is enlarged.

    Args:
        frames: ``(T, H, W)`` or ``(T, H, W, 3)``.
        pixel_aspect: width of a pixel over its height; within 0.5 % of 1 the frames are returned as they are.
    """
    height, width = squared_size(frames.shape[1], frames.shape[2], pixel_aspect)
    if (height, width) == frames.shape[1:3]:
        return frames
    scale = Image.Resampling.BILINEAR
    return np.stack([np.asarray(Image.fromarray(frame).resize((width, height), scale)) for frame in frames])
