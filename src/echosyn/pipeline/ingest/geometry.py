"""From the pixels of a source video to those of a dataset: cut, blackened around the sector, resized."""

from dataclasses import dataclass

from echosyn.data import surroundings
from echosyn.data.records import Tracing
from echosyn.data.resizing import resized
from echosyn.data.surroundings import Verdict
from echosyn.data.video import Frames, Origin
from echosyn.errors import ConfigError, DataError

Box = tuple[int, int, int, int]
"""``(x, y, width, height)`` in pixels of the source, turned upright, from its upper left corner."""


class OutsideError(DataError):
    """The crop does not lie within the picture."""


@dataclass(frozen=True)
class Geometry:
    """What is done to every video of an import."""

    crop: Box | None
    size: int
    """Height and width of the result in pixels."""
    masked: bool
    """Whether marks around the sector are blackened."""

    def box(self, height: int, width: int) -> Box:
        """The part of a frame that is kept.

        Raises:
            OutsideError: It is not within the frame.
        """
        x, y, w, h = self.crop or (0, 0, width, height)
        if x + w > width or y + h > height:
            raise OutsideError(
                f"crop {x},{y},{w},{h} (x, y, width, height) ends at {x + w},{y + h}, expected within {width}x{height}"
            )
        return x, y, w, h

    def frames(self, frames: Frames, origin: Origin) -> tuple[Frames, Verdict | None]:
        """Frames ``(T, H, W)`` with square pixels as ``(T, size, size)``, and what was done around the sector, if asked."""
        x, y, w, h = _within(self.box(origin.height, origin.width), origin)
        cut, verdict = frames[:, y : y + h, x : x + w], None
        if self.masked:
            cut, verdict = surroundings.blackened(cut)
        return resized(cut, self.size), verdict

    def tracing(self, tracing: Tracing, name: str, box: Box, origin: Origin) -> Tracing:
        """Move a chord along with the video ``name`` whose ``box`` was kept; a pixel's coordinate is its centre."""
        x, y, w, h = box

        def across(value: float, start: int, length: int) -> float:
            return (value - start + 0.5) * self.size / length - 0.5 if (start, length) != (0, self.size) else value

        return Tracing(
            f"{name}.avi",
            across(tracing.x1, x, w),
            across(tracing.y1, y, h),
            across(tracing.x2, x, w),
            across(tracing.y2, y, h),
            origin.times.place(tracing.frame),
        )


def box_of(text: str | None) -> Box | None:
    """The box that ``--crop`` says.

    Raises:
        ConfigError: It is none.
    """
    if text is None:
        return None
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--crop {text}: expected X,Y,W,H, four whole numbers such as 0,0,112,112") from error
    return x, y, width, height


def _within(box: Box, origin: Origin) -> Box:
    """A box of source pixels in square ones, to the nearest."""
    down, across = (shown / stored for shown, stored in zip(origin.shown, (origin.height, origin.width), strict=True))
    left, right = round(box[0] * across), round((box[0] + box[2]) * across)
    top, bottom = round(box[1] * down), round((box[1] + box[3]) * down)
    return left, top, right - left, bottom - top
