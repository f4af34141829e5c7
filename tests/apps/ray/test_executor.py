"""A Ray cluster does the work: as any executor does, and with workers and nodes that die, join late or are all gone."""

import errno
import importlib.util
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

if importlib.util.find_spec("ray") is None:
    pytest.skip("needs echosyn[ray]", allow_module_level=True)

import cluster as clusters
import working
from echosyn import __version__
from echosyn.apps.ray.executor import ClusterError, Ray
from echosyn.apps.ray.worker import worker
from echosyn.errors import ConfigError, DataError
from echosyn.pipeline.workers.executors import Executor, Lost
from faults import Poisoned, kill_an_actor
from laws import LAWS

SMOKE = """
import json, os, sys
from pathlib import Path
import working
from echosyn.apps.ray.executor import Ray
from faults import Poisoned
with Ray("local", workers=1, folder=Path(sys.argv[1])) as executor:
    token = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
    poisoned = Poisoned(executor, [3], Path(sys.argv[2]), times=1)
    print(json.dumps(dict(poisoned.map([working.Add(1), working.Add(10)], range(8)))))
assert "cluster" not in sys.modules and "RAY_AUTH_MODE" not in os.environ and not token.exists()
"""


LEFT = """
import sys
from pathlib import Path
import working
from echosyn.apps.ray.executor import Ray
with Ray("local", workers=1, folder=Path(sys.argv[1])) as executor:
    unfinished = executor.map([working.Add(1)], range(1000))
    next(unfinished)
unfinished.close()
import ray
assert not ray.is_initialized()
try:
    ray.get(ray.put(1))
except ray.exceptions.RaySystemError:
    print("alone")
"""


def alone(script: str, *arguments: object, home: Path) -> "subprocess.Popen[str]":
    """A Python process that knows nothing of the tokens of this one."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    path = os.pathsep.join([str(clusters.SOURCE), str(clusters.TESTS)])
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        env=environment | {"HOME": str(home), "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def named(text: str) -> list[psutil.Process]:
    """Processes with this in their command."""
    return [p for p in psutil.process_iter(["cmdline"]) if text in " ".join(p.info["cmdline"] or [])]


def test_a_local_cluster_works_outlives_a_worker_says_nothing_and_leaves_nothing(
    tmp_path: Path, short_folder: Path
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "marks").mkdir()
    process = alone(SMOKE, short_folder, tmp_path / "marks", home=tmp_path / "home")
    said, complained = process.communicate(timeout=180)
    assert process.returncode == 0, complained
    assert sorted(json.loads(said).items()) == [(str(i), i + 11) for i in range(8)], "and nothing else on stdout"
    assert complained == ""
    assert len(list((tmp_path / "marks").iterdir())) == 1
    assert list((tmp_path / "home").iterdir()) == []
    assert named(str(short_folder)) == []


@pytest.mark.slow
def test_work_that_is_given_up_after_the_cluster_was_left_joins_no_other(tmp_path: Path, short_folder: Path) -> None:
    said, complained = alone(LEFT, short_folder, home=tmp_path).communicate(timeout=180)
    assert said == "alone\n", complained


@pytest.fixture
def short_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = clusters.short_folder()
    yield made
    clusters.remove(made)


def test_a_worker_of_another_version_is_named() -> None:
    kind, message = worker()().begin("0.0.0", [], pickle.dumps({}), True)
    assert kind == "alien"
    assert f"has echosyn {__version__}, expected 0.0.0: install it there" in message


@pytest.mark.parametrize(
    ("error", "kind"),
    [(DataError("odd"), "mistake"), (OSError(errno.ENOSPC, "full"), "mistake"), (ValueError("a bug"), "fault")],
)
def test_what_a_work_raises_travels_as_a_value(error: Exception, kind: str) -> None:
    made = worker()()
    assert made.begin(__version__, [], pickle.dumps({0: [working.Raising(error)]}), True)[0] == "result"
    found, content = made.do(0, pickle.dumps(1))
    assert found == kind
    if kind == "mistake":
        assert repr(pickle.loads(content)) == repr(error)
    else:
        assert "ValueError: a bug" in content


def test_what_cannot_be_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="--workers 0: expected at least 1"):
        Ray("local", workers=0)
    with pytest.raises(ConfigError, match="expected more than 0"):
        Ray("local", cpus=0)


def test_nobody_there_is_said_at_once() -> None:
    with pytest.raises(ClusterError, match=r"--ray 127\.0\.0\.1:1: no answer; expected local, auto or HOST:PORT"):
        Ray("127.0.0.1:1").__enter__()


@pytest.fixture(scope="module")
def local() -> Iterator[Ray]:
    with Ray("local", workers=2) as entered:
        yield entered


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_law(law: Callable[[Executor], None], local: Ray) -> None:
    law(local)


@pytest.mark.slow
def test_an_item_at_which_workers_die_is_lost_and_no_other(local: Ray, tmp_path: Path) -> None:
    found = dict(local.map([working.Dying(3, tmp_path)], range(7)))
    assert found == {i: Lost(3) if i == 3 else i for i in range(7)}
    assert len(list(tmp_path.iterdir())) == 3, "it was tried three times, and not for ever"


@pytest.mark.slow
def test_a_result_that_died_on_its_way_is_made_again(local: Ray, tmp_path: Path) -> None:
    poisoned = Poisoned(local, [0, 4], tmp_path, times=2, late=True)
    assert sorted(poisoned.map([working.Add(1)], range(6))) == [(i, i + 1) for i in range(6)]
    assert poisoned.deaths == 4


@pytest.mark.slow
def test_an_actor_killed_from_outside_costs_a_retry(local: Ray) -> None:
    done = local.map([working.Here(0.2)], range(12))
    found = [next(done)[0]]
    kill_an_actor()
    assert sorted(found + [item for item, _ in done]) == list(range(12))


@pytest.mark.slow
def test_a_full_disk_and_a_bug_come_through(local: Ray) -> None:
    with pytest.raises(OSError, match="full") as full:
        list(local.map([working.Raising(OSError(errno.ENOSPC, "full"))], [1]))
    assert full.value.errno == errno.ENOSPC
    with pytest.raises(RuntimeError, match=r"in a worker:\n(.*\n)*ValueError: a bug"):
        list(local.map([working.Raising(ValueError("a bug"))], [1]))


@pytest.mark.slow
def test_who_waits_for_a_worker_is_told(local: Ray, monkeypatch: pytest.MonkeyPatch) -> None:
    from echosyn.apps.ray import feeding

    monkeypatch.setattr(feeding, "WAIT_S", 0.0)
    with pytest.warns(UserWarning, match="no worker yet; others may use the cluster"):
        assert list(local.map([working.Add(1)], [1])) == [(1, 2)]


@pytest.mark.slow
def test_workers_that_die_as_they_begin_are_not_begun_for_ever(local: Ray) -> None:
    with pytest.raises(ClusterError, match="3 workers died on startup"):
        list(local.map([working.Stillborn()], range(5)))
