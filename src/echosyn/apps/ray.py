"""A cluster does the work: actors on all its nodes, each given an item when it is free (docs/adr/0053).

The only place, with `ray_train`, that knows Ray (``pip install 'echosyn[ray]'``), which is imported when a cluster is joined.
"""

import logging
import math
import os
import socket
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from echosyn import extras
from echosyn.errors import ConfigError, EchosynError
from echosyn.pipeline.executing import Work, cores

T = TypeVar("T")

OBJECT_STORE_BYTES = 200_000_000
"""Shared memory of a cluster of this machine alone. Items and results are small, large things are files."""
ANSWER_S = 3.0
"""How long the head of a cluster may take to answer a call."""


class ClusterError(EchosynError):
    """A cluster cannot be joined, lacks what is asked of it, or is gone."""


@dataclass(frozen=True)
class Ray:
    """An `Executor` on a Ray cluster, as long as it is entered.

    A node that joins is used, one that dies costs a second try of what it was at. An item at which workers die is tried
    `echosyn.apps.ray_feeding.TRIES` times and is then `Lost`. If this process dies its workers end.

    Args:
        address: ``local`` starts a cluster on this machine that ends with it; ``auto`` or ``host:port`` joins one that this
            machine is a node of, and whose nodes have this version of echosyn and see the same folders.
        workers: Workers on CPUs, and on GPUs, at most; None means as many as there is room for.
        cpus: CPUs that a worker counts for; it computes with one thread, but may need a larger share of the memory.
        gpus: GPUs of a worker with work that is not for a CPU, at most 1 for each; 0 if all is done on CPUs.
        folder: Where a local cluster keeps logs and sockets, a short path; Ray's own by default.
    """

    address: str
    workers: int | None = None
    cpus: float = 1.0
    gpus: float = 0.0
    folder: Path | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"--workers {self.workers}: expected at least 1")
        if not self.cpus > 0 or self.gpus < 0:
            raise ConfigError(f"{self.cpus:g} CPUs and {self.gpus:g} GPUs a worker: expected more than 0, and at least 0")

    def __enter__(self) -> "Ray":
        ray = extras.require("ray", extra="ray")
        _quiet()
        settings: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
        if self.address == "local":
            settings |= {"num_cpus": max(cores(), math.ceil(self.cpus)), "include_dashboard": False}
            settings |= {"object_store_memory": OBJECT_STORE_BYTES, "_temp_dir": self.folder and str(self.folder.resolve())}
        elif self.address != "auto":
            self._reachable(self.address)
        try:
            ray.init(address=self.address, **settings)
        except (ray.exceptions.RayError, RuntimeError, ValueError, OSError) as error:
            raise ClusterError(f"--ray {self.address}: no cluster there ({_first_line(error)}); start one: ray start --head") from error
        try:
            self._has_room()
        except BaseException:
            ray.shutdown()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        import ray

        ray.shutdown()

    def map(self, works: Sequence[Work], items: Iterable[T]) -> Iterator[tuple[T, Any]]:
        """See `Executor`."""
        from echosyn.apps.ray_feeding import Feeding

        feeding = Feeding(self, works, iter(items))
        try:
            yield from feeding.results()
        finally:
            feeding.stop()

    def needs(self, on_gpu: bool) -> dict[str, float]:
        """What a worker takes of a node. One with a GPU takes no CPU, so that neither kind waits for the other's."""
        return {"GPU": self.gpus} if on_gpu else {"CPU": self.cpus}

    def room(self, on_gpu: bool) -> int:
        """Workers of a kind that fit on the nodes that are alive now, were nobody else there."""
        import ray

        (kind, need), *_ = self.needs(on_gpu).items()
        nodes = [node["Resources"].get(kind, 0) for node in ray.nodes() if node["Alive"]]
        return sum(int(has / need + 1e-6) for has in nodes)

    def _has_room(self) -> None:
        import ray

        for on_gpu in (False, True)[: 1 + (self.gpus > 0)]:
            (kind, need), *_ = self.needs(on_gpu).items()
            if not self.room(on_gpu):
                has = ray.cluster_resources().get(kind, 0)
                raise ClusterError(
                    f"--ray {self.address}: the cluster has {has:g} {kind}s, {need:g} asked for per worker, on one node"
                )

    def _reachable(self, address: str) -> None:
        if not answers(address):
            raise ClusterError(f"--ray {address}: nobody answers there; expected local, auto or host:port of a head node")


def answers(address: str) -> bool:
    """Whether somebody listens at ``host:port``."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_S).close()
    except (OSError, ValueError, OverflowError):
        return False
    return True


def import_paths(address: str) -> list[str]:
    """Where workers of this machine find what this process finds; other machines have paths of their own."""
    return [path for path in sys.path if path] if address == "local" else []


def _quiet() -> None:
    """Ray reports nothing to its makers and says nothing on the terminal."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
