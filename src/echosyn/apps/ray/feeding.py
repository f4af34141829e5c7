"""Give items to actors as they become free, and again to others if their actor dies."""

import itertools
import math
import pickle
import time
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ray
from ray import cloudpickle

from echosyn import __version__
from echosyn.apps.ray.cluster import ClusterError, answers, import_paths
from echosyn.apps.ray.worker import worker
from echosyn.pipeline.workers.executors import Lost, Work

if TYPE_CHECKING:
    from echosyn.apps.ray.executor import Ray

TRIES = 3
"""How often an item is given to a worker that then dies while its node lives on."""
OUTAGES = 10
"""How often it is given to one whose node then dies or is not heard of, which may be the item's fault but rarely is."""
TICK_S = 1.0
"""How often nodes are counted when nothing else happens."""
PATIENCE_S = 15.0
"""How long the head of the cluster may be silent."""
WAIT_S = 60.0
"""After how long without any worker the user is told."""
ROOM_S = 60.0
"""How long the cluster may have no node for the work."""


@dataclass(eq=False)
class _Task:
    """An item on its way."""

    item: Any
    value: Any
    step: int = 0
    deaths: int = 0
    outages: int = 0


@dataclass(eq=False)
class _Actor:
    """A worker: beginning while it has no task and is not idle."""

    handle: Any
    on_gpu: bool
    node: str = ""
    task: _Task | None = None


@dataclass
class _Patience:
    """How long something may go wrong before it is an error."""

    limit_s: float
    problem: str
    _since: float | None = None

    def check(self, well: bool) -> None:
        now = time.monotonic()
        self._since = None if well else self._since or now
        if self._since is not None and now - self._since > self.limit_s:
            raise ClusterError(f"{self.problem}: run the same command again when the cluster is back, to continue")


@dataclass(frozen=True)
class _Head:
    """Ray waits a minute for a silent head and then ends this process: so nothing is asked of one that is silent."""

    address: str
    patience: _Patience

    def reached(self) -> bool:
        well = answers(self.address)
        self.patience.check(well)
        return well


