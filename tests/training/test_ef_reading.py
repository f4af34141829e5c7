"""The EF of a recording is the mean over its clips, however many go through the network at once."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from echosyn import rng, weights
from echosyn.data import video
from echosyn.pixels import convention
from echosyn.training import ef_reading
from echosyn.training.ef_reading import EFReader

FRAMES = rng.numpy_generator(0, "recording").integers(0, 256, (21, 32, 32), np.uint8)


@pytest.fixture
def reader(build: Callable[..., Any]) -> EFReader:
    """It sees clips of 8 frames at 32 a second."""
    return EFReader(build("ef"), convention("symmetric"), 32.0, 8)


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_all_clips_is_the_mean_over_every_start(
    reader: EFReader, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = reader.pixels.to_model(torch.from_numpy(FRAMES))
    with torch.no_grad():
        alone = [float(reader.network(pixels[None, None, s : s + 8])) for s in range(14)]
    monkeypatch.setattr(ef_reading, "CLIPS_AT_ONCE", at_once)
    reading = reader(FRAMES, 32.0, "all")
    assert reading.num_clips == 14
    assert np.std(alone) > 1e-3
    assert reading.ef == pytest.approx(np.mean(alone), abs=1e-4)
    with torch.no_grad():
        assert reading.ef == pytest.approx(float(reader.network.head(torch.from_numpy(reading.features))), abs=1e-4)


def test_a_few_clips_are_spread_from_the_first_to_the_last(reader: EFReader) -> None:
    ends = [reader(part, 32.0, 1).ef for part in (FRAMES[:8], FRAMES[-8:])]
    two = reader(FRAMES, 32.0, 2)
    assert (two.num_clips, two.ef) == (2, pytest.approx(np.mean(ends), abs=1e-4))
    assert reader(FRAMES[:5], 32.0, 4).num_clips == 1
    assert reader(FRAMES, 32.0, 99).num_clips == 14


MEASURE = """
import json, resource, sys
from pathlib import Path
from echosyn.pipeline.evaluate.predict_ef import predict_files
peaks, clips = [], []
for name in sys.argv[2:]:
    [found] = predict_files([Path(name)], Path(sys.argv[1]), num_clips="all", device="cpu")
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    clips.append(found.num_clips)
print(json.dumps({"peaks": peaks, "clips": clips}))
"""


@pytest.mark.slow
def test_the_peak_memory_of_all_clips_does_not_grow_with_their_number(
    build: Callable[..., Any], tmp_path: Path
) -> None:
    weights.save(build("ef"), tmp_path / "ef", weights.Facts(stage="ef", fps=32.0, num_frames=32))
    files = [tmp_path / name for name in ("warm.avi", "ten.avi", "hundred.avi")]
    for path, num_clips in zip(files, (10, 10, 100), strict=True):
        noise = rng.numpy_generator(num_clips, "noise").integers(0, 256, (31 + num_clips, 112, 112), np.uint8)
        video.write_avi(path, noise, 32.0)
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "ef"), *map(str, files)]
    said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert said["clips"] == [10, 10, 100]
    # 90 more clips of 32 x 112 x 112 numbers are 145 MB, 90 more frames of a recording are 1.1
    assert said["peaks"][2] - said["peaks"][1] < 40
