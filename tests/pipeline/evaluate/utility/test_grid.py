"""What the grid refuses before it trains."""

import pytest

from echosyn.data import filelist
from echosyn.data.records import Record
from echosyn.errors import ConfigError, DataError
from echosyn.pipeline.evaluate.utility.grid import Grid


@pytest.fixture
def sets(tmp_path):
    known = [Record(f"{split}{i}", ef=50.0, split=split) for split in ("TRAIN", "VAL", "TEST") for i in range(2)]
    for name in ("real", "synthetic"):
        filelist.write(tmp_path / name, known)
    return tmp_path / "synthetic", tmp_path / "real", [r for r in known if r.split != "TRAIN"]


def test_sets_with_all_three_parts_are_taken(sets):
    Grid().check(*sets)


def test_what_cannot_be_compared_is_refused(sets, tmp_path):
    synthetic, real, held_out = sets
    with pytest.raises(DataError, match="no TEST video with an EF"):
        Grid().check(synthetic, real, [r for r in held_out if r.split == "VAL"])
    with pytest.raises(ConfigError, match="--seeds 0"):
        Grid(seeds=0).check(*sets)
    with pytest.raises(ConfigError, match="--also real-and-synthetic"):
        Grid(also={"real and synthetic": synthetic}).check(*sets)
    filelist.write(tmp_path / "bare", [Record("a", ef=50.0)])
    with pytest.raises(DataError, match=r"bare: no TRAIN or no VAL video"):
        Grid(also={"bare": tmp_path / "bare"}).check(*sets)
