"""What the benchmarks of real recordings share: squares, features of frames, power by ring."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from echosyn.metrics import spectrum
from scripts import imported

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
looks = imported(BENCHMARKS / "looks.py")


def clips(level: float) -> list[np.ndarray]:
    draws = np.random.default_rng(0)
    noise = [draws.normal(size=(3, 112, 112)) for _ in range(2)]
    return [(120 + level * x).clip(17, 255).astype(np.uint8) for x in noise]


def test_a_picture_is_not_stretched_and_stands_at_the_top() -> None:
    tall, wide = (Image.new("RGB", size, (200, 200, 200)) for size in ((50, 100), (100, 50)))
    upright, lying = (np.asarray(looks.squared(picture)) for picture in (tall, wide))
    assert upright.shape == lying.shape == (100, 100)
    assert (upright[:, 25:75] == 200).all()
    assert upright.sum() == 200 * 50 * 100
    assert (lying[:50] == 200).all()
    assert not lying[50:].any()
    assert looks.still(tall).shape == (112, 112)


def test_twice_the_contrast_is_four_times_the_power_in_every_octave() -> None:
    weak, strong = (looks.power(clips(level)) for level in (12.0, 24.0))
    assert weak.shape == (spectrum.RINGS,)
    for ends in spectrum.OCTAVES.values():
        assert np.mean(strong[slice(*ends)]) / np.mean(weak[slice(*ends)]) == pytest.approx(4, rel=0.05)


def test_all_frames_count_the_same_however_they_are_cut_into_clips() -> None:
    first, second = clips(20.0)
    together = np.concatenate([first, second])
    assert np.allclose(looks.power([first, second]), looks.power([together]))
    assert looks.spectra([first, second]).shape[0] == len(together)


@pytest.mark.parametrize("name", ["small_archive", "real_clips", "outlines"])
def test_the_benchmarks_take_them_from_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    script = imported(BENCHMARKS / f"{name}.py")
    assert {"still", "power", "lite0"} & vars(script).keys()
    sys.modules.pop(name)
