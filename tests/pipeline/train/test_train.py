"""``train`` as a user calls it: a run folder that can be stopped anywhere and gone on with."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from echosyn import weights
from echosyn.data import filelist
from echosyn.data.records import Record
from echosyn.errors import ConfigError, DataError
from echosyn.pipeline import trained_on
from echosyn.pipeline.train.train import discard_checkpoints, train
from echosyn.pipeline.workers.compute import Compute
from echosyn.settings.training import ResumeSettings
from echosyn.training import checkpoint
from echosyn.training.loop import NonFiniteLossError
from echosyn.training.stages.reid import ReIDStage

LOOP = {"steps": 6, "batch_size": 2, "save_every_steps": 2, "log_every_steps": 1, "ema_decay": 0.9}


@pytest.fixture
def call(latents_folder: Path, settings_of: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """``call(name, resume=..., LOOP SETTINGS)``: train the re-identification model into ``tmp_path / name``."""

    def make(
        name: str, resume: bool = False, accept_changes: bool = False, progress: Any = lambda *_: None, **loop: Any
    ) -> dict[str, Any]:
        settings = settings_of("reid", LOOP | loop)
        again = ResumeSettings(resume=resume, accept_changes=accept_changes)
        out = tmp_path / name
        return train(
            "reid", latents_folder, out, settings=settings, resume=again, compute=Compute("cpu", progress=progress)
        )

    return make


def logged(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_folder_holds_settings_log_and_model(call: Callable[..., Any], tmp_path: Path) -> None:
    result = call("run")
    run = tmp_path / "run"
    assert (result["steps"], result["model"]) == (6, str(run / "model"))
    assert {p.name for p in run.iterdir()} == {
        "run.json",
        "metrics.jsonl",
        "tracking",
        "checkpoints",
        "model",
        "model-raw",
    }
    weights.load(weights.resolve(run), "reid")
    weights.load(run / "model-raw", "reid")
    assert weights.weights_hash(run / "model") != weights.weights_hash(run / "model-raw")
    said = json.loads((run / "run.json").read_text())
    assert said["stage"] == "reid"
    assert said["settings"]["loop"]["steps"] == 6
    assert said["judged_on"] == ["v08"]
    assert said["videos"] == [f"v{i:02d}" for i in range(8)]  # TRAIN alone
    seen = trained_on.seen(run / "model")
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
        said = "not finite at step 5; .*run is step-000000004: lower loop.learning_rate .* --accept-changes"
        with pytest.raises(NonFiniteLossError, match=said):
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


@pytest.mark.parametrize("schedule", ["constant", "step"])
def test_a_lengthened_training_is_the_one_that_had_asked_for_more_from_the_start(
    call: Callable[..., Any], tmp_path: Path, schedule: str
) -> None:
    how = {"schedule": schedule, "decay_every_steps": 3, "warmup_steps": 2}
    call("short", **how, steps=5)
    assert call("short", resume=True, **how, steps=9)["steps"] == 9
    call("long", **how, steps=9)
    for model in ("model", "model-raw"):
        one, other = (weights.weights_hash(tmp_path / name / model) for name in ("short", "long"))
        assert one == other
    assert [m["learning_rate"] for m in logged(tmp_path / "short")] == [
        m["learning_rate"] for m in logged(tmp_path / "long")
    ]
    assert json.loads((tmp_path / "short" / "run.json").read_text())["settings"]["loop"]["steps"] == 9


def test_where_rates_depend_on_the_last_step_the_refusal_names_the_setting_and_the_flag(
    call: Callable[..., Any], tmp_path: Path
) -> None:
    call("run", schedule="cosine")
    with pytest.raises(ConfigError) as error:
        call("run", resume=True, schedule="cosine", steps=8)
    for words in ("settings.loop.steps: 6 -> 8", "loop.schedule=cosine", "--accept-changes", "loop.schedule=constant"):
        assert words in str(error.value)
    assert call("run", resume=True, accept_changes=True, schedule="cosine", steps=8)["steps"] == 8


def test_a_training_cannot_be_shortened_afterwards(call: Callable[..., Any], tmp_path: Path) -> None:
    call("run")
    before = (tmp_path / "run" / "run.json").read_bytes()
    with pytest.raises(ConfigError, match=r"has done 6 steps, more than loop\.steps = 4; ask for at least 6"):
        call("run", resume=True, steps=4)
    assert (tmp_path / "run" / "run.json").read_bytes() == before


def test_accepted_changes_go_on_and_are_written_down(call: Callable[..., Any], tmp_path: Path) -> None:
    call("run", steps=4)
    call("run", resume=True, accept_changes=True, learning_rate=0.5)
    said = json.loads((tmp_path / "run" / "run.json").read_text())
    assert said["before"] == ["settings.loop.learning_rate: 0.001 -> 0.5"]
    assert said["settings"]["loop"]["learning_rate"] == 0.5
    assert [m["learning_rate"] for m in logged(tmp_path / "run")] == [0.001] * 4 + [0.5] * 2
    call("run", resume=True, learning_rate=0.5)
    assert json.loads((tmp_path / "run" / "run.json").read_text()) == said


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


# Looking at held-out videos


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], bool]]:
    """A validation that likes step 4 most, draws random numbers and leaves a picture; what it was shown."""
    shown = []

    def validate(self: ReIDStage, data: Path, records: list[Any], folder: Path) -> dict[str, float]:
        assert not self.network.training
        torch.rand(3)
        Image.new("L", (8, 8)).save(folder / "pairs.png")
        weight = next(self.network.parameters())
        shown.append(([r.name for r in records], bool(weight.requires_grad)))
        return {"score": {2: 0.5, 4: 0.9, 6: 0.7}[self.step + 1]}

    monkeypatch.setattr(ReIDStage, "validate", validate)
    monkeypatch.setattr(ReIDStage, "criterion", ("score", "max"))
    return shown


def test_held_out_videos_judge_and_leave_no_trace(
    call: Callable[..., Any], tmp_path: Path, judged: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    call("seen", validate_every_steps=2)
    run = tmp_path / "seen"
    assert [names for names, _ in judged] == [["v08"]] * 6  # VAL alone; averaged and live weights
    assert {m["step"]: m["validation/score"] for m in logged(run) if "validation/score" in m} == {
        2: 0.5,
        4: 0.9,
        6: 0.7,
    }
    assert all("validation/raw/score" in m for m in logged(run) if "validation/score" in m)
    pictures = sorted(str(p.relative_to(run / "samples")) for p in run.glob("samples/**/*.png"))
    assert pictures == [f"step-00000000{n}/{kind}pairs.png" for n in (2, 4, 6) for kind in ("", "raw/")]
    monkeypatch.undo()
    call("unseen")
    for model in ("model", "model-raw"):
        assert weights.weights_hash(run / model) == weights.weights_hash(tmp_path / "unseen" / model)


def test_the_best_checkpoint_stays_and_can_become_the_model(
    call: Callable[..., Any], tmp_path: Path, judged: list[Any]
) -> None:
    call("last", validate_every_steps=2, keep_checkpoints=1)
    run = tmp_path / "last"
    assert [f.name for f in checkpoint.found(run)] == ["step-000000006", "step-000000004"]
    assert json.loads((run / "best.json").read_text()) == {"step": 4, "name": "score", "value": 0.9}
    call("best", validate_every_steps=2, select="best")
    call("short", steps=4)
    of = {name: weights.weights_hash(tmp_path / name / "model") for name in ("last", "best", "short")}
    assert of["best"] == of["short"] != of["last"]


def test_a_resumed_run_remembers_the_best(call: Callable[..., Any], tmp_path: Path, judged: list[Any]) -> None:
    with pytest.raises(KeyboardInterrupt):
        call("run", validate_every_steps=2, keep_checkpoints=1, progress=stop_at(5, interrupt))
    call("run", resume=True, validate_every_steps=2, keep_checkpoints=1)
    assert json.loads((tmp_path / "run" / "best.json").read_text())["step"] == 4
    assert [checkpoint.step_of(f) for f in checkpoint.found(tmp_path / "run")] == [6, 4]


def test_half_a_line_at_the_end_of_the_log_is_dropped(call: Callable[..., Any], tmp_path: Path) -> None:
    call("straight")
    with pytest.raises(KeyboardInterrupt):
        call("run", progress=stop_at(5, interrupt))
    log = tmp_path / "run" / "metrics.jsonl"
    log.write_text(log.read_text() + '{"step": 5, "reid/lo')
    call("run", resume=True)
    assert logged(tmp_path / "run") == logged(tmp_path / "straight")


def test_a_best_checkpoint_that_is_gone_is_no_silent_last_one(
    call: Callable[..., Any], tmp_path: Path, judged: list[Any]
) -> None:
    call("run", validate_every_steps=2)
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-000000004")
    with pytest.raises(DataError, match="best step 4 is missing or damaged"):
        call("run", resume=True, validate_every_steps=2, select="best")


@pytest.mark.parametrize("choice", [{"select": "best"}, {"patience": 2, "validate_every_steps": 1}])
def test_weights_are_not_chosen_on_the_patients_of_the_test(
    choice: dict[str, Any], settings_of: Callable[..., Any], latents_folder: Path, tmp_path: Path
) -> None:
    data = tmp_path / "latents"
    shutil.copytree(latents_folder, data)
    filelist.write(data, [r for r in filelist.read(data) if r.split != "VAL"])
    with pytest.raises(ConfigError, match="no video of split VAL"):
        train("reid", data, tmp_path / "run", settings=settings_of("reid", LOOP | choice), compute=Compute("cpu"))
    assert not (tmp_path / "run").exists()


def test_patience_ends_a_training_that_gets_no_better(
    call: Callable[..., Any], tmp_path: Path, judged: list[Any]
) -> None:
    settings = {"validate_every_steps": 2, "patience": 1, "steps": 8}
    assert call("run", **settings)["steps"] == 6
    assert len(judged) == 6
    assert call("run", resume=True, **settings)["steps"] == 6
    assert len(judged) == 6
    assert [m["step"] for m in logged(tmp_path / "run")][-1] == 6


def test_time_saves_too(call: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        call("run", save_every_steps=100, save_every_minutes=1e-9, progress=stop_at(4, interrupt))
    assert [checkpoint.step_of(f) for f in checkpoint.found(tmp_path / "run")] == [3, 2]


def test_trackers_are_told_what_the_file_is(call: Callable[..., Any], tmp_path: Path, judged: list[Any]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with pytest.raises(KeyboardInterrupt):
        call("run", progress=stop_at(5, interrupt))
    call("run", resume=True)
    events = EventAccumulator(str(tmp_path / "run" / "tracking")).Reload()
    told = {e.step: e.value for e in events.Scalars("reid/loss")}
    assert told == pytest.approx({m["step"]: m["reid/loss"] for m in logged(tmp_path / "run")})
    assert {"speed/items_per_second", "speed/data_wait", "speed/memory_gb"} <= set(events.Tags()["scalars"])
    assert [e.step for e in events.Images("samples/pairs")] == [6]
    call("silent", trackers=[])
    assert not (tmp_path / "silent" / "tracking").exists()


def test_the_wrong_kind_of_folder_is_named(
    settings_of: Callable[..., Any], latents_folder: Path, video_dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="not a latents folder"):
        train("reid", video_dataset, tmp_path / "a", settings=settings_of("reid"), compute=Compute("cpu"))
    with pytest.raises(DataError, match="a latents folder; the vae trains on a dataset folder"):
        train("vae", latents_folder, tmp_path / "b", settings=settings_of("vae"), compute=Compute("cpu"))
    assert not list(tmp_path.iterdir())


def test_a_list_without_lengths_and_rates_trains_the_same_model(
    settings_of: Callable[..., Any], video_dataset: Path, tmp_path: Path
) -> None:
    """As other software writes it: FileName, EF and Split."""
    shutil.copytree(video_dataset, tmp_path / "bare")
    known = filelist.read(video_dataset)
    filelist.write(tmp_path / "bare", [Record(r.name, ef=r.ef, split=r.split) for r in known])
    models = []
    for name, data in (("full", video_dataset), ("bare", tmp_path / "bare")):
        run = tmp_path / f"run-{name}"
        train("ef", data, run, settings=settings_of("ef", {"steps": 2, "batch_size": 2}), compute=Compute("cpu"))
        models.append(weights.load(run / "model", "ef").state_dict())
    assert models[0].keys() == models[1].keys()
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])
