"""Whoever does the work, each item comes back once, with the result of all works in turn, and mistakes come through."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import working
from echosyn.errors import ConfigError
from echosyn.pipeline.workers.executors import Executor, InProcess, Lost, Processes
from laws import LAWS

EXECUTORS = {"thread": 1, "threads": 3, "process": 1, "processes": 2}


@pytest.fixture(params=EXECUTORS)
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    number = EXECUTORS[request.param]
    if request.param.startswith("thread"):
        yield InProcess(number)
    else:
        with Processes(number) as processes:
            yield processes


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_law(law: Callable[[Executor], None], executor: Executor) -> None:
    law(executor)


def test_an_item_at_which_processes_die_is_lost_and_no_other(tmp_path: Path) -> None:
    with Processes(2) as processes:
        found = dict(processes.map([working.Dying(3, tmp_path)], range(7)))
        assert dict(processes.map([working.Add(1)], [1])) == {1: 2}, "it goes on"
    assert found == {i: Lost(2) if i == 3 else i for i in range(7)}
    assert len(list(tmp_path.iterdir())) == 2, "it was tried twice, and not for ever"


def test_threads_end_with_the_work() -> None:
    before = set(threading.enumerate())
    list(InProcess(4).map([working.Add(1)], range(5)))
    assert set(threading.enumerate()) <= before


def test_no_worker_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="--workers 0: expected at least 1"):
        Processes(0)


def test_as_many_workers_as_cores() -> None:
    assert 1 <= InProcess.of("cpu").threads <= (os.cpu_count() or 1)
