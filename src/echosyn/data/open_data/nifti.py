"""Recordings and masks in NIfTI files, as CAMUS has them: arrays ``(width, height[, frames])`` with the size of a pixel.

The order of the axes is that of the file: the first runs to the right, the second down. The orientation that a NIfTI header
can state is that of a body in a scanner and means nothing in an ultrasound picture; it is not applied.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from echosyn.data.resizing import SQUARE_ENOUGH
from echosyn.data.timing import Times
from echosyn.data.video import BadVideoError, Frames, Origin, Video
from echosyn.data.video.containers import machine_is_full
from echosyn.data.video.view import View
from echosyn.extras import require

EXTENSIONS = (".nii.gz", ".nii")
"""As published, and as some programs unpack them."""
_WIDEST = 4.0
_CURE = "copy it again from its source or leave it out"


@dataclass(frozen=True)
class Frame:
    """A picture made square by black below it, or on both sides, in stored pixels."""

    height: int
    """Of the stored picture."""
    width: int
    pixel_aspect: float
    """Width of a pixel over its height; 1 where they are square but for rounding."""

    @property
    def below(self) -> int:
        """Black rows below: the probe stays at the upper edge."""
        return max(0, round(self.width * self.pixel_aspect) - self.height)

    @property
    def beside(self) -> tuple[int, int]:
        """Black columns on the left and on the right."""
        missing = max(0, round(self.height / self.pixel_aspect) - self.width)
        return missing // 2, missing - missing // 2

    def padded(self, frames: Frames) -> Frames:
        """Stored frames ``(T, H, W)`` on black."""
        return np.pad(frames, ((0, 0), (0, self.below), self.beside))


def find(folder: Path, stem: str) -> Path | None:
    """The file of this name, packed or not."""
    return next((path for extension in EXTENSIONS if (path := folder / f"{stem}{extension}").is_file()), None)


def read(path: Path, *, fps: float | None = None) -> Video:
    """A recording in square pixels on a square picture.

    Args:
        path: NIfTI file of grey levels 0..255, ``(width, height, frames)``.
        fps: Frame rate; the file has none.

    Raises:
        BadVideoError: The file is missing, damaged, of another kind, or no frame rate is known.
        MissingExtraError: nibabel is not installed.
    """
    if fps is None:
        raise BadVideoError(path, "no frame rate", "neither the file nor its settings have one; give it: --fps NUMBER")
    stored, shape = pixels(path)
    if stored.ndim != 3 or not stored.size:
        detail = f"its shape is {stored.T.shape}, expected width, height and frames; {_CURE}"
        raise BadVideoError(path, "zero frames", detail)
    view = View(pixel_aspect=shape.pixel_aspect)
    padded = shape.padded(_grey(path, stored))
    origin = Origin(len(padded), padded.shape[1], padded.shape[2], view, Times(fps))
    return Video(view.squared(padded), fps, origin)


def pixels(path: Path) -> tuple[NDArray[Any], Frame]:
    """The array of a file as ``(frames, height, width)`` or ``(height, width)``, and the shape of its picture.

    Raises:
        BadVideoError: The file is missing or damaged, or its pixels are absurdly narrow.
        MissingExtraError: nibabel is not installed.
    """
    image = _opened(path)
    try:
        array = np.asanyarray(image.dataobj).T
    except Exception as error:
        raise _unreadable(path, error) from error
    return (array[0] if array.ndim == 3 and array.shape[0] == 1 and _is_mask(path) else array), frame(path)


def frame(path: Path) -> Frame:
    """The shape of a file's picture, from its header.

    Raises:
        BadVideoError: As `pixels`.
        MissingExtraError: nibabel is not installed.
    """
    image = _opened(path)
    if len(image.shape) not in (2, 3):
        detail = f"it has {len(image.shape)} axes, expected width, height and perhaps frames; {_CURE}"
        raise BadVideoError(path, "unreadable", detail)
    across, down = (float(size) for size in image.header.get_zooms()[:2])
    aspect = across / down if across > 0 and down > 0 else 0.0
    if not 1 / _WIDEST <= aspect <= _WIDEST:
        detail = f"its pixels are said to be {across:g} by {down:g} mm, expected up to {_WIDEST:g}:1; {_CURE}"
        raise BadVideoError(path, "unreadable", detail)
    return Frame(image.shape[1], image.shape[0], 1.0 if abs(aspect - 1) < SQUARE_ENOUGH else aspect)


def _opened(path: Path) -> Any:
    nibabel = require("nibabel", extra="camus")
    if not path.is_file():
        raise BadVideoError(path, "missing file", "expected a NIfTI file; check the name")
    try:
        return nibabel.load(path)
    except Exception as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> Exception:
    """The file's fault, whichever of nibabel, gzip, zlib, struct and numpy found it; but not this computer's."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and machine_is_full(error)):
        return error
    words = (str(error).splitlines() or [type(error).__name__])[0]
    return BadVideoError(path, "unreadable", f"expected NIfTI ({words}); {_CURE}")


def _is_mask(path: Path) -> bool:
    return "_gt." in path.name


def _grey(path: Path, stored: NDArray[Any]) -> Frames:
    """Uint8; other types are rounded where they hold grey levels."""
    if stored.dtype == np.uint8:
        return np.ascontiguousarray(stored)
    low, high = float(stored.min()), float(stored.max())
    if not (low >= 0 and high <= 255):
        raise BadVideoError(path, "unreadable", f"its grey levels are {low:g}..{high:g}, expected 0..255; convert it")
    return np.round(stored).astype(np.uint8)
