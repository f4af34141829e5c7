"""Many items on several processes; an item that kills its process or never ends (a decoder's fault) costs only itself."""

import faulthandler
import itertools
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing.connection import wait as wait_for
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def each(
    function: Callable[[T], R], items: Iterable[T], workers: int, *, limit_s: float | None = None
) -> Iterator[tuple[T, R | None]]:
    """Yield ``(item, function(item))`` as they become ready; None stands for an item at which its process died.

    Every item is yielded exactly once. Items that ran when a process died are tried once more, each on its own.

    Args:
        function: Importable by name; what it raises is raised here.
        items: Taken as needed, a few a worker ahead.
        workers: Processes.
        limit_s: Seconds after which a process counts as dead that is still at the same item.
    """
    run = partial(_limited, function, limit_s) if limit_s else function
    rest = iter(items)
    while True:
        pool = _pool(workers)
        running: dict[Future[R], T] = {}
        taken: list[T] = []
        try:
            for item in itertools.islice(rest, 2 * workers):
                taken.append(item)
                future = pool.submit(run, item)
                running[future] = taken.pop()
            while running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield running[future], future.result()
                    del running[future]
                    for item in itertools.islice(rest, 1):
                        taken.append(item)
                        future = pool.submit(run, item)
                        running[future] = taken.pop()
            return
        except BrokenProcessPool:
            suspects = [*running.values(), *taken]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        for item in suspects:
            yield item, _alone(run, item)


def _alone(function: Callable[[T], R], item: T) -> R | None:
    with _pool(1) as pool:
        try:
            return pool.submit(function, item).result()
        except BrokenProcessPool:
            return None


def _limited(function: Callable[[T], R], limit_s: float, item: T) -> R:
    """End this process if the item takes too long: from outside of Python, as a decoder may not let go of its lock."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 (a device)
        faulthandler.dump_traceback_later(limit_s, exit=True, file=nowhere)
        try:
            return function(item)
        finally:
            faulthandler.cancel_dump_traceback_later()


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
