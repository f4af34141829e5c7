"""Who does the work: this process, others beside it, or a cluster. A verb hands over work and items and takes what is ready."""

import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch

from echosyn import device as devices
from echosyn.errors import ConfigError
from echosyn.pipeline.workers.processes import Pool

T = TypeVar("T")

MOST_THREADS = 8
"""Workers of `InProcess` at most: each has models of its own in memory."""
KEPT = 3
"""Works whose models a worker keeps from call to call."""
TRIES = 2
"""How often an item is given to a worker that then dies."""


class Work(Protocol):
    """What is done with items: begun once a worker, where models are loaded, then called for each item.

    Picklable, so it holds paths and settings and no models. What it makes of an item depends on the item alone; large things
    go to files, and what is returned is small. A file that is there already is not made again.
    """

    @property
    def device(self) -> str:
        """Where it computes; ``cpu`` for work that never needs a GPU."""

    def start(self) -> Callable[[Any], Any]:
        """Load what is needed, in the worker."""


@dataclass(frozen=True)
class Lost:
    """What stands for the result of an item at which its worker died each time."""

    tries: int


class Executor(Protocol):
    """Does work. How it is shared out changes no result."""

    def on_gpu(self, device: str) -> bool:
        """Whether work for that device runs on GPUs (or their like), which want several items at a time."""

    def map(self, works: Sequence[Work], items: Iterable[T]) -> Iterator[tuple[T, Any]]:
        """Yield ``(item, result)`` as they become ready, each item once; the result is that of one work after the other.

        Args:
            works: The first is given the item, the next what that one returned.
            items: Picklable; taken as needed.

        Raises:
            Whatever a work raises; what others have done by then stays on disk.
        """


class InProcess:
    """Threads of this process, with one thread of torch each on a CPU: equal results on any number of cores.

    Two workers with a thread each are also faster than one with two (docs/adr/0050). A worker that dies takes all with it.

    Args:
        threads: Workers; a GPU has one.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._idle: list[tuple[list[Work], Callable[[Any], Any]]] = []
        self._lock = threading.Lock()

    @classmethod
    def of(cls, device: str) -> "InProcess":
        """As many workers as this machine has cores, at most `MOST_THREADS`; one with a GPU."""
        return cls(1 if _has_gpu(device) else min(cores(), MOST_THREADS))

    def on_gpu(self, device: str) -> bool:
        """See `Executor`."""
        return _has_gpu(device)

    def map(self, works: Sequence[Work], items: Iterable[T]) -> Iterator[tuple[T, Any]]:
        """See `Executor`."""
        own = threading.local()
        begun: list[Callable[[Any], Any]] = []

        def run(item: T) -> Any:
            if not hasattr(own, "function"):
                torch.set_num_threads(1)  # of this thread
                own.function = self._begin(list(works))
                begun.append(own.function)
            return own.function(item)

        rest = iter(items)
        pool = ThreadPoolExecutor(self.threads)
        try:
            running: dict[Future[Any], T] = {pool.submit(run, i): i for i in itertools.islice(rest, self.threads + 1)}
            while running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    item = running.pop(future)
                    running |= {pool.submit(run, i): i for i in itertools.islice(rest, 1)}
                    yield item, future.result()
        finally:
            pool.shutdown(cancel_futures=True)
            with self._lock:
                self._idle += [(list(works), function) for function in begun]
                del self._idle[: -KEPT * self.threads]

    def _begin(self, works: list[Work]) -> Callable[[Any], Any]:
        """A worker of an earlier call, with its models, or a new one."""
        with self._lock:
            for i, (known, function) in enumerate(self._idle):
                if known == works:
                    del self._idle[i]
                    return function
        return started(works)


class Processes:
    """Processes of this machine, as long as it is entered; one that dies costs only the item it died of."""

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise ConfigError(f"--workers {workers}: expected at least 1")
        self.workers = workers
        self._pool = Pool(workers)

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.__exit__(*error)

    def on_gpu(self, device: str) -> bool:
        """See `Executor`."""
        return _has_gpu(device)

    def map(self, works: Sequence[Work], items: Iterable[T]) -> Iterator[tuple[T, Any]]:
        """See `Executor`."""
        for item, result in self._pool.each(_Remote(list(works)), items):
            yield item, Lost(TRIES) if result is None else result[0]


@dataclass(frozen=True)
class _Remote:
    """Works as one function that is started when a process first calls it; a process keeps the last few."""

    works: list[Work]

    def __call__(self, item: Any) -> tuple[Any]:
        torch.set_num_threads(1)
        return (kept_or_started(self.works, _begun)(item),)


_begun: list[tuple[list[Work], Callable[[Any], Any]]] = []


def kept_or_started(works: list[Work], known: list[tuple[list[Work], Callable[[Any], Any]]]) -> Callable[[Any], Any]:
    """`started`, unless the works are among the last few that this worker has begun, which are ``known``."""
    function = next((function for earlier, function in known if earlier == works), None)
    if function is None:
        function = started(works)
        known.append((works, function))
        del known[:-KEPT]
    return function


def started(works: Sequence[Work]) -> Callable[[Any], Any]:
    """One function that does all works, in turn."""
    functions = [work.start() for work in works]

    def run(item: Any) -> Any:
        for function in functions:
            item = function(item)
        return item

    return run


def one_by_one(
    executor: Executor, works: Sequence[Work], units: Iterable[tuple[T, ...]]
) -> Iterator[tuple[tuple[T, ...], Any]]:
    """As `Executor.map` for items that are several things: what is lost with others is tried alone, once more."""
    alone: list[tuple[T, ...]] = []
    for unit, result in executor.map(works, units):
        if isinstance(result, Lost) and len(unit) > 1:
            alone += [(thing,) for thing in unit]
        else:
            yield unit, result
    if alone:
        yield from executor.map(works, alone)


def cores() -> int:
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _has_gpu(device: str) -> bool:
    return devices.resolve(device).type != "cpu"
