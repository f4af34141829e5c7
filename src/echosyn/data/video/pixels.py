"""Decoded frames -> arrays of 8-bit pixels in full range."""

from typing import Any

import av
import numpy as np

from echosyn.data.frames import Frames

LIMITED, FULL = 1, 2
ONE_THREAD: dict[str, Any] = {"threads": 1} if int(av.__version__.partition(".")[0]) >= 17 else {}
"""For conversions of pixels. PyAV 17 begins threads for every frame unless told, which costs more than they bring."""

_NEUTRAL_CHROMA = 2
_EIGHT_BIT_YUV = tuple(f"yuv{full}{layout}p" for full in ("", "j") for layout in (411, 420, 422, 440, 444))


def grey(frame: Any) -> Frames:
    """``(H, W)``: the luma where there is no colour, else the mean of R, G and B."""
    pixels = frame.format.name
    if pixels in _EIGHT_BIT_YUV:
        if any(_is_coloured(_plane(plane)) for plane in frame.planes[1:]):
            return mean(rgb(frame))
    elif not pixels.startswith("gray"):
        return mean(rgb(frame))
    eight_bits = pixels == "gray" or pixels in _EIGHT_BIT_YUV
    full = frame.color_range == FULL or pixels.startswith("yuvj") or (pixels == "gray" and frame.color_range != LIMITED)
    if eight_bits and full:
        return _plane(frame.planes[0]).copy()
    return _array(frame.reformat(format="gray", dst_color_range=FULL, **ONE_THREAD))


def rgb(frame: Any) -> Frames:
    """``(H, W, 3)``."""
    return _array(frame.reformat(format="rgb24", **ONE_THREAD))


def mean(rgb: Frames) -> Frames:
    """The mean over the last axis, rounded to the nearest level."""
    red, green, blue = np.moveaxis(rgb, -1, 0)
    grey: Frames = ((red.astype(np.uint16) + green + blue + 1) // 3).astype(np.uint8)
    return grey


def _plane(plane: Any) -> Frames:
    return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


def _is_coloured(chroma: Frames) -> bool:
    return bool(chroma.min() < 128 - _NEUTRAL_CHROMA or chroma.max() > 128 + _NEUTRAL_CHROMA)


def _array(frame: Any) -> Frames:
    array: Frames = frame.to_ndarray()
    return array
