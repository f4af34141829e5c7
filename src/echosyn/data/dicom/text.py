"""Look for text on what is left, with an optical character recognition that works offline."""

from functools import cache
from typing import Any

import numpy as np

from echosyn.data.video import Frames
from echosyn.extras import require

LETTERS = 3
"""Letters and digits in a row from which something is text and not speckle."""
CONFIDENCE = 0.6
_OUTSTANDING = 60
"""Grey levels above a pixel's 90th percentile that only a drawn mark reaches."""


def found(frames: Frames) -> bool:
    """Whether text is read in grey ``frames (T, H, W)``: in the one with most sudden marks, the first and the middle one.

    Raises:
        MissingExtraError: rapidocr is not installed.
    """
    usual = np.percentile(frames, 90, axis=0)
    sudden = [int((frame > usual + _OUTSTANDING).sum()) for frame in frames]
    return any(_reads(frames[t]) for t in dict.fromkeys((int(np.argmax(sudden)), 0, len(frames) // 2)))


def _reads(frame: Frames) -> bool:
    result = _engine()(np.stack([frame] * 3, axis=-1))
    words = zip(result.txts or (), result.scores or (), strict=True)
    return any(score >= CONFIDENCE and sum(map(str.isalnum, word)) >= LETTERS for word, score in words)


@cache
def _engine() -> Any:
    return require("rapidocr", extra="deid").RapidOCR(params={"Global.log_level": "error"})
