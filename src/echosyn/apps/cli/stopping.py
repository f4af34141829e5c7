"""What a command says when it is stopped: how to go on. Its exit code tells who stopped it, as before."""

import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

CONTINUES = frozenset(
    {
        "animate",
        "calibrate",
        "encode",
        "evaluate",
        "export",
        "fetch",
        "generate",
        "import",
        "phantom",
        "quickstart",
        "reference",
        "reproduce",
        "run",
        "sample",
    }
)
"""Verbs that skip what they have finished when they are given again."""

AGAIN = "the same command continues with what is finished"


@contextmanager
def cure_told(verb: str, values: Mapping[str, Any]) -> Iterator[None]:
    """Say on stderr how to go on when the block is stopped by Ctrl-C or SIGTERM, which end it as they do without this."""
    cure = _cure(verb, values)
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    process = os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        if os.getpid() == process:  # and not a worker that was forked
            _say(cure)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    except KeyboardInterrupt as stop:
        _say(str(stop) or cure)
        raise
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _cure(verb: str, values: Mapping[str, Any]) -> str:
    if verb == "train" and not values.get("resume"):
        return "the same command with --resume continues from the last checkpoint"
    return AGAIN if verb in CONTINUES or verb == "train" else "the same command begins anew"


def _say(cure: str) -> None:
    start = "\n" if sys.stderr.isatty() else ""  # a moving line may be there
    sys.stderr.write(f"{start}stopped: {cure}\n")
    sys.stderr.flush()
