"""Differential privacy: what is promised is what was accounted, and no patient moves the weights far."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from echosyn import rng, weights
from echosyn.data import filelist, latents
from echosyn.data.records import Record
from echosyn.diffusion.denoiser import predict
from echosyn.diffusion.objective import noised
from echosyn.errors import ConfigError, DataError, MissingExtraError
from echosyn.pipeline.train import canaries
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


@pytest.mark.slow
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


def test_coins_decide_who_of_the_canaries_is_in_and_stay_in_the_house(
    lidm: Path, latents_folder: Path, tmp_path: Path
) -> None:
    train = {r.patient for r in filelist.read(latents_folder) if r.split == "TRAIN"}
    asked = FinetuneSettings(epsilon=3.0, steps=4, batch_size=3, canaries=len(train))
    said = finetune(latents_folder, tmp_path / "out", lidm, asked)
    assert said["epsilon at least"] <= said["epsilon"]
    private = tmp_path / "out" / "private"
    coins = json.loads((private / canaries.CANARIES).read_text())["canaries"]
    assert {coin["patient"] for coin in coins} == train
    members = json.loads((private / "trained_on.json").read_text())["patients"]
    assert len(members) == sum(coin["included"] for coin in coins)
    assert not any("canaries" in path.name for path in (tmp_path / "out" / "model").iterdir())
    with pytest.raises(ConfigError, match=f"--canaries {len(train) + 1}: expected 0 to {len(train)}"):
        finetune(latents_folder, tmp_path / "more", lidm, FinetuneSettings(canaries=len(train) + 1))


def test_coins_are_fair_and_those_who_are_no_canaries_take_part() -> None:
    chosen, included = canaries.tossed(2000, 3000)
    assert len(set(chosen.tolist())) == 2000
    assert abs(included[chosen].mean() - 0.5) < 0.06
    assert included.sum() == 1000 + included[chosen].sum()


@pytest.mark.slow
@pytest.mark.parametrize("private", [False, True])
def test_a_training_without_noise_is_shown_to_leak_and_one_with_much_of_it_is_not(
    private: bool, build: Build, tmp_path: Path
) -> None:
    """40 canaries of four frames, learned by heart or by an (epsilon = 1)-private training."""
    records = [Record(f"p{i:02d}", num_frames=4, split="TRAIN") for i in range(40)]
    for i, record in enumerate(records):
        latents.write(tmp_path, record, rng.normal((4, 4, 4), 5, record.name, [i] * 4))
    filelist.write(tmp_path, records)
    latents.write_info(tmp_path, vae="0" * 64, pixels="symmetric", posterior="mean")
    flow = weights.scheduler({"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000})
    weights.save(build("lidm"), tmp_path / "lidm", weights.Facts(stage="lidm"), flow)
    if private:
        asked = FinetuneSettings(epsilon=1.0, steps=25, batch_size=20, learning_rate=5e-3, canaries=40)
        assert finetune(tmp_path, tmp_path / "out", tmp_path / "lidm", asked)["epsilon at least"] < 1.0
        return
    _, included = canaries.tossed(40, 40)
    start, network = (weights.load(tmp_path / "lidm", "lidm") for _ in range(2))
    x = torch.stack([latents.read(tmp_path, r, [0])[0] for r, is_in in zip(records, included, strict=True) if is_in])
    optimizer, draws = (
        torch.optim.AdamW(network.requires_grad_(True).parameters(), 5e-3),
        torch.Generator().manual_seed(0),
    )
    for _ in range(200):
        x0 = x[:, :, None]
        eps, t = torch.randn(x0.shape, generator=draws), 1000 * torch.rand(len(x0), generator=draws)
        x_t, target = noised(x0, eps, t, flow)
        loss = (predict(network, x_t, t, None, None, None) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    people = [[record] for record in records]
    found = canaries.write(tmp_path, people, canaries.guessed(start, network, flow, tmp_path, people), included, 1e-3)
    assert found.epsilon > 0.5, found
