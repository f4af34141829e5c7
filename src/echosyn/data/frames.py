"""The array that a video is in memory."""

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
"""``(T, H, W)`` grey or ``(T, H, W, 3)`` RGB, 0..255."""
