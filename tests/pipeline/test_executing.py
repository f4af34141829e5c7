"""Whoever does the work, each item comes back once, with the result of all works in turn, and mistakes come through."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import working
from echosyn.errors import ConfigError, DataError
from echosyn.pipeline.executing import Executor, InProcess, Lost, Processes

EXECUTORS = {"thread": 1, "threads": 3, "process": 1, "processes": 2}


@pytest.fixture(params=EXECUTORS)
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    number = EXECUTORS[request.param]
    if request.param.startswith("thread"):
        yield InProcess(number)
    else:
        with Processes(number) as processes:
            yield processes


def test_every_item_comes_back_once_with_its_result(executor: Executor) -> None:
    found = list(executor.map([working.Add(1), working.Add(10)], range(20)))
    assert sorted(found) == [(i, i + 11) for i in range(20)]


def test_nothing_to_do_is_done_at_once(executor: Executor) -> None:
    assert list(executor.map([working.Add(1)], [])) == []


def test_a_worker_begins_once_and_computes_with_one_thread_of_torch(executor: Executor) -> None:
    threads = torch.get_num_threads()
    found = [result for _, result in executor.map([working.Begun()], range(12))]
    begun = {name for name, _ in found}
    assert len(begun) <= 3
    assert {count for _, count in found} == {1}
    assert torch.get_num_threads() == threads


def test_models_are_kept_from_call_to_call(executor: Executor) -> None:
    first, second = ({name for _, (name, _) in executor.map([working.Begun()], range(40))} for _ in range(2))
    assert second <= first or len(first | second) <= 3


def test_mistakes_come_through(executor: Executor) -> None:
    with pytest.raises(DataError, match="5 is odd"):
        list(executor.map([working.Even()], [2, 4, 5]))


def test_items_are_taken_as_needed(executor: Executor) -> None:
    taken: list[int] = []

    def items() -> "range":
        for i in range(1000):
            taken.append(i)
            yield i

    done = executor.map([working.Add(0)], items())
    next(done)
    assert len(taken) < 50
    done.close()


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
