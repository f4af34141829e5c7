"""Who does the work of a verb: options, and the executor that they ask for."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from echosyn.errors import ConfigError

if TYPE_CHECKING:
    from echosyn.pipeline.executing import Executor

Workers = Annotated[
    int | None,
    typer.Option(
        help="Processes that do the work; with --ray at most so many; default this process.", show_default=False
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray", help="Let a Ray cluster do the work: local, HOST:PORT or auto, as without a word.", show_default=False
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option("--shard", help="K/N: make only the K-th of N parts; `echosyn merge` joins them.", show_default=False),
]


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
def executor(device: str, workers: int | None, ray: str | None) -> "Iterator[Executor]":
    """The executor of ``--workers`` and ``--ray``; without them this process."""
    from echosyn.pipeline.executing import InProcess, Processes

    if ray is not None:
        from echosyn.apps.ray import Ray

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
