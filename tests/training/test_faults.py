"""A process that is killed in a training on several: the launcher ends, and the run goes on to the very same end."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from echosyn.training import checkpoint
from launching import LIMIT_S, free_port, launch, launched, of_rank, running, same, wait_until

STEPS, SAVE = 40, 5
LOOP = {
    "steps": STEPS,
    "batch_size": 4,
    "log_every_steps": 1,
    "save_every_steps": SAVE,
    "ema_decay": 0.9,
    "trackers": [],
}
CRITIC = {"start": 12, "warmup": 6, "num_filters": 8, "num_layers": 1}

pytestmark = pytest.mark.slow


@pytest.fixture
def call(
    settings_of: Callable[..., Any], latents_folder: Path, video_dataset: Path, tmp_path: Path
) -> Callable[..., list[object]]:
    """``call(stage, run)``: the arguments of `echosyn` for a tiny training."""

    def make(stage: str, run: str, *more: str) -> list[object]:
        settings = settings_of(stage, LOOP, **({"adversarial": CRITIC} if stage == "vae" else {}))
        config = tmp_path / f"{stage}.json"
        config.write_text(json.dumps({stage: settings.model_dump(mode="json")}))
        data = video_dataset if stage == "vae" else latents_folder
        return ["train", stage, data, tmp_path / run, "--config", config, "--device", "cpu", "--json", *more]

    return make


def kill_at(step: int, launcher: psutil.Popen, rank: int, run: Path) -> None:
    """``kill -9`` the process of a rank once a checkpoint stands, in mid-training."""
    wait_until(lambda: bool(checkpoint.found(run)) and checkpoint.step_of(checkpoint.found(run)[0]) >= step, launcher)
    of_rank(launcher, rank).kill()
    assert not (run / "model").exists()


@pytest.mark.parametrize(("stage", "rank"), [("vae", 1), ("lvdm", 0)])
def test_a_killed_process_ends_the_launcher_and_resume_makes_it_good(
    stage: str, rank: int, call: Callable[..., list[object]], tmp_path: Path
) -> None:
    assert launched(2, *call(stage, "straight")).returncode == 0
    with running(launch(2, *call(stage, "killed"))) as launcher:
        kill_at(2 * SAVE, launcher, rank, tmp_path / "killed")
        assert launcher.wait(120) != 0
    assert not (tmp_path / "killed" / "model").exists()
    done = launched(2, *call(stage, "killed", "--resume"))
    assert done.returncode == 0, done.stderr
    assert same(STEPS, tmp_path / "straight", tmp_path / "killed")


def test_a_launcher_that_restarts_needs_nobody(call: Callable[..., list[object]], tmp_path: Path) -> None:
    assert launched(2, *call("lvdm", "straight")).returncode == 0
    command = launch(2, *call("lvdm", "killed", "--resume"), launcher=("--max_restarts", 2))
    with running(command) as launcher:
        kill_at(2 * SAVE, launcher, 1, tmp_path / "killed")
        out, err = launcher.communicate(timeout=120)
    assert launcher.returncode == 0, err
    assert json.loads(out)["steps"] == STEPS
    assert same(STEPS, tmp_path / "straight", tmp_path / "killed")


def test_two_machines_train_like_two_processes_and_must_share_the_folder(
    call: Callable[..., list[object]], tmp_path: Path
) -> None:
    def ended(*runs: str) -> list[tuple[int, str]]:
        network = ("--num_machines", 2, "--main_process_ip", "127.0.0.1", "--main_process_port", free_port())
        machines = [
            launch(2, *call("lvdm", run, "--resume"), launcher=(*network, "--machine_rank", rank))
            for rank, run in enumerate(runs)
        ]
        with running(machines[0]) as first, running(machines[1]) as second:
            return [(one.wait(LIMIT_S), one.stderr.read()) for one in (first, second)]

    assert launched(2, *call("lvdm", "straight")).returncode == 0
    assert [code for code, _ in ended("run", "run")] == [0, 0]
    assert same(STEPS, tmp_path / "straight", tmp_path / "run")
    refused = ended("run", "elsewhere")
    assert all(code != 0 for code, _ in refused)
    assert f"different steps (0, {STEPS}); OUT must be on a filesystem" in refused[0][1]
