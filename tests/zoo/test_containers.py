"""Every container and pixel format: what the matrix promises is what comes out."""

from pathlib import Path

import numpy as np
import pytest

from echosyn.data import video
from echosyn.data.video import BadVideoError
from zoo.containers import CASES, Container


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.group}: {case.name}")
def test_what_is_promised_is_what_comes_out(case: Container, tmp_path: Path) -> None:
    path = case.make(tmp_path)
    if case.refused is not None:
        with pytest.raises(BadVideoError) as caught:
            video.read(path)
        assert case.refused in str(caught.value)
        assert "\n" not in str(caught.value)
        return
    truth = case.truth().astype(float)
    found = video.read(path)
    assert found.frames.shape == truth.shape
    assert found.fps == pytest.approx(case.fps, rel=0.002)
    assert video.probe(path) == (*found.frames.shape, found.fps)
    assert video.size(path) == found.frames.shape[1:]
    assert np.abs(found.frames - truth).mean() <= case.within
    # The scale of grey: black is black and white is white, on average over what is so in truth.
    assert found.frames[truth < 2].mean() < 6
    assert found.frames[truth > 250].mean() > 244
