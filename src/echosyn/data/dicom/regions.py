"""Where in the picture the 2-D tissue is, and how large a pixel is, from SequenceOfUltrasoundRegions (PS3.3 C.8.5.5)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from echosyn.data.dicom.faults import BadDicomError
from echosyn.data.dicom.reading import Dataset

_TWO_D, _TISSUE, _COLOUR_FLOW = 1, 1, 2
_CENTIMETRES = 3
_FORMATS = {2: "M-mode", 3: "spectral", 4: "wave form", 5: "graphics"}
EQUAL = 0.8
"""Size against the largest region's from which another one may as well be meant."""
LONGEST = 4.0
"""A pixel's longer side against its shorter; more is a slip."""
_SMALLEST = 32
"""Rows and columns that a region must have to hold a heart."""


@dataclass(frozen=True)
class Region:
    """A part of the picture."""

    x: int
    y: int
    width: int
    height: int
    spacing: tuple[float, float] | None = None
    """Width and height of a pixel in cm, if known."""
    note: str = ""
    """What about it the user should know."""
    aspect: float = 1.0
    """Width of a pixel divided by its height."""
    is_part: bool = False
    """Whether the tags name it; else it is the whole picture."""


@dataclass(frozen=True)
class _Entry:
    """One item of the sequence."""

    format: int
    data: int
    corners: tuple[int, int, int, int]
    spacing: tuple[float, float] | None

    @property
    def size(self) -> int:
        x0, y0, x1, y1 = self.corners
        return max(0, x1 - x0 + 1) * max(0, y1 - y0 + 1)

    def overlaps(self, other: "_Entry") -> bool:
        (a, b, c, d), (e, f, g, h) = self.corners, other.corners
        return a <= g and e <= c and b <= h and f <= d


def tissue(found: Dataset) -> Region:
    """The largest 2-D tissue region; the whole picture where nothing is said about regions.

    A region that does not fit into the picture (made for it before it was made smaller) is not believed: the whole
    picture is taken and the size of a pixel is unknown.

    Raises:
        BadDicomError: All regions are something else, colour flow lies over the tissue, two regions beside each other are
            about equally large, or the shape of a pixel cannot be.
    """
    rows, columns = int(found.Rows), int(found.Columns)
    entries = [_entry(item) for item in found.get("SequenceOfUltrasoundRegions") or []]
    whole = Region(0, 0, columns, rows, aspect=_aspect(_declared(found)))
    if not entries:
        return whole
    tissues = [entry for entry in entries if (entry.format, entry.data) == (_TWO_D, _TISSUE)]
    flows = [entry for entry in entries if (entry.format, entry.data) == (_TWO_D, _COLOUR_FLOW)]
    if flows and (not tissues or any(flow.overlaps(tissue) for flow in flows for tissue in tissues)):
        raise BadDicomError("colour Doppler", "a colour flow region")
    if not tissues:
        raise BadDicomError("no 2-D tissue region", f"only {_kinds(entries)}")
    largest = max(tissues, key=lambda entry: entry.size)
    rivals = [e for e in tissues if e.size >= EQUAL * largest.size and not e.overlaps(largest)]
    if rivals:
        raise BadDicomError(
            "several tissue regions",
            f"{len(rivals) + 1} beside one another, about equally large (biplane?); export each view on its own",
        )
    others = [entry for entry in entries if entry is not largest]
    x0, y0, x1, y1 = largest.corners
    if not (x0 >= 0 and x0 + _SMALLEST <= x1 + 1 <= columns and y0 >= 0 and y0 + _SMALLEST <= y1 + 1 <= rows):
        return replace(whole, note="region outside the picture")
    note = f"left out: {_kinds(others)}" if others else ""
    aspect = _aspect(largest.spacing) if largest.spacing else whole.aspect
    return Region(x0, y0, x1 - x0 + 1, y1 - y0 + 1, largest.spacing, note, aspect, is_part=True)


def _declared(found: Dataset) -> tuple[float, float]:
    """Width and height of a pixel, in any unit, as the picture's own tags say; both give the height first."""
    for keyword in ("PixelSpacing", "PixelAspectRatio"):
        try:
            height, width = (float(side) for side in found.get(keyword) or ())
        except (TypeError, ValueError):
            continue
        if 0 < height < math.inf and 0 < width < math.inf:
            return width, height
    return 1.0, 1.0


def _aspect(sides: tuple[float, float]) -> float:
    aspect = sides[0] / sides[1]
    if not 1 / LONGEST <= aspect <= LONGEST:
        raise BadDicomError(
            "wrong header", f"a pixel {aspect:.3g} times as wide as high, expected {1 / LONGEST:g} to {LONGEST:g}"
        )
    return aspect


def _entry(item: Dataset) -> _Entry:
    names = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1")
    x0, y0, x1, y1 = (int(item.get(name, -1)) for name in names)
    return _Entry(
        int(item.get("RegionSpatialFormat", 0)), int(item.get("RegionDataType", 0)), (x0, y0, x1, y1), _spacing(item)
    )


def _spacing(item: Dataset) -> tuple[float, float] | None:
    units = (item.get("PhysicalUnitsXDirection"), item.get("PhysicalUnitsYDirection"))
    x, y = (abs(float(item.get(name) or 0)) for name in ("PhysicalDeltaX", "PhysicalDeltaY"))
    known = units == (_CENTIMETRES, _CENTIMETRES) and all(math.isfinite(d) and d > 0 for d in (x, y))
    return (x, y) if known else None


def _kinds(entries: Sequence[_Entry]) -> str:
    kinds = ("2-D" if entry.format == _TWO_D else _FORMATS.get(entry.format, "other") for entry in entries)
    return ", ".join(sorted(set(kinds)))
