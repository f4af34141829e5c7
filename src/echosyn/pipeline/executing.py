"""Who does the work: this process, others beside it, or a cluster. A verb hands over work and items and takes what is ready."""

import itertools
import os
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch

from echosyn import device as devices
from echosyn.errors import ConfigError
from echosyn.pipeline.processes import each

T = TypeVar("T")

MOST_THREADS = 8
"""Workers of `InProcess` at most: each has models of its own in memory."""
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

    def map(self, works: Sequence[Work], items: Iterable[T]) -> Iterator[tuple[T, Any]]:
        """Yield ``(item, result)`` as they become ready, each item once; the result is that of one work after the other.

        Args:
            works: The first is given the item, the next what that one returned.
            items: Picklable; taken as needed.

        Raises:
            Whatever a work raises; what others have done by then stays on disk.
        """


@dataclass(frozen=True)
class InProcess:
    """Threads of this process, with one thread of torch each on a CPU: equal results on any number of cores.

    Two workers with a thread each are also faster than one with two (docs/adr/0050). A worker that dies takes all with it.

    Args:
        threads: Workers; a GPU has one.
    """

    threads: int

    @classmethod
    def of(cls, device: str) -> "InProcess":
        """As many workers as this machine has cores, at most `MOST_THREADS`; one with a GPU."""
        on_cpu = devices.resolve(device).type == "cpu"
        return cls(min(cores(), MOST_THREADS) if on_cpu else 1)

    def map(self, works: Sequence[Work], items: Iterable[T]) -> Iterator[tuple[T, Any]]:
        """See `Executor`."""
        own = threading.local()

        def run(item: T) -> Any:
            if not hasattr(own, "function"):
                torch.set_num_threads(1)  # of this thread
                own.function = started(works)
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


@dataclass(frozen=True)
class Processes:
    """Processes of this machine; one that dies costs only the item it died of."""

    workers: int

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ConfigError(f"--workers {self.workers}: expected at least 1")

    def map(self, works: Sequence[Work], items: Iterable[T]) -> Iterator[tuple[T, Any]]:
        """See `Executor`."""
        for item, result in each(_Remote(list(works), uuid.uuid4().hex), items, self.workers):
            yield item, Lost(TRIES) if result is None else result[0]


@dataclass(frozen=True)
class _Remote:
    """Works as one function that is started when a process first calls it."""

    works: list[Work]
    name: str

    def __call__(self, item: Any) -> tuple[Any]:
        if self.name not in _running:
            torch.set_num_threads(1)
            _running.clear()
            _running[self.name] = started(self.works)
        return (_running[self.name](item),)


_running: dict[str, Callable[[Any], Any]] = {}


def started(works: Sequence[Work]) -> Callable[[Any], Any]:
    """One function that does all works, in turn."""
    functions = [work.start() for work in works]

    def run(item: Any) -> Any:
        for function in functions:
            item = function(item)
        return item

    return run


def cores() -> int:
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