class Feeding:
    """One `Ray.map`.

    Works are steps: neighbours that run on the same kind of worker are one. All steps on CPUs share their actors, as do those
    on GPUs; so one CPU is enough for any chain, and CPUs and GPUs compute at the same time. An actor has one item at a time,
    which is the one it dies of; the next is a message of a millisecond away.
    """

    def __init__(self, cluster: "Ray", works: Sequence[Work], items: Iterator[Any]) -> None:
        self._cluster = cluster
        grouped = itertools.groupby(works, lambda work: bool(cluster.gpus) and work.device != "cpu")
        self._steps = [(on_gpu, list(group)) for on_gpu, group in grouped] or [(False, [])]
        self._items = items
        self._no_more = False
        self._waiting: deque[_Task] = deque()
        self._tasks = 0
        self._actors: list[_Actor] = []
        self._idle: list[_Actor] = []
        self._calls: dict[Any, _Actor] = {}
        self._stillborn = 0
        self._kinds = sorted({on_gpu for on_gpu, _ in self._steps})
        self._most = dict.fromkeys(self._kinds, 0)
        self._head = _Head(
            ray.get_runtime_context().gcs_address,
            _Patience(PATIENCE_S, f"--ray {cluster.address}: the head node is not reachable"),
        )
        self._room = _Patience(ROOM_S, f"--ray {cluster.address}: no node is left that could do the work")
        self._counted = -math.inf
        self._told_at = time.monotonic() + WAIT_S
        self._class = ray.remote(worker())

    def results(self) -> Iterator[tuple[Any, Any]]:
        """Every item with its result, or the first mistake."""
        done: list[tuple[Any, Any]] = []
        while True:
            reached = self._look_around()
            self._take()
            if reached:
                self._grow()
                self._tell()
            self._give()
            for item, result in done:
                if isinstance(result, _Mistake):
                    raise result.error
                yield item, result
            if not self._tasks:
                return
            done = list(self._settled())

    def stop(self) -> None:
        """Keep the actors that have nothing to do for the next call, with the models that they have; end the others."""
        self._cluster.idle += [(actor.handle, actor.on_gpu) for actor in self._idle]
        for actor in list(self._actors):
            if actor not in self._idle:
                self._end(actor)

    def _look_around(self) -> bool:
        """Whether the head can be asked for actors; how many there can be is counted now and then."""
        reached = self._head.reached()
        if reached and time.monotonic() - self._counted > TICK_S:
            self._counted = time.monotonic()
            self._most = {on_gpu: self._cluster.room(on_gpu) for on_gpu in self._kinds}
            self._room.check(all(self._most.values()))
            if self._cluster.workers:
                self._most = dict.fromkeys(self._kinds, self._cluster.workers)
        return reached

    def _take(self) -> None:
        """As many items as there can be workers, and one more of each kind."""
        while not self._no_more and self._tasks < sum(self._most.values()) + len(self._kinds):
            for item in itertools.islice(self._items, 1):
                self._waiting.append(_Task(item, item))
                self._tasks += 1
                break
            else:
                self._no_more = True

    def _grow(self) -> None:
        """One more actor of a kind for each item that waits for one."""
        for on_gpu in self._kinds:
            own = [actor for actor in self._actors if actor.on_gpu == on_gpu]
            free = sum(actor.task is None for actor in own)
            wanted = sum(self._steps[task.step][0] == on_gpu for task in self._waiting)
            for _ in range(min(wanted - free, self._most[on_gpu] - len(own))):
                self._begin(on_gpu)

    def _tell(self) -> None:
        """Say once that nothing happens, as a queue looks like a fault."""
        if self._idle or any(actor.task for actor in self._actors):
            self._told_at = math.inf
        elif time.monotonic() > self._told_at:
            self._told_at = math.inf
            warnings.warn(f"--ray {self._cluster.address}: no worker yet; others may use the cluster", stacklevel=2)

    def _begin(self, on_gpu: bool) -> None:
        kept = next((handle for handle, kind in self._cluster.idle if kind == on_gpu), None)
        if kept is not None:
            self._cluster.idle.remove((kept, on_gpu))
        else:
            need = self._cluster.needs(on_gpu)
            kept = self._class.options(num_cpus=need.get("CPU", 0), num_gpus=need.get("GPU", 0)).remote()
        actor = _Actor(kept, on_gpu)
        self._actors.append(actor)
        steps = {number: works for number, (kind, works) in enumerate(self._steps) if kind == on_gpu}
        paths = import_paths(self._cluster.address)
        self._calls[actor.handle.begin.remote(__version__, paths, cloudpickle.dumps(steps), on_gpu)] = actor

    def _end(self, actor: _Actor) -> None:
        self._actors.remove(actor)
        if actor in self._idle:
            self._idle.remove(actor)
        if ray.is_initialized() and answers(self._head.address):
            ray.kill(actor.handle)

    def _give(self) -> None:
        """To each idle actor the item that has come farthest."""
        for actor in list(self._idle):
            fit = [task for task in self._waiting if self._steps[task.step][0] == actor.on_gpu]
            if fit:
                actor.task = max(fit, key=lambda task: task.step)
                self._waiting.remove(actor.task)
                self._idle.remove(actor)
                self._calls[actor.handle.do.remote(actor.task.step, cloudpickle.dumps(actor.task.value))] = actor

    def _settled(self) -> Iterator[tuple[Any, Any]]:
        """What became of the calls that are over."""
        calls = list(self._calls)
        if not ray.wait(calls, timeout=TICK_S)[0]:
            return
        for call in ray.wait(calls, num_returns=len(calls), timeout=0)[0]:
            actor = self._calls.pop(call)
            task, actor.task = actor.task, None
            try:
                kind, content = ray.get(call)
            except ray.exceptions.RayError as error:
                yield from self._died(actor, task, error)
                continue
            self._idle.append(actor)
            if kind != "result":
                self._tasks -= task is not None
                yield task and task.item, _mistake(kind, content)
            elif task is None:
                self._stillborn = 0
            else:
                task.value = pickle.loads(content)
                task.step += 1
                if task.step < len(self._steps):
                    self._waiting.append(task)
                else:
                    self._tasks -= 1
                    yield task.item, task.value

    def _died(self, actor: _Actor, task: _Task | None, error: Exception) -> Iterator[tuple[Any, Any]]:
        """Another actor takes its place. A node that dies is not the item's fault."""
        self._end(actor)
        outage = _is_outage(error)
        if task is None:
            self._stillborn += not outage
            if self._stillborn >= TRIES:
                reason = str(error).strip().splitlines()[-1].strip()
                raise ClusterError(f"{self._stillborn} workers died on startup; the last: {reason}") from error
            return
        task.deaths += not outage
        task.outages += outage
        if task.deaths < TRIES and task.outages < OUTAGES:
            self._waiting.appendleft(task)
            return
        self._tasks -= 1
        yield task.item, Lost(task.deaths + task.outages)


@dataclass(frozen=True)
class _Mistake:
    """Stands for a result."""

    error: Exception


def _mistake(kind: str, content: Any) -> _Mistake:
    if kind == "mistake":
        return _Mistake(pickle.loads(content))
    return _Mistake(ClusterError(content) if kind == "alien" else RuntimeError(f"in a worker:\n{content}"))


def _is_outage(error: Exception) -> bool:
    """Whether more than a process died. Ray knows: a node that lives on reports what became of its processes."""
    return isinstance(error, ray.exceptions.ActorUnavailableError) or "node has died" in str(error)
