"""What a worker of Ray does in a training, and what it tells the one who waits for it."""

import os
import time
from pathlib import Path
from typing import Any

from echosyn.errors import DataError, EchosynError
from echosyn.pipeline.workers.compute import Compute
from echosyn.progress import silent

TELL_EVERY_S = 0.5


class Board:
    """What the workers tell the one who waits; an actor of Ray."""

    def __init__(self) -> None:
        self.groups = 0
        self.said: tuple[str, int, int] | None = None
        self.mistake: tuple[str, str] = ("", "")
        self.result: dict[str, Any] = {}

    def progress(self, what: str, done: int, total: int) -> None:
        """Steps that are done."""
        self.said = (what, done, total)

    def begin(self) -> None:
        """Another group of workers is at it."""
        self.groups += 1

    def latest(self) -> tuple[int, tuple[str, int, int] | None]:
        """How many groups there were, and the latest progress."""
        return self.groups, self.said

    def wrong(self, kind: str, message: str) -> None:
        """A user's mistake: the name of the error, and what it says."""
        self.mistake = (kind, message)

    def right(self, result: dict[str, Any]) -> None:
        """The training is done."""
        self.result = result

    def verdict(self) -> tuple[str, str, dict[str, Any]]:
        """The mistake, two empty words if there is none, and the result."""
        return (*self.mistake, self.result)


def work(task: dict[str, Any]) -> None:
    """What each worker does. A user's mistake would only be repeated: those who come after it leave at once."""
    import ray

    from echosyn.pipeline.train.train import train as train_here

    board, call = task["board"], dict(task["call"])
    if ray.get(board.verdict.remote())[0]:
        return
    try:
        if not Path(task["folder"]).is_dir():
            raise DataError(f"{task['folder']}: not on {os.uname().nodename}; all machines must share the filesystem")
        os.chdir(task["folder"])
        is_main = os.environ["RANK"] == "0"
        told = Telling(board) if is_main else silent
        if is_main:
            board.begin.remote()
        result = train_here(*call.pop("arguments"), compute=Compute(call.pop("device"), progress=told), **call)
        if is_main:
            ray.get(board.right.remote(result))
    except EchosynError as error:
        ray.get(board.wrong.remote(type(error).__name__, str(error)))
        raise


class Telling:
    """Progress to a board, now and then."""

    def __init__(self, board: Any) -> None:
        self.board, self._at = board, 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        """Tell it, unless it was told just now."""
        if done == total or time.monotonic() - self._at > TELL_EVERY_S:
            self.board.progress.remote(what, done, total)
            self._at = time.monotonic()
