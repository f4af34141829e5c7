"""``train --ray``: the same training on workers of Ray, and one that outlives its workers."""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from echosyn.apps.cli import main
from echosyn.apps.ray.train import Workers, workers
from echosyn.errors import ConfigError
from echosyn.settings.training import GroupSettings
from echosyn.training import checkpoint
from launching import LIMIT_S, launched, running, same, wait_until

STEPS, SAVE = 60, 5
LOOP = {
    "steps": STEPS,
    "batch_size": 4,
    "log_every_steps": 1,
    "save_every_steps": SAVE,
    "ema_decay": 0.9,
    "trackers": [],
}


@pytest.fixture
def arguments(settings_of: Callable[..., Any], latents_folder: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """``arguments(run)``: of a tiny training."""
    config = tmp_path / "settings.json"
    config.write_text(json.dumps({"lvdm": settings_of("lvdm", LOOP).model_dump(mode="json")}))

    def make(run: str, *more: str) -> list[str]:
        found = ["train", "lvdm", str(latents_folder), str(tmp_path / run), "--config", str(config)]
        return [*found, "--device", "cpu", "--json", *more]

    return make


def test_workers_are_a_number_or_a_range() -> None:
    assert workers(GroupSettings(workers="2", cpus_per_worker=4)) == Workers(2, 2, cpus=4)
    assert workers(GroupSettings(workers="2:4")) == Workers(2, 4)


@pytest.mark.parametrize("text", ["0", "two", "4:2", "1:", ":2", "-1", "1:2:3"])
def test_other_words_for_workers_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected a number of processes such as 2"):
        workers(GroupSettings(workers=text))


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_what_cannot_be_is_refused_before_ray_starts(
    arguments: Callable[..., list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "--workers, --cpus-per-worker" in refusal(arguments("run", "--workers", "2"), capsys)
    odd = arguments("run", "--ray", "local", "--workers", "2:4")
    assert "loop.batch_size = 4 is not divisible by 3 workers" in refusal(odd, capsys)
    assert "--ray has no effect with --dry-run" in refusal(arguments("run", "--ray", "local", "--dry-run"), capsys)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "pip install 'echosyn[ray]'" in refusal(arguments("run", "--ray", "local"), capsys)
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "precious").touch()
    assert "exists already" in refusal(arguments("run", "--ray", "local"), capsys)


def started_by(process: psutil.Popen) -> list[psutil.Process]:
    """The workers of a local Ray."""
    return [p for p in process.children(recursive=True) if "TrainWorker" in " ".join(p.cmdline())]


@pytest.mark.slow
def test_workers_of_ray_are_processes_of_accelerate_and_outlive_a_kill(
    arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    assert launched(2, *arguments("accelerate")).returncode == 0
    command = [sys.executable, "-m", "echosyn", *arguments("ray", "--ray", "local", "--workers", "2")]
    run = tmp_path / "ray"
    with running(command) as process:
        wait_until(lambda: len(checkpoint.found(run)) > 1, process)
        everyone = process.children(recursive=True)
        first, second = started_by(process)
        second.kill()
        assert not (run / "model").exists()
        out, err = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0, err
        assert not [p for p in (first, *everyone) if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    assert json.loads(out)["steps"] == STEPS
    assert "warning: a worker died" in err
    assert "Traceback" not in err
    assert {p.name for p in tmp_path.iterdir()} == {"settings.json", "accelerate", "ray"}
    assert same(STEPS, tmp_path / "accelerate", run)


@pytest.mark.slow
def test_a_mistake_is_said_once_and_not_repeated(
    arguments: Callable[..., list[str]], video_dataset: Path, latents_folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    wrong = [str(video_dataset) if a == str(latents_folder) else a for a in arguments("run", "--ray", "local")]
    with running([sys.executable, "-m", "echosyn", *wrong]) as process:
        out, err = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert "not a latents folder" in line
    assert [p.name for p in tmp_path.iterdir()] == ["settings.json"]


@pytest.mark.slow
def test_too_many_deaths_end_the_training_where_it_stood(arguments: Callable[..., list[str]], tmp_path: Path) -> None:
    pytest.importorskip("ray")
    given = arguments("run", "--ray", "local", "--workers", "1:2", "--restarts", "0")
    with running([sys.executable, "-m", "echosyn", *given]) as process:
        wait_until(lambda: len(checkpoint.found(tmp_path / "run")) > 1, process)
        assert len(started_by(process)) == 2
        started_by(process)[0].kill()
        out, err = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, out) == (75, "")
    assert "workers died more than 0 time(s)" in err.splitlines()[-1]
    assert checkpoint.found(tmp_path / "run")
    assert not (tmp_path / "run" / "model").exists()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A Ray of two machines with one CPU each, all on this one; ``cluster.second`` is that of them that may die."""
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        small = {"num_cpus": 1, "object_store_memory": 200 * 1024**2}
        found = cluster_utils.Cluster(True, head_node_args=small | {"temp_dir": folder, "include_dashboard": False})
        try:
            found.second = found.add_node(**small)
            yield found
        finally:
            found.shutdown()


@pytest.mark.slow
def test_a_machine_that_dies_leaves_fewer_workers_and_the_same_curve(
    arguments: Callable[..., list[str]], cluster: Any, tmp_path: Path
) -> None:
    longer = ("--set", "loop.steps=800", "--set", "loop.save_every_steps=20")
    given = arguments("run", "--ray", cluster.address, "--workers", "1:2", *longer)
    with running([sys.executable, "-m", "echosyn", *given]) as process:
        wait_until(lambda: len(checkpoint.found(tmp_path / "run")) > 1, process)
        cluster.remove_node(cluster.second, allow_graceful=False)
        assert not (tmp_path / "run" / "model").exists()
        _, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, err
    assert "warning: a worker died" in err
    with pytest.raises(SystemExit, match="0"):
        main(arguments("straight", "--quiet", *longer))
    curves = [
        [(m["step"], m["lvdm/loss"]) for m in map(json.loads, (tmp_path / run / "metrics.jsonl").open())]
        for run in ("run", "straight")
    ]
    assert [step for step, _ in curves[0]] == list(range(1, 801))
    assert [loss for _, loss in curves[0]] == pytest.approx([loss for _, loss in curves[1]], rel=1e-4)
