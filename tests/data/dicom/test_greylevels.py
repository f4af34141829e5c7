"""Stored value -> modality -> window -> 0..255, with the levels that the standard's formulas give."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

import hospital
from echosyn.data.dicom import greylevels, pixels, reading
from echosyn.data.dicom.faults import BadDicomError


def levels(tmp_path: Path, stored: list[int], model: str = "MONOCHROME2", bits: int = 12, **tags: Any) -> list[int]:
    """What stored 16-bit values become."""
    ds = hospital.tags(hospital.person(0), "1.2")
    frames = np.array(stored).astype(np.uint16)[None, None].repeat(2, 0).repeat(2, 1)
    path = hospital.save(tmp_path / "a.dcm", ds, frames, model=model)
    ds.BitsStored, ds.HighBit = bits, bits - 1
    for name, value in tags.items():
        setattr(ds, name, value)
    hospital.write(path, ds)
    return next(iter(pixels.frames(reading.cine(path))))[0].tolist()


def lut(entries: list[int], first: int, bits: int) -> list[Dataset]:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries), first, bits])
    item.add_new("LUTData", "US", entries)
    return [item]


def window(center: float, width: float) -> dict[str, float]:
    return {"WindowCenter": center, "WindowWidth": width}


RAMP = [0, 512, 1023, 2048, 4095]


@pytest.mark.parametrize(
    ("stored", "how", "expected"),
    [
        (RAMP, {}, [0, 32, 63, 128, 255]),
        (RAMP, window(512, 1024), [0, 128, 255, 255, 255]),
        (RAMP, window(2048, 4096), [0, 32, 64, 128, 255]),
        (RAMP, {"WindowCenter": [512, 2048], "WindowWidth": [1024, 4096]}, [0, 128, 255, 255, 255]),
        (RAMP, window(512, 1024) | {"model": "MONOCHROME1"}, [255, 127, 0, 0, 0]),
        (RAMP, window(1024, 2048) | {"RescaleSlope": 2, "RescaleIntercept": 0}, [0, 128, 255, 255, 255]),
        (RAMP, window(0, 2048) | {"RescaleSlope": 1, "RescaleIntercept": -1024}, [0, 64, 127, 255, 255]),
        (RAMP, {"RescaleSlope": 2, "RescaleIntercept": 7}, [0, 32, 63, 128, 255]),
        (RAMP, {"RescaleSlope": -1, "RescaleIntercept": 4095}, [255, 223, 192, 127, 0]),
        ([0xF000, 0xF3FF], window(512, 1024), [0, 255]),
        ([0, 0x3FF0], {"HighBit": 15} | window(512, 1024), [0, 255]),
        ([0xF800, 0, 0x07FF], {"PixelRepresentation": 1}, [0, 128, 255]),
        ([0xF800, 0, 0x01FF], {"PixelRepresentation": 1} | window(0, 1024), [0, 128, 255]),
        ([0, 1, 2, 9], {"VOILUTSequence": lut([0, 100, 255], 0, 8)}, [0, 100, 255, 255]),
        ([0, 1, 2, 9], {"ModalityLUTSequence": lut([0, 2048, 4095], 0, 12)}, [0, 128, 255, 255]),
        ([0, 511, 512, 1023], window(512, 1024) | {"VOILUTFunction": "LINEAR_EXACT"}, [0, 127, 128, 255]),
        ([0, 512, 1023], window(512, 1024) | {"VOILUTFunction": "SIGMOID"}, [30, 128, 224]),
        ([0, 1], window(1, 1), [0, 255]),
    ],
)
def test_levels_are_the_standards(stored: list[int], how: dict[str, Any], expected: list[int], tmp_path: Path) -> None:
    assert levels(tmp_path, stored, **how) == expected


def test_a_whole_window_of_eight_bits_changes_nothing() -> None:
    assert np.array_equal(np.round(greylevels.windowed(np.arange(256.0), 128, 256)), np.arange(256))


@pytest.mark.parametrize(
    "wrong", [window(5, 0), {"RescaleSlope": 0}, {"HighBit": 3}, {"VOILUTSequence": lut([1], 0, 40)}]
)
def test_a_chain_that_cannot_be_is_refused_in_words(wrong: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(BadDicomError, match="wrong header: "):
        levels(tmp_path, RAMP, **wrong)
