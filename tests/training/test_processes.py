"""Two processes with half the batch each are one process with the whole batch."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import published_files
from echosyn.data import filelist
from echosyn.errors import ConfigError
from echosyn.pipeline.train.train import train
from echosyn.pipeline.workers.compute import Compute
from echosyn.settings.training import ResumeSettings
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
def test_a_published_file_has_its_batch_in_each_process_and_all_its_data_sets(
    configs: Any, latents_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(latents_folder, tmp_path / "more")
    content = published_files.lidm(
        unet=configs["lidm"], train_batch_size=2, gradient_accumulation_steps=3, max_train_steps=2, mixed_precision="no",
        dataloader_num_workers=0,
    )  # fmt: skip
    params = content["datasets"][0]["params"]
    content["datasets"] = [
        {"name": "Latent", "active": True, "params": params | {"root": str(root)}}
        for root in (latents_folder, tmp_path / "more")
    ]
    (tmp_path / "config.yaml").write_text(json.dumps(content))
    arguments = ("lidm", latents_folder, tmp_path / "run", "--config", tmp_path / "config.yaml")
    done = launched(2, "train", *arguments, "--set", "loop.trackers=[]", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["batch"] == "12 items: 2 process(es), 2 at once, 3 part(s)"
    said = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (said["settings"]["loop"]["batch_size"], said["settings"]["loop"]["per_process"]) == (12, "no")
    assert len(said["also"]) == 1
    alone = catalog.settings("lidm", file=tmp_path / "config.yaml", overrides=["loop.trackers=[]"])
    with pytest.raises(ConfigError, match=r"settings\.loop\.batch_size: 12 -> 6"):
        train("lidm", *arguments[1:3], settings=alone, resume=ResumeSettings(resume=True), compute=Compute("cpu"))


@pytest.mark.slow
def test_a_mistake_stops_all_processes(latents_folder: Path, tmp_path: Path) -> None:
    done = launched(2, "train", "reid", latents_folder, tmp_path / "run", "--set", "loop.batch_size=3")
    assert done.returncode != 0
    assert "is not divisible by 2 processes" in done.stderr
    assert not (tmp_path / "run").exists()
