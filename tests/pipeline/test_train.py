"""``train`` as a user calls it: a run folder that can be stopped anywhere and gone on with."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from echosyn import weights
from echosyn.data.records import Record
from echosyn.errors import ConfigError, DataError
from echosyn.pipeline import splits
from echosyn.pipeline.train import discard_checkpoints, train
from echosyn.training import checkpoint
from echosyn.training.loop import NonFiniteLossError
from echosyn.training.stages.reid import ReIDStage

LOOP = {"steps": 6, "batch_size": 2, "save_every_steps": 2, "log_every_steps": 1, "ema_decay": 0.9}


@pytest.fixture
def call(latents_folder: Path, settings_of: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """``call(name, resume=..., LOOP SETTINGS)``: train the re-identification model into ``tmp_path / name``."""

    def make(name: str, resume: bool = False, progress: Any = lambda *_: None, **loop: Any) -> dict[str, Any]:
        settings = settings_of("reid", LOOP | loop)
        out = tmp_path / name
        return train("reid", latents_folder, out, settings=settings, resume=resume, device="cpu", progress=progress)

    return make


def logged(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_folder_holds_settings_log_and_model(call: Callable[..., Any], tmp_path: Path) -> None:
    result = call("run")
    run = tmp_path / "run"
    assert (result["steps"], result["model"]) == (6, str(run / "model"))
    assert {p.name for p in run.iterdir()} == {"run.json", "metrics.jsonl", "checkpoints", "model"}
    weights.load(weights.resolve(run), "reid")
    said = json.loads((run / "run.json").read_text())
    assert said["stage"] == "reid"
    assert said["settings"]["loop"]["steps"] == 6
    assert said["videos"] == [f"v{i:02d}" for i in range(8)]  # TRAIN alone
    seen = splits.seen(run / "model")
    assert seen is not None
    assert [seen.has(Record(f"v{i:02d}")) for i in range(10)] == [True] * 8 + [False] * 2
    assert [m["step"] for m in logged(run)] == [1, 2, 3, 4, 5, 6]
    discard_checkpoints(run)
    weights.load(weights.resolve(run), "reid")


def stop_at(step: int, how: Callable[[], None]) -> Callable[..., None]:
    def progress(what: str, done: int, total: int) -> None:
        if done == step:
            how()

    return progress


def interrupt() -> None:
    raise KeyboardInterrupt


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(("how", "kept"), [(interrupt, 2), (terminate, 3)])
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(
    call: Callable[..., Any], tmp_path: Path, how: Callable[[], None], kept: int
) -> None:
    call("straight")
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        call("stopped", progress=stop_at(3, how))
    assert signal.getsignal(signal.SIGTERM) is before
    assert checkpoint.found(tmp_path / "stopped")[0].name == f"step-{kept:09d}"
    assert not (tmp_path / "stopped" / "model").exists()
    call("stopped", resume=True)
    assert logged(tmp_path / "stopped") == logged(tmp_path / "straight")
    one, other = (weights.weights_hash(tmp_path / name / "model") for name in ("straight", "stopped"))
    assert one == other


def test_an_infinite_loss_leaves_the_last_checkpoint(
    call: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = ReIDStage.loss

    def lying(self: ReIDStage, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        scalars = honest(self, batch)
        return scalars | {"loss": scalars["loss"] / (0 if 8 in batch["index"] else 1)}

    with monkeypatch.context() as patch:
        patch.setattr(ReIDStage, "loss", lying)
        with pytest.raises(NonFiniteLossError, match="not finite at step 5"):
            call("run")
    assert checkpoint.found(tmp_path / "run")[0].name == "step-000000004"
    call("run", resume=True)
    call("straight")
    assert weights.weights_hash(tmp_path / "run" / "model") == weights.weights_hash(tmp_path / "straight" / "model")


def test_a_resumed_run_with_other_settings_is_refused_and_says_which(call: Callable[..., Any]) -> None:
    call("run")
    with pytest.raises(ConfigError) as error:
        call("run", resume=True, learning_rate=0.5, batch_size=3)
    message = str(error.value)
    assert "settings.loop.batch_size: 2 -> 3; settings.loop.learning_rate: 0.001 -> 0.5" in message
    assert "ema" not in message


def test_what_does_not_change_the_training_may_change(call: Callable[..., Any], tmp_path: Path) -> None:
    call("run")
    result = call("run", resume=True, steps=8, save_every_steps=3, keep_checkpoints=1, micro_batch_size=1)
    assert result["steps"] == 8
    assert [m["step"] for m in logged(tmp_path / "run")] == list(range(1, 9))
    call("cosine", schedule="cosine")
    with pytest.raises(ConfigError, match=r"settings\.loop\.steps: 6 -> 8"):
        call("cosine", resume=True, schedule="cosine", steps=8)


def test_a_finished_run_is_finished(call: Callable[..., Any], tmp_path: Path) -> None:
    call("run")
    before = weights.weights_hash(tmp_path / "run" / "model")
    assert call("run", resume=True)["steps"] == 6
    assert weights.weights_hash(tmp_path / "run" / "model") == before


def test_resume_without_a_checkpoint_starts(call: Callable[..., Any], tmp_path: Path) -> None:
    assert call("new", resume=True)["steps"] == 6
    with pytest.raises(KeyboardInterrupt):
        call("early", progress=stop_at(1, interrupt))
    call("early", resume=True)
    assert logged(tmp_path / "early") == logged(tmp_path / "new")


def test_an_existing_run_is_not_overwritten(call: Callable[..., Any], tmp_path: Path) -> None:
    call("run")
    with pytest.raises(DataError, match="exists already"):
        call("run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "precious").touch()
    with pytest.raises(DataError, match="exists already"):
        call("other", resume=True)


def test_the_wrong_kind_of_folder_is_named(
    settings_of: Callable[..., Any], latents_folder: Path, video_dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="not a latents folder"):
        train("reid", video_dataset, tmp_path / "a", settings=settings_of("reid"), device="cpu")
    with pytest.raises(DataError, match="a latents folder; the vae trains on a dataset folder"):
        train("vae", latents_folder, tmp_path / "b", settings=settings_of("vae"), device="cpu")
    assert not list(tmp_path.iterdir())
