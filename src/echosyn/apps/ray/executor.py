"""A cluster does the work: actors on all its nodes, each given an item when it is free (docs/adr/0053).

The only place, with its neighbours, that knows Ray (``pip install 'echosyn[ray]'``), imported when a cluster is joined.
"""

import logging
import math
import os
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, TypeVar

from echosyn import extras
from echosyn.apps.ray.cluster import OBJECT_STORE_BYTES, SETTINGS, ClusterError, answers, own_token, silence
from echosyn.errors import ConfigError
from echosyn.pipeline.workers.executors import Work, cores

T = TypeVar("T")


@dataclass(eq=False)
class Ray:
    """An `Executor` on a Ray cluster, as long as it is entered.

    A node that joins is used, one that dies costs a second try of what it was at. An item at which workers die is tried
    `echosyn.apps.ray.feeding.TRIES` times and is then `Lost`. If this process dies its workers end.

    Args:
        address: ``local`` starts a cluster on this machine that ends with it; ``host:port`` joins one that this machine is a
            node of, ``auto`` the one that began last here; whose nodes have this version of echosyn and see the same folders.
        workers: Workers on CPUs, and on GPUs, at most; None means as many as there is room for.
        cpus: CPUs that a worker counts for; it computes with one thread, but may need a larger share of the memory.
        gpus: GPUs of a worker with work that is not for a CPU, at most 1 for each; 0 if all is done on CPUs; None means 1 where
            the cluster has GPUs and ``device`` is not ``cpu``.
        device: What the verb was asked to compute with.
        folder: Where a local cluster keeps logs and sockets, a short path; Ray's own by default.
    """

    address: str
    workers: int | None = None
    cpus: float = 1.0
    gpus: float | None = None
    device: str = "auto"
    folder: Path | None = None
    idle: list[Any] = field(default_factory=list, init=False, repr=False)
    """Actors of an earlier call, with what they have loaded."""
    _leaving: ExitStack = field(default_factory=ExitStack, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"--workers {self.workers}: expected at least 1")
        if not self.cpus > 0 or (self.gpus or 0) < 0:
            raise ConfigError(
                f"{self.cpus:g} CPUs and {self.gpus or 0:g} GPUs a worker: expected more than 0, and at least 0"
            )

    def __enter__(self) -> "Ray":
        with ExitStack() as stack:
            if self.address == "local":
                stack.enter_context(own_token())
            for name, value in SETTINGS.items():
                os.environ.setdefault(name, value)
            ray = extras.require("ray", extra="ray")
            assert not ray.is_initialized(), "one cluster at a time"
            silence()
            stack.callback(ray.shutdown)
            self._join(ray)
            if self.gpus is None:
                self.gpus = 1.0 if self.device != "cpu" and ray.cluster_resources().get("GPU", 0) else 0.0
            elif self.gpus and self.device == "cpu":
                raise ConfigError(f"--device cpu: expected auto or cuda for workers with {self.gpus:g} GPUs")
            self._has_room(ray)
            self._leaving.push(stack.pop_all())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving.close()

    def on_gpu(self, device: str) -> bool:
        """See `Executor`."""
        return bool(self.gpus) and device != "cpu"

    def map(self, works: Sequence[Work], items: Iterable[T]) -> Iterator[tuple[T, Any]]:
        """See `Executor`."""
        from echosyn.apps.ray.feeding import Feeding

        feeding = Feeding(self, works, iter(items))
        try:
            yield from feeding.results()
        finally:
            feeding.stop()

    def needs(self, on_gpu: bool) -> dict[str, float]:
        """What a worker takes of a node. One with a GPU takes no CPU, so that neither kind waits for the other's."""
        return {"GPU": self.gpus or 0.0} if on_gpu else {"CPU": self.cpus}

    def room(self, on_gpu: bool) -> int:
        """Workers of a kind that fit on the nodes that are alive now, were nobody else there."""
        import ray

        (kind, need), *_ = self.needs(on_gpu).items()
        nodes = [node["Resources"].get(kind, 0) for node in ray.nodes() if node["Alive"]]
        return sum(int(has / need + 1e-6) for has in nodes)

    def _join(self, ray: ModuleType) -> None:
        settings: dict[str, Any] = {"logging_level": logging.CRITICAL, "log_to_driver": False}
        if self.address == "local":
            settings |= {"num_cpus": max(cores(), math.ceil(self.cpus)), "include_dashboard": False}
            settings |= {
                "object_store_memory": OBJECT_STORE_BYTES,
                "_temp_dir": self.folder and str(self.folder.resolve()),
            }
        elif self.address != "auto" and not answers(self.address):
            raise ClusterError(
                f"--ray {self.address}: no answer; expected local, auto or HOST:PORT of a running head node: start one "
                "with `ray start --head`"
            )
        try:
            ray.init(address=self.address, **settings)
        except (ray.exceptions.RayError, RuntimeError, ValueError, OSError) as error:
            if "AuthToken" not in "".join(traceback.format_exception(error)):
                reason = str(error).strip().partition("\n")[0]
                raise ClusterError(
                    f"--ray {self.address}: cannot connect ({reason}); start a cluster with `ray start --head`, or "
                    "give --ray local"
                ) from error
            cure = "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH as on its nodes"
            raise ClusterError(f"--ray {self.address}: the cluster asks for a token: {cure}") from error

    def _has_room(self, ray: ModuleType) -> None:
        for on_gpu in (False, True)[: 1 + bool(self.gpus)]:
            (kind, need), *_ = self.needs(on_gpu).items()
            if not self.room(on_gpu):
                has = f"{ray.cluster_resources().get(kind, 0):g} {kind}s, {need:g} asked for per worker"
                raise ClusterError(f"--ray {self.address}: the cluster has {has}; a worker needs them on one node")
