"""Mean and spread of grey levels are those of the pixels."""

from typing import Any

import numpy as np
import pytest

from echosyn import rng
from echosyn.data import grey_levels
from echosyn.data.records import Record
from echosyn.errors import DataError


def video(record: Record) -> Any:
    return rng.numpy_generator(int(record.name), "levels").integers(0, 40 + int(record.name), (16, 8, 8), np.uint8)


def test_they_are_those_of_the_pixels() -> None:
    records = [Record(str(i)) for i in range(5)]
    pixels = np.concatenate([video(r) for r in records]).astype(float)
    assert grey_levels.mean_and_std(video, records) == pytest.approx((pixels.mean(), pixels.std()))


def test_a_large_dataset_is_looked_at_in_part_and_always_in_the_same() -> None:
    records, read = [Record(str(i % 100)) for i in range(1000)], []

    def counted(record: Record) -> Any:
        read.append(record.name)
        return video(record)

    first = grey_levels.mean_and_std(counted, records)
    assert len(read) == grey_levels.NUM_VIDEOS
    assert grey_levels.mean_and_std(video, records) == first
    assert grey_levels.mean_and_std(video, records, seed=1) != first


def test_a_black_dataset_cannot_be_normalised() -> None:
    with pytest.raises(DataError, match="of one grey level"):
        grey_levels.mean_and_std(lambda _: np.zeros((3, 4, 4), np.uint8), [Record("a")])
