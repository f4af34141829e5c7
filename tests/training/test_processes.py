"""Two processes with half the batch each are one process with the whole batch."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from echosyn.data import filelist
from echosyn.training import catalog
from echosyn.training.loop import Training, fit
from launching import launched

STEPS = 20
LOOP = {"steps": STEPS, "batch_size": 4, "log_every_steps": 1, "warmup_steps": 3, "schedule": "cosine", "trackers": []}


@pytest.mark.slow
@pytest.mark.parametrize("stage", list(catalog.STAGES))
def test_two_processes_give_the_loss_curve_of_one(
    stage: str, settings_of: Callable[..., Any], latents_folder: Path, video_dataset: Path, tmp_path: Path
) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text(json.dumps({stage: settings_of(stage, LOOP).model_dump(mode="json")}))
    settings = catalog.settings(stage, file=config)
    created = catalog.create(stage, settings)
    data = latents_folder if created.needs_latents else video_dataset
    items = created.items(data, [r for r in filelist.read(data) if r.split == "TRAIN"])
    expected = [m[f"{stage}/loss"] for m in fit(Training(created, settings.loop), items)]
    done = launched(2, "train", stage, data, tmp_path / "run", "--config", config, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["steps"] == STEPS, "one process alone speaks"
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    found = [m[f"{stage}/loss"] for m in lines]
    assert found == pytest.approx(expected, abs=1e-4)
    assert expected[-1] != pytest.approx(expected[0], abs=1e-4)


@pytest.mark.slow
def test_a_mistake_stops_all_processes(latents_folder: Path, tmp_path: Path) -> None:
    done = launched(2, "train", "reid", latents_folder, tmp_path / "run", "--set", "loop.batch_size=3")
    assert done.returncode != 0
    assert "does not divide by 2 processes" in done.stderr
    assert not (tmp_path / "run").exists()
