"""Labels of synthetic videos that nobody asked for but a segmentation can give: measured EF, heart rate, tracings.

``EF`` is what was requested. ``EFMeasured`` and the tracings come from the tracked cavity, which is checked on phantoms
(docs/evaluation.md). Volumes in ml would need the size of a pixel, which no synthetic video has: ``ESV`` and ``EDV`` stay empty,
and so does what could not be tracked.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from echosyn.data import outlines
from echosyn.data.phantom.ventricle import NUM_CHORDS
from echosyn.data.records import Record, Tracing
from echosyn.metrics.area import LeftVentricle, ef_from_area
from echosyn.metrics.cavity import View
from echosyn.metrics.moments import Array
from echosyn.pipeline.tracking.measure import Measured

EF_MEASURED, RATE_MEASURED, FLAGS = "EFMeasured", "HeartRateMeasured", "Flags"


def chords(outline: Array, view: View) -> Array:
    """A closed outline as EchoNet-Dynamic traces it, see `echosyn.data.outlines.chords`.

    Args:
        outline: column and row, ``(n, 2)``, as `echosyn.metrics.area.LeftVentricle` gives it.
        view: A4C: the axis goes from the apex to the middle of the base. PSAX: from top to bottom along the longest diameter.
    """
    return outlines.chords(outline, *_long_axis(outline, view))


def volume(traced: Array) -> float:
    """Volume in cubic pixels by the method of discs from chords ``(21, 2, 2)``."""
    length = float(np.hypot(*(traced[0, 1] - traced[0, 0])))
    widths = np.hypot(*(traced[1:, 1] - traced[1:, 0]).T)
    return float(np.pi / 4 * (widths**2).sum() * length / NUM_CHORDS)


def tracings(name: str, tracked: LeftVentricle, view: View) -> list[Tracing]:
    """Rows of ``VolumeTracings.csv`` at end-diastole, then at end-systole; none where no cavity was found.

    The frames are the largest and the smallest cavity.

    Args:
        name: file name with extension.
        tracked: the cavity.
        view: which cut through the heart.
    """
    if ef_from_area(tracked.areas, view) is None:
        return []
    frames = int(tracked.areas.argmax()), int(tracked.areas.argmin())
    rows = []
    for frame, outline in zip(frames, (tracked.diastole, tracked.systole), strict=True):
        for (x1, y1), (x2, y2) in chords(outline, view).round(3).tolist():
            rows.append(Tracing(name, x1, y1, x2, y2, frame))
    return rows


def labelled(record: Record, row: Measured) -> Record:
    """A record with ``EFMeasured``, ``HeartRateMeasured`` and ``Flags``; empty where nothing was measured."""
    cells = {
        EF_MEASURED: "" if row.ef_by_area is None else f"{row.ef_by_area:.1f}",
        RATE_MEASURED: "" if row.heart_rate is None else f"{row.heart_rate:.0f}",
        FLAGS: ";".join(row.flags),
    }
    return replace(record, extra=dict(record.extra) | cells)


def _long_axis(outline: Array, view: View) -> Sequence[Array]:
    if view == "A4C":
        # the outline begins and, before the points of the base, ends at the annulus; the apex is half way
        sides = len(outline) - _BASE_POINTS
        return outline[sides // 2], (outline[0] + outline[sides - 1]) / 2
    middle = outline.mean(axis=0)
    radii = np.hypot(*(outline - middle).T)
    top = outline[int((radii * (outline[:, 1] <= middle[1])).argmax())]
    return top, 2 * middle - top


_BASE_POINTS = 10
