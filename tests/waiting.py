"""Waiting for what happens by itself, on however slow a machine."""

import time
from collections.abc import Callable


def until(is_so: Callable[[], object], said: Callable[[], str] = str, patience_s: float = 60) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < end, f"nothing happened for {patience_s} s: {said()}"
        time.sleep(0.02)
