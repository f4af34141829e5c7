"""When the heart contracts, by its tracked left ventricle."""

from typing import cast, get_args

import numpy as np
from numpy.typing import NDArray

from echosyn.data.records import Record
from echosyn.metrics.area import SIZE, ejected_part, track_lv
from echosyn.metrics.cavity import View


def course_of(pixels: NDArray[np.uint8], record: Record) -> NDArray[np.float64] | None:
    """When the heart contracts, ``(T,)``, by its tracked left ventricle; none for other views and where it is not found."""
    view = record.cell("View") or "A4C"
    if view not in get_args(View) or pixels.shape[1:] != (SIZE, SIZE):
        return None
    return ejected_part(track_lv(pixels, cast(View, view)).areas, cast(View, view))
