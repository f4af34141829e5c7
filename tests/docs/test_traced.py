"""The recipe of traced stills: every frame has its outline, and `train outline` learns from all of them."""

from pathlib import Path

import numpy as np

from echosyn.data import filelist, outlines
from scripts import imported

recipe = imported(Path(__file__).parents[2] / "docs" / "recipes" / "traced.py")


def test_every_frame_of_every_phantom_is_traced_and_the_first_two_are_far_apart(tmp_path: Path) -> None:
    recipe.write(tmp_path / "traced", num=3, seed=5)
    traced = outlines.by_frame(tmp_path / "traced")
    records = filelist.read(tmp_path / "traced")
    assert [record.num_frames for record in records] == [recipe.MOMENTS] * 3
    for record in records:
        assert sorted(traced[record.name]) == list(range(recipe.MOMENTS))
        areas = [int(outlines.mask(traced[record.name][i], (112, 112)).sum()) for i in range(recipe.MOMENTS)]
        assert areas[0] >= 0.98 * max(areas)
        assert areas[1] <= 1.02 * min(areas)
    assert np.unique([record.ef for record in records]).size == 3
