"""Many items on several processes; an item that kills its process or never ends (a decoder's fault) costs only itself."""

import faulthandler
import itertools
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait as wait_for
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

PRELOADED = ["echosyn.pipeline.workers.executors"]
"""What the server of `context` imports before its first process: torch among it, which takes seconds."""


class Pool:
    """Processes that stay between calls, as long as it is entered."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        self._end(wait=True)

    def _end(self, *, wait: bool) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=wait, cancel_futures=True)
            self._pool = None

    def each(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R | None]]:
        """See `each`."""
        rest = iter(items)
        while True:
            self._pool = pool = self._pool or _pool(self.workers)
            running: dict[Future[R], T] = {}
            taken: list[T] = []
            whole = False
            try:
                for item in itertools.islice(rest, 2 * self.workers):
                    taken.append(item)
                    future = pool.submit(function, item)
                    running[future] = taken.pop()
                while running:
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield running[future], future.result()
                        del running[future]
                        for item in itertools.islice(rest, 1):
                            taken.append(item)
                            future = pool.submit(function, item)
                            running[future] = taken.pop()
                whole = True
                return
            except BrokenProcessPool:
                suspects = [*running.values(), *taken]
            except KeyboardInterrupt:
                _terminate(pool)  # an item may be a training of hours, and the program ends only after its workers
                raise
            finally:
                if not whole:
                    self._end(wait=False)
            for item in suspects:
                yield item, _alone(function, item)


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
    with Pool(workers) as pool:
        yield from pool.each(partial(_limited, function, limit_s) if limit_s else function, items)


def _alone(function: Callable[[T], R], item: T) -> R | None:
    with _pool(1) as pool:
        try:
            return pool.submit(function, item).result()
        except BrokenProcessPool:
            return None
        except KeyboardInterrupt:
            _terminate(pool)
            raise


@dataclass(frozen=True)
class Limited:
    """Work: a function that is importable by name, whose worker counts as dead if it takes too long over an item."""

    function: Callable[[Any], Any]
    limit_s: float
    device: str = "cpu"

    def start(self) -> Callable[[Any], Any]:
        """Nothing to load."""
        return partial(_limited, self.function, self.limit_s)


def _limited(function: Callable[[T], R], limit_s: float, item: T) -> R:
    """End this process if the item takes too long: from outside of Python, as a decoder may not let go of its lock."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 (a device)
        faulthandler.dump_traceback_later(limit_s, exit=True, file=nowhere)
        try:
            return function(item)
        finally:
            faulthandler.cancel_dump_traceback_later()


def _terminate(pool: ProcessPoolExecutor) -> None:
    for process in list((pool._processes or {}).values()):
        process.terminate()


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, context(), _end_with_parent)


def context() -> Any:
    """Not forked from this process: it may have threads (torch), and a copy of its memory would count for each worker.

    On Linux they are forked from a server that imported `PRELOADED` and computed nothing (ADR 100).
    """
    if not sys.platform.startswith("linux"):
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def prepare(*modules: str) -> None:
    """Start the server of `context` now, and let it import these modules, too, while this process does other things."""
    if sys.platform.startswith("linux"):
        from multiprocessing import forkserver

        PRELOADED.extend(modules)
        context()
        forkserver.ensure_running()


def _end_with_parent() -> None:
    """Let a worker end when the process that started it was killed; otherwise it would wait for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait_for([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
