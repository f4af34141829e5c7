"""The rivals are what they claim to be, a figure is bold only where it is worse, and the whole table runs at a tiny size."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from echosyn.pipeline.ingest.phantom import make_phantom
from scripts import imported

RIVALS = Path(__file__).parents[2] / "benchmarks" / "rivals"
folder = imported(RIVALS / "folder.py")
zoomed = imported(RIVALS / "zoomed_stills.py")
linear = imported(RIVALS / "linear_motion.py")
table = imported(RIVALS / "table.py")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("real") / "real"
    make_phantom(out, num=6, seed=1, num_frames=64, fps=32.0)
    return out


def made(rival: str, real: Path, out: Path, *more: str) -> tuple[np.ndarray, np.ndarray]:
    command = [sys.executable, str(RIVALS / f"{rival}.py"), str(real), str(out), "--num", "5", *more]
    subprocess.run(command, check=True)
    assert (out / "FileList.csv").read_text().splitlines()[0] == "FileName,EF,Split"
    videos, efs = folder.read(out)
    assert videos.shape == (5, 64, 112, 112)
    return videos.astype(np.float64), efs


@pytest.mark.slow
def test_a_noisy_copy_is_a_training_video_under_noise_with_its_label(real: Path, tmp_path: Path) -> None:
    originals, labels = folder.read(real)
    for copy, ef in zip(*made("noisy_copies", real, tmp_path / "copies"), strict=True):
        shifted = [
            np.corrcoef(copy.mean(0).ravel(), np.roll(v.mean(0), (dy, dx), (0, 1)).ravel())[0, 1]
            for v in originals
            for dy in range(-3, 4)
            for dx in range(-3, 4)
        ]
        assert max(shifted) > 0.95
        assert labels[int(np.argmax(shifted)) // 49] == ef


def test_a_vector_autoregression_is_found_again() -> None:
    draws = np.random.default_rng(0)
    true = np.concatenate([np.diag([1.2, 0.5]), np.diag([-0.5, 0.2])])
    series = draws.normal(size=(8, 400, 2))
    for t in range(2, 400):
        series[:, t] += np.concatenate([series[:, t - 1], series[:, t - 2]], axis=1) @ true
    weights, root = linear.autoregression(series)
    assert np.abs(weights - true).max() < 0.05
    assert np.abs(root @ root.T - np.eye(2)).max() < 0.1


@pytest.mark.slow
def test_linear_motion_is_blurred_and_has_labels_of_training_patients(real: Path, tmp_path: Path) -> None:
    originals, labels = folder.read(real)
    videos, efs = made("linear_motion", real, tmp_path / "linear", "--components", "8")
    assert set(efs) <= set(labels)
    grain = [np.diff(x.astype(np.float64), axis=2).std() for x in (videos, originals)]
    assert grain[0] < 0.7 * grain[1]


@pytest.mark.parametrize("ef", [20.0, 60.0])
def test_a_zoom_scales_volumes_by_the_ef(ef: float) -> None:
    rows, columns = np.indices((112, 112)) - 55.5
    disc = 255.0 * (np.hypot(rows, columns) < 30)
    areas = (zoomed.zooming(disc, ef, 64, 1.0) > 127).sum(axis=(1, 2))
    assert areas[0] == (disc > 127).sum()
    assert (areas.min() / areas.max()) ** 1.5 == pytest.approx(1 - ef / 100, abs=0.03)


def test_a_figure_is_bold_only_if_it_is_worse_and_the_intervals_are_apart() -> None:
    def said(low: float | None, high: float | None) -> dict[str, Any]:
        return {"value": 0.0, "low": low, "high": high}

    error, score = table.Gauge("error", lambda x: x), table.Gauge("score", lambda x: x, higher_is_worse=False)
    perfect = said(1, 2)
    assert table.worse(error, said(2.1, 3), perfect)
    assert not table.worse(error, said(1.9, 3), perfect)
    assert not table.worse(error, said(0, 0.5), perfect)
    assert table.worse(score, said(0, 0.5), perfect)
    assert not table.worse(score, said(2.1, 3), perfect)
    assert not table.worse(error, said(None, None), perfect)


@pytest.mark.slow
def test_the_table_judges_every_rival_through_the_command_line(tmp_path: Path) -> None:
    words = ["--num", "10", "--train", "10", "--held-out", "10", "--minutes", "0.05", "--steps", "2", "--canaries", "1"]
    command = [sys.executable, str(RIVALS / "table.py"), str(tmp_path / "work"), *words, "--json", str(tmp_path / "j")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "j").read_text())
    sets = [table.PERFECT, *table.RIVALS]
    assert list(found["gauges"]) == sets
    assert [line.split(" | ")[0].removeprefix("| ") for line in done.stdout.splitlines()[2:]] == sets
    shown = found["gauges"]["noisy copies"]
    assert shown["too close"]["value"] >= 0.9
    assert shown["too close"]["low"] > found["gauges"][table.PERFECT]["too close"]["high"]
    assert all(said["publish"] != "sealed" for said in found["release"].values())
