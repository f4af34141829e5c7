"""A still keeps its number, whatever shard it lies in."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from echosyn import rng
from echosyn.data import stills
from echosyn.errors import DataError


@given(st.sets(st.integers(0, 10**6), min_size=1, max_size=12), st.integers(1, 5))
def test_all_stills_come_back_in_the_order_of_their_numbers(
    tmp_path_factory: pytest.TempPathFactory, numbers: set[int], size: int
) -> None:
    folder, ordered = tmp_path_factory.mktemp("stills"), sorted(numbers)
    shards = [ordered[i : i + size] for i in range(0, len(ordered), size)]
    for shard in reversed(shards):
        stills.write(folder, shard, rng.normal((2, 1, 1), 0, "still", shard))
    indices, latents = stills.read(folder)
    assert indices == ordered
    assert torch.equal(latents, rng.normal((2, 1, 1), 0, "still", ordered))
    assert len(list(folder.iterdir())) == len(shards)


def test_no_stills_and_a_damaged_shard_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no stills; expected the folder that `echosyn sample`"):
        stills.read(tmp_path)
    stills.shard(tmp_path, 0).write_bytes(b"garbage" * 9)
    with pytest.raises(DataError, match=r"stills-000000000\.safetensors: not readable"):
        stills.read(tmp_path)


def test_names_sort_as_numbers():
    names = [stills.name(i) for i in (0, 9, 10, 999_999)]
    assert names == sorted(names)
    assert stills.name(7) == "synthetic_000007"
