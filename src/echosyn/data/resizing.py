"""Frames of another size."""

import numpy as np
from PIL import Image

from echosyn.data.video import Frames

SQUARE = 0.005
"""Relative difference between a pixel's width and height up to which it counts as square."""


def squared(frames: Frames, pixel_aspect: float) -> Frames:
    """Make pixels square by enlarging the direction that has too few of them: ``(T, H, W)`` -> ``(T, H', W')``.

    Bilinear, as in `resized`.

    Args:
        frames: Grey.
        pixel_aspect: Width of a pixel divided by its height.
    """
    if abs(pixel_aspect - 1) < SQUARE:
        return frames
    h, w = frames.shape[1:]
    size = (max(1, round(w * pixel_aspect)), h) if pixel_aspect > 1 else (w, max(1, round(h / pixel_aspect)))
    return np.stack([np.asarray(Image.fromarray(f).resize(size, Image.Resampling.BILINEAR)) for f in frames])


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
