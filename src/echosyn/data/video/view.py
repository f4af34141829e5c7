"""How a stored picture is shown: turned upright, its pixels made square."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from av.sidedata.sidedata import Type

from echosyn.data.frames import Frames
from echosyn.data.resizing import squared, squared_size

_ONE = 1 << 16
_WIDEST = 4


class ViewError(ValueError):
    """The picture cannot be shown as the file says."""


@dataclass(frozen=True)
class View:
    """From the pixels of a file to what a player shows."""

    swapped: bool = False
    """Whether rows become columns, before the flips."""
    across: bool = False
    """Whether left and right are swapped."""
    down: bool = False
    """Whether top and bottom are swapped."""
    pixel_aspect: float = 1.0
    """Width over height of a pixel, once upright."""

    @property
    def upright(self) -> bool:
        """Whether the picture is stored as it is shown."""
        return not (self.swapped or self.across or self.down)

    def turned(self, frame: Frames) -> Frames:
        """One stored frame ``(H, W)`` or ``(H, W, 3)``, upright."""
        if self.upright:
            return frame
        frame = frame.swapaxes(0, 1) if self.swapped else frame
        frame = frame[:, ::-1] if self.across else frame
        return np.ascontiguousarray(frame[::-1] if self.down else frame)

    def squared(self, frames: Frames) -> Frames:
        """Upright frames with square pixels."""
        return squared(frames, self.pixel_aspect)

    def upright_size(self, height: int, width: int) -> tuple[int, int]:
        """``(height, width)`` of stored pixels once upright."""
        return (width, height) if self.swapped else (height, width)

    def shown_size(self, height: int, width: int) -> tuple[int, int]:
        """``(height, width)`` of an upright picture with square pixels."""
        return squared_size(*self.upright_size(height, width), self.pixel_aspect)


def view(frame: Any, stream: Any) -> View:
    """What the container or the stream says about showing this frame.

    Raises:
        ViewError: it is turned by other than quarter turns, or its pixels are absurdly narrow.
    """
    turn = _turn(frame)
    aspect = stream.sample_aspect_ratio or Fraction(1)
    if aspect <= 0:
        aspect = Fraction(1)
    if not Fraction(1, _WIDEST) <= aspect <= _WIDEST:
        raise ViewError(f"its pixels are said to be {aspect.numerator}:{aspect.denominator} wide, expected up to 4:1")
    return View(*turn, float(1 / aspect if turn[0] else aspect))


def _turn(frame: Any) -> tuple[bool, bool, bool]:
    """Of the display matrix ``[[a, b], [c, d]]``: a stored ``(x, y)`` is shown at ``(a x + c y, b x + d y)``."""
    data = frame.side_data.get(Type.DISPLAYMATRIX)
    if data is None:
        return False, False, False
    a, b, _, c, d = (
        int(np.sign(n)) if abs(n) == _ONE else n for n in np.frombuffer(bytes(data), np.int32)[:5].tolist()
    )
    if (abs(a), b, c, abs(d)) == (1, 0, 0, 1):
        return False, a < 0, d < 0
    if (a, abs(b), abs(c), d) == (0, 1, 1, 0):
        return True, c < 0, b < 0
    raise ViewError(f"it is turned by {frame.rotation} degrees or scaled, expected quarter turns")
