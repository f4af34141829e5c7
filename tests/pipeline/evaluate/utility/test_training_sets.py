"""Training sets that are compared hold equally many videos."""

from dataclasses import replace

import numpy as np
import pytest

from echosyn.data import filelist, video
from echosyn.data.records import Record
from echosyn.errors import DataError
from echosyn.pipeline.evaluate.utility import training_sets


def records(num, view="A4C", split="TRAIN", start=0):
    return [
        Record(f"{view}{split}{i:03d}", ef=50.0, split=split, extra={"View": view}) for i in range(start, start + num)
    ]


def dataset(folder, num_train, num_val, seed=0):
    made = [*records(num_train), *records(num_val, split="VAL")]
    (folder / "Videos").mkdir(parents=True)
    for i, record in enumerate(made):
        frames = np.random.default_rng([seed, i]).integers(0, 255, (8, 16, 16)).astype(np.uint8)
        video.write_avi(folder / "Videos" / f"{record.name}.avi", frames, 32)
    filelist.write(folder, [replace(r, fps=32.0, num_frames=8, height=16, width=16) for r in made])
    return folder


def test_views_have_equal_shares_and_the_order_of_the_list_does_not_matter():
    known = [*records(30), *records(90, "PSAX"), *records(9, split="VAL")]
    chosen = training_sets.equal(known, 40, 6, seed=1)
    assert sum(r.extra["View"] == "PSAX" for r in chosen if r.split == "TRAIN") == 20
    assert sum(r.split == "VAL" for r in chosen) == 6
    assert training_sets.equal(known[::-1], 40, 6, seed=1) == chosen
    assert training_sets.equal(known, 40, 6, seed=2) != chosen


def test_videos_without_a_label_are_not_taken_and_too_few_are_refused():
    known = [replace(r, ef=None) if i % 2 else r for i, r in enumerate(records(20))]
    assert all(r.ef is not None for r in training_sets.equal(known, 10, 0, seed=0))
    with pytest.raises(DataError, match="10 labelled TRAIN videos, 11 were asked for"):
        training_sets.equal(known, 11, 0, seed=0)


def test_the_standard_arms_are_equal_in_number_and_link_the_videos(tmp_path):
    sets = {"real": dataset(tmp_path / "a", 6, 3), "synthetic": dataset(tmp_path / "b", 4, 2, seed=1)}
    found = training_sets.standard(tmp_path / "arms", sets)
    assert [arm.name for arm in found] == [
        "real",
        "synthetic",
        training_sets.BOTH,
        training_sets.RELABELLED,
        training_sets.RECALIBRATED,
    ]
    counts = {arm.name: [r.split for r in filelist.read(arm.dataset)] for arm in found}
    assert all(counts[name].count("TRAIN") == 4 and counts[name].count("VAL") == 2 for name in ("real", "synthetic"))
    assert len(counts[training_sets.BOTH]) == 12
    both = filelist.VideoIndex(found[2].dataset)
    record = next(r for r in filelist.read(found[2].dataset) if r.name.startswith("synthetic_"))
    original = sets["synthetic"] / "Videos" / f"{record.name.removeprefix('synthetic_')}.avi"
    assert both.path(record).read_bytes() == original.read_bytes()
    assert training_sets.standard(tmp_path / "arms", sets) == found


def test_a_set_without_videos_to_choose_weights_by_is_refused(tmp_path):
    sets = {"real": dataset(tmp_path / "a", 3, 1), "synthetic": dataset(tmp_path / "b", 3, 0)}
    with pytest.raises(DataError, match=r"b: no TRAIN or no VAL video with an EF"):
        training_sets.standard(tmp_path / "arms", sets)
    assert not (tmp_path / "arms").exists()
