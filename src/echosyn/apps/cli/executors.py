"""Who does the work of a verb, as its options ask."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from echosyn.apps.cli.console import Console
from echosyn.errors import ConfigError
from echosyn.settings.running import DeviceSettings, RunSettings, ShardedRunSettings

if TYPE_CHECKING:
    from echosyn.pipeline.workers.compute import Compute
    from echosyn.pipeline.workers.executors import Executor


RAY = re.compile(r"local|auto|(?:ray://)?(?:[\w.-]+|\[[\da-fA-F:.]+\]):\d{1,5}")
"""What may follow ``--ray``; any other word is not its value."""


def ray_said(words: Sequence[str]) -> list[str]:
    """A command line on which a bare ``--ray`` means ``--ray auto``, whatever comes after it."""
    said: list[str] = []
    ended = False
    for i, word in enumerate(words):
        said.append(word)
        ended = ended or word == "--"
        if word == "--ray" and not ended and not (i + 1 < len(words) and RAY.fullmatch(words[i + 1])):
            said.append("auto")
    return said


@contextmanager
def computing(run: DeviceSettings) -> "Iterator[Compute]":
    """Where and by whom the work is done."""
    from echosyn.pipeline.workers.compute import Compute
    from echosyn.pipeline.workers.shards import WHOLE, part

    shard = part(run.shard) if isinstance(run, ShardedRunSettings) else WHOLE
    workers, ray = (run.workers, run.ray) if isinstance(run, RunSettings) else (None, None)
    with executor(run.device, workers, ray) as who:
        yield Compute(run.device, who, shard, Console(run.quiet), side_by_side=True)


@contextmanager
def executor(device: str, workers: int | None, ray: str | None) -> "Iterator[Executor]":
    """The executor of ``--workers`` and ``--ray``; without them this process."""
    from echosyn.pipeline.workers.executors import InProcess, Processes

    if ray is not None:
        from echosyn.apps.ray.executor import Ray

        with Ray(ray, workers, device=device) as cluster:
            yield cluster
    elif workers is None:
        yield InProcess.of(device)
    elif device.startswith("cuda") or device == "mps":
        raise ConfigError(
            f"--workers {workers} --device {device}: processes would share one GPU; leave --workers out, or give --ray local, "
            "which gives each worker a GPU of its own"
        )
    else:
        with Processes(workers) as processes:
            yield processes
