"""What holds for every executor."""

from collections.abc import Iterator

import pytest
import torch

import working
from echosyn.errors import DataError
from echosyn.pipeline.workers.executors import Executor


def every_item_comes_back_once_with_its_result(executor: Executor) -> None:
    found = list(executor.map([working.Add(1), working.Add(10)], range(20)))
    assert sorted(found) == [(i, i + 11) for i in range(20)]


def nothing_to_do_is_done_at_once(executor: Executor) -> None:
    assert list(executor.map([working.Add(1)], [])) == []


def a_worker_begins_once_and_computes_with_one_thread_of_torch(executor: Executor) -> None:
    threads = torch.get_num_threads()
    found = [result for _, result in executor.map([working.Begun()], range(12))]
    begun = {name for name, _ in found}
    assert len(begun) <= getattr(executor, "workers", 0) + getattr(executor, "threads", 0)
    assert {count for _, count in found} == {1}
    assert torch.get_num_threads() == threads


def models_are_kept_from_call_to_call(executor: Executor) -> None:
    begun = [{name for _, (name, _) in executor.map([working.Begun()], range(40))} for _ in range(2)]
    assert len(begun[0] | begun[1]) <= getattr(executor, "workers", 0) + getattr(executor, "threads", 0)


def mistakes_come_through(executor: Executor) -> None:
    with pytest.raises(DataError, match="5 is odd"):
        list(executor.map([working.Even()], [2, 4, 5]))


def items_are_taken_as_needed(executor: Executor) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for i in range(1000):
            taken.append(i)
            yield i

    done = executor.map([working.Add(0)], items())
    next(done)
    assert len(taken) < 50
    done.close()  # type: ignore[attr-defined]


LAWS = [
    every_item_comes_back_once_with_its_result,
    nothing_to_do_is_done_at_once,
    a_worker_begins_once_and_computes_with_one_thread_of_torch,
    models_are_kept_from_call_to_call,
    mistakes_come_through,
    items_are_taken_as_needed,
]
