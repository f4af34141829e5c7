"""Workers and nodes that die, for whoever hands work to an executor."""

import os
import signal
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from echosyn.pipeline.generate.animate import Beat
from echosyn.pipeline.workers.executors import Executor, Work, started

if TYPE_CHECKING:
    from cluster import Cluster, Node


@dataclass(frozen=True)
class Poisoned:
    """An executor at some of whose items the worker kills itself.

    Args:
        executor: Does the work; not this process.
        items: At which a worker dies.
        marks: An empty folder that workers see; it gets a file for each death.
        times: Deaths at an item; then it is done.
        late: Dies when the item was done, before the result is returned.
    """

    executor: Executor
    items: Collection[Any]
    marks: Path
    times: int = 1_000_000
    late: bool = False

    def map(self, works: Sequence[Work], items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        return self.executor.map([_Poison(list(works), list(self.items), self.marks, self.times, self.late)], items)

    @property
    def deaths(self) -> int:
        return len(list(self.marks.iterdir()))


@dataclass(frozen=True)
class _Poison:
    works: list[Work]
    items: list[Any]
    marks: Path
    times: int
    late: bool

    @property
    def device(self) -> str:
        return next((work.device for work in self.works if work.device != "cpu"), "cpu")

    def start(self) -> Callable[[Any], Any]:
        done = started(self.works)

        def run(item: Any) -> Any:
            if item not in self.items:
                return done(item)
            if self.late:
                result = done(item)
                self._die(item)
                return result
            self._die(item)
            return done(item)

        return run

    def _die(self, item: Any) -> None:
        number = self.items.index(item)
        earlier = len(list(self.marks.glob(f"{number}-*")))
        if earlier < self.times:
            (self.marks / f"{number}-{earlier}").touch()
            os.kill(os.getpid(), signal.SIGKILL)


def kill_an_actor(cluster: "Cluster | None" = None) -> None:
    """Of a cluster, or of the local one that this process began."""
    from cluster import is_actor

    own = cluster.actors() if cluster else [p for p in psutil.Process().children(recursive=True) if is_actor(p)]
    assert own, "no actor is there"
    own[0].kill()


def kill_node(cluster: "Cluster") -> "Node":
    """The node that came last."""
    node = cluster.nodes[-1]
    node.kill()
    return node


@dataclass(frozen=True)
class PoisonedHeart:
    """An executor whose workers die whenever they are to animate one heart.

    Args:
        executor: Does the work; not this process.
        number: Of the heart.
        marks: An empty folder that workers see; it gets a file for each death.
    """

    executor: Executor
    number: int
    marks: Path

    def on_gpu(self, device: str) -> bool:
        return self.executor.on_gpu(device)

    def map(self, works: Sequence[Work], items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        if isinstance(works[0], Beat):
            return self.executor.map([_PoisonedBeat(list(works), self.number, self.marks)], items)
        return self.executor.map(works, items)


@dataclass(frozen=True)
class _PoisonedBeat:
    works: list[Work]
    number: int
    marks: Path
    device: str = "cpu"

    def start(self) -> Callable[[Any], Any]:
        done = started(self.works)

        def run(hearts: tuple[Any, ...]) -> Any:
            if any(heart.number == self.number for heart in hearts):
                (self.marks / f"{os.getpid()}").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return done(hearts)

        return run
