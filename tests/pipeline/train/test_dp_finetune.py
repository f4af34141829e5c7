"""Differential privacy: what is promised is what was accounted, and no patient moves the weights far."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from echosyn import weights
from echosyn.data import filelist
from echosyn.errors import ConfigError, DataError, MissingExtraError
from echosyn.pipeline.train.dp_finetune import finetune
from echosyn.settings.training import FinetuneSettings

Build = Callable[..., Any]


@pytest.fixture
def lidm(build: Build, tmp_path: Path) -> Path:
    schedule = weights.scheduler({"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000})
    weights.save(build("lidm"), tmp_path / "lidm", weights.Facts(stage="lidm"), schedule)
    return tmp_path / "lidm"


def test_the_model_says_what_it_promises_and_whom_it_saw(lidm: Path, latents_folder: Path, tmp_path: Path) -> None:
    said = finetune(latents_folder, tmp_path / "out", lidm, FinetuneSettings(epsilon=3.0, steps=4, batch_size=3))
    facts = weights.load_facts(tmp_path / "out" / "model").differential_privacy
    assert facts is not None
    assert 0 < facts["epsilon"] <= 3.0
    assert facts["delta"] == pytest.approx(1 / (10 * said["patients"]))
    before, after = (weights.load(f, "lidm").state_dict() for f in (lidm, tmp_path / "out" / "model"))
    assert any(not torch.equal(before[name], after[name]) for name in before)
    train = [r for r in filelist.read(latents_folder) if r.split == "TRAIN"]
    assert len(json.loads((tmp_path / "out" / "private" / "trained_on.json").read_text())["videos"]) == len(train)
    assert sorted(path.name for path in (tmp_path / "out" / "model").iterdir()) == sorted(
        p.name for p in lidm.iterdir()
    )


def test_less_epsilon_is_more_noise_and_nobody_can_repeat_it(lidm: Path, latents_folder: Path, tmp_path: Path) -> None:
    made = [
        finetune(latents_folder, tmp_path / name, lidm, FinetuneSettings(epsilon=epsilon, steps=2, batch_size=3))
        for name, epsilon in (("a", 1.0), ("b", 8.0), ("c", 8.0))
    ]
    assert made[0]["noise"] > made[1]["noise"]
    files = [(tmp_path / name / "model" / weights.WEIGHTS).read_bytes() for name in "abc"]
    assert len(set(files)) == 3


def test_a_model_that_knows_the_patients_is_refused(lidm: Path, latents_folder: Path, tmp_path: Path) -> None:
    finetune(latents_folder, tmp_path / "once", lidm, FinetuneSettings(steps=1, batch_size=3))
    with pytest.raises(DataError, match="was trained on"):
        finetune(latents_folder, tmp_path / "twice", tmp_path / "once", FinetuneSettings(steps=1))


def test_settings_that_promise_nothing_and_a_missing_package(
    lidm: Path, latents_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="--epsilon 0"):
        finetune(latents_folder, tmp_path / "out", lidm, FinetuneSettings(epsilon=0))
    monkeypatch.setitem(__import__("sys").modules, "opacus", None)
    with pytest.raises(MissingExtraError, match=r"echosyn\[dp\]"):
        finetune(latents_folder, tmp_path / "out", lidm, FinetuneSettings())
