"""Many items on several processes; an item that kills its process (a decoder's fault) costs only itself."""

import itertools
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def each(function: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[tuple[T, R | None]]:
    """Yield ``(item, function(item))`` as they become ready; None stands for an item at which its process died.

    Args:
        function: Importable by name; what it raises is raised here.
        items: Taken as needed, a few a worker ahead.
        workers: Processes.
    """
    rest = iter(items)
    suspects: list[T] = []
    while True:
        pool = _pool(workers)
        running: dict[Future[R], T] = {}
        try:
            for item in itertools.islice(rest, 2 * workers):
                running[pool.submit(function, item)] = item
            while running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield running[future], future.result()
                    del running[future]
                    for item in itertools.islice(rest, 1):
                        running[pool.submit(function, item)] = item
            return
        except BrokenProcessPool:
            suspects = list(running.values())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        for item in suspects:
            yield item, _alone(function, item)


def _alone(function: Callable[[T], R], item: T) -> R | None:
    with _pool(1) as pool:
        try:
            return pool.submit(function, item).result()
        except BrokenProcessPool:
            return None


def _pool(workers: int) -> ProcessPoolExecutor:
    # Not forked: this process may have threads (torch), and a copy of its memory would count for each worker.
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _end_with_parent)


def _end_with_parent() -> None:
    """Let a worker end when the process that started it was killed; otherwise it would wait for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait_for([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
