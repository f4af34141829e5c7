"""Frames of another size."""

import numpy as np
from PIL import Image

from echosyn.data.video import Frames


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
