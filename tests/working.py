"""Works for workers to import."""

import itertools
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Add:
    """Adds."""

    amount: int
    device: str = "cpu"

    def start(self) -> Callable[[int], int]:
        return lambda item: item + self.amount


@dataclass(frozen=True)
class Begun:
    """Says which beginning an item was done with, and how many threads torch has."""

    device: str = "cpu"

    def start(self) -> Callable[[int], tuple[str, int]]:
        import torch

        name = uuid.uuid4().hex
        return lambda item: (name, torch.get_num_threads())


@dataclass(frozen=True)
class Even:
    """Refuses odd numbers."""

    device: str = "cpu"

    def start(self) -> Callable[[int], int]:
        return _even


def _even(item: int) -> int:
    from echosyn.errors import DataError

    if item % 2:
        raise DataError(f"{item} is odd, expected an even number")
    return item


@dataclass(frozen=True)
class Here:
    """Takes its time and says on which node of a Ray cluster."""

    seconds: float
    device: str = "cpu"

    def start(self) -> Callable[[object], str]:
        import ray

        node = str(ray.get_runtime_context().get_node_id())

        def run(item: object) -> str:
            time.sleep(self.seconds)
            return node

        return run


@dataclass(frozen=True)
class Timed:
    """Takes its time and adds to a list of ``(process, begun, done)``."""

    seconds: float
    device: str = "cpu"

    def start(self) -> Callable[[list[tuple[int, float, float]]], list[tuple[int, float, float]]]:
        def run(item: list[tuple[int, float, float]]) -> list[tuple[int, float, float]]:
            begun = time.monotonic()
            time.sleep(self.seconds)
            return [*item, (os.getpid(), begun, time.monotonic())]

        return run


@dataclass(frozen=True)
class Raising:
    """Raises what it was made with."""

    error: Exception
    device: str = "cpu"

    def start(self) -> Callable[[int], int]:
        def run(item: int) -> int:
            raise self.error

        return run


@dataclass(frozen=True)
class Stillborn:
    """Kills its process as it begins."""

    device: str = "cpu"

    def start(self) -> Callable[[int], int]:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


@dataclass(frozen=True)
class Dying:
    """Kills its process at one item, ``times`` often, and leaves a file for each time."""

    at: int
    folder: Path
    times: int = 1_000_000
    device: str = "cpu"

    def start(self) -> Callable[[int], int]:
        def run(item: int) -> int:
            if item == self.at and len(list(self.folder.iterdir())) < self.times:
                for number in itertools.count():
                    if not (self.folder / str(number)).exists():
                        (self.folder / str(number)).touch()
                        break
                os.kill(os.getpid(), signal.SIGKILL)
            return item

        return run


@dataclass(frozen=True)
class Reads:
    """Reads a video; returns how many frames it has."""

    device: str = "cpu"

    def start(self) -> Callable[[Path], int]:
        from echosyn.data import video

        return lambda path: len(video.read(path).frames)


def imported(module: str) -> bool:
    """Whether a worker came with this module."""
    return module in sys.modules
