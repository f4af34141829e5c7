"""Joining a Ray cluster: its settings, its token, and whether it answers."""

import os
import secrets
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from echosyn.errors import StoppedError

OBJECT_STORE_BYTES = 200_000_000
"""Shared memory of a cluster of this machine alone. Items and results are small, large things are files."""

ANSWER_S = 3.0
"""How long the head of a cluster may take to answer a call."""

SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_AUTO_CONNECT": "0", "RAY_worker_niceness": "0"}
"""Ray reports nothing to its makers, and joins no cluster but the one it is told to: a call too late would join any it finds.
Workers of a local cluster are the main job, as they are without Ray, whose default is niceness 15."""


class ClusterError(StoppedError):
    """A cluster cannot be joined, lacks what is asked of it, or is gone."""


@contextmanager
def own_token() -> Iterator[None]:
    """Only who has a token may use a cluster; without this Ray leaves one at home, and later clusters there ask for it."""
    if any(name in os.environ for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")):
        yield
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "token"
        path.touch(0o600)
        path.write_text(secrets.token_hex(32))
        own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(path)}
        os.environ.update(own)
        try:
            yield
        finally:
            for name in own:
                os.environ.pop(name, None)


def silence() -> None:
    """Ray tells of workers and nodes that died on stdout, where the result belongs, and has no setting for it."""
    from ray._private import worker

    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda *_, **__: None


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
