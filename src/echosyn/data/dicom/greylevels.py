"""From stored values to grey levels: modality LUT, VOI LUT or window, 0..255 (DICOM PS3.3 C.11.1 and C.11.2), as one table."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from echosyn.data.dicom.faults import BadDicomError
from echosyn.data.video import Frames
from echosyn.extras import require

Dataset = Any
"""A ``pydicom.Dataset``."""
Values = NDArray[np.floating]


def stored(found: Dataset, raw: np.ndarray) -> NDArray[np.int64]:
    """Pixels as indices ``0 .. 2**BitsStored - 1``: the bits that are stored, of signed ones the lowest value first."""
    bits, high = _bits(found)
    shift = 0 if found.file_meta.TransferSyntaxUID.is_encapsulated else high + 1 - bits
    values = (raw.astype(np.int64) >> shift) & ((1 << bits) - 1)
    return values ^ (1 << (bits - 1)) if found.get("PixelRepresentation") else values


def table(found: Dataset, model: str) -> Frames:
    """The level of each index of `stored`: ``(2**BitsStored,)``.

    Where neither a window nor a VOI LUT says which values are shown, all are, and the upper eight bits are kept.
    """
    bits, _ = _bits(found)
    values = np.arange(1 << bits) - ((1 << (bits - 1)) if found.get("PixelRepresentation") else 0)
    shown, highest = _modality(found, values)
    if found.get("VOILUTSequence"):
        levels = _voi_lut(found, shown)
    elif found.get("WindowCenter") is not None and found.get("WindowWidth") is not None:
        function = str(found.get("VOILUTFunction") or "LINEAR")
        levels = windowed(shown, _first(found.WindowCenter), _first(found.WindowWidth), function)
    elif highest:
        levels = np.floor(shown * 256 / (highest + 1))
    else:
        rising = bool(shown[-1] >= shown[0])
        levels = np.arange(1 << bits)[:: 1 if rising else -1] * 256.0 // (1 << bits)
    grey: NDArray[np.uint8] = np.floor(levels + 0.5).clip(0, 255).astype(np.uint8)
    return 255 - grey if model == "MONOCHROME1" else grey


def windowed(values: Values, center: float, width: float, function: str = "LINEAR") -> Values:
    """Values -> 0..255 through a window, by the standard's formulas (PS3.3 C.11.2.1.2 and C.11.2.1.3).

    Raises:
        BadDicomError: The window is none.
    """
    if not np.isfinite([center, width]).all() or width < (1 if function == "LINEAR" else 1e-9):
        raise BadDicomError("wrong header", f"a window {width:g} wide, expected at least 1")
    if function == "SIGMOID":
        return np.asarray(255 / (1 + np.exp(-4 * (values - center) / width)))
    if function == "LINEAR":
        center, width = center - 0.5, width - 1
    ramp = (values - center) / width + 0.5 if width else (values > center).astype(np.float64)
    return np.asarray(ramp.clip(0, 1) * 255)


def _modality(found: Dataset, values: NDArray[np.int64]) -> tuple[Values, int]:
    """Values after the modality LUT or rescale, and the highest that a LUT can give (0: there is none)."""
    if found.get("ModalityLUTSequence"):
        item = found.ModalityLUTSequence[0]
        return _looked_up(item, values.astype(np.float64)), (1 << int(item.LUTDescriptor[2])) - 1
    slope, intercept = found.get("RescaleSlope"), found.get("RescaleIntercept")
    factor = 1.0 if slope is None else float(slope)
    if factor == 0 or not np.isfinite(factor):
        raise BadDicomError("wrong header", "a rescale slope that is 0 or no number")
    return values * factor + float(intercept or 0), 0


def _voi_lut(found: Dataset, shown: Values) -> Values:
    item = found.VOILUTSequence[0]
    return _looked_up(item, shown) * 255 / ((1 << int(item.LUTDescriptor[2])) - 1)


def _looked_up(item: Dataset, values: Values) -> Values:
    """Values through a LUT of the file; beyond its ends, the first or last entry."""
    entries, first, bits = (int(number) for number in item.LUTDescriptor)
    entries = entries or 1 << 16
    data = item.LUTData
    little = "<u1" if isinstance(data, bytes) and len(data) < 2 * entries else "<u2"
    lut = np.frombuffer(data, little) if isinstance(data, bytes) else np.atleast_1d(data)
    if len(lut) < entries or not 8 <= bits <= 16:
        raise BadDicomError("wrong header", f"a lookup table of {len(lut)} entries, expected {entries} of 8 to 16 bits")
    first -= (1 << 16) if first > values.max() and first >= 1 << 15 else 0
    return lut[(np.round(values) - first).clip(0, entries - 1).astype(np.int64)].astype(np.float64)


def _bits(found: Dataset) -> tuple[int, int]:
    allocated, bits = int(found.BitsAllocated), int(found.get("BitsStored") or found.BitsAllocated)
    high = found.get("HighBit")
    high = bits - 1 if high is None else int(high)
    if not 1 <= bits <= allocated or not bits - 1 <= high < allocated:
        raise BadDicomError("wrong header", f"{bits} bits up to bit {high}, stored in {allocated}")
    return bits, high


def _first(value: Any) -> float:
    """Of several windows the first, which is the one to show."""
    several = require("pydicom.multival", extra="dicom").MultiValue
    return float(value[0] if isinstance(value, several | list) else value)
