"""Look for text on what is left, with an optical character recognition that works offline."""

from functools import cache
from typing import Any

import numpy as np

from echosyn.data.video import Frames
from echosyn.extras import require

LETTERS = 3
"""Letters and digits in a row from which something is text and not speckle."""
CONFIDENCE = 0.6
_HELD = 3
"""Frames for which a mark stands still at least: longer than moving tissue does, shorter than text that is meant to be read."""


def found(frames: Frames) -> bool:
    """Whether text is read in grey ``frames (T, H, W)``.

    Looked at: what appears and stands still for a moment, the first and the middle frame.

    Raises:
        MissingExtraError: rapidocr is not installed.
    """
    return any(_reads(picture) for picture in (appearing(frames), frames[0], frames[len(frames) // 2]))


def appearing(frames: Frames) -> Frames:
    """What stands still for `_HELD` frames and is not there usually: ``(H, W)``, brightness above the median, stretched."""
    held = frames
    for _ in range(min(_HELD, len(frames)) - 1):
        held = np.minimum(held[:-1], held[1:])
    excess = np.clip(held.max(axis=0) - np.median(frames, axis=0), 0, None)
    brightest = max(float(np.quantile(excess, 0.999)), 1.0)
    picture: Frames = np.minimum(excess * (255 / brightest), 255).astype(np.uint8)
    return picture


def _reads(frame: Frames) -> bool:
    result = _engine()(np.stack([frame] * 3, axis=-1))
    words = zip(result.txts or (), result.scores or (), strict=True)
    return any(score >= CONFIDENCE and sum(map(str.isalnum, word)) >= LETTERS for word, score in words)


@cache
def _engine() -> Any:
    return require("rapidocr", extra="deid").RapidOCR(params={"Global.log_level": "error"})
