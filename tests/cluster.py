"""A Ray cluster of several nodes on this machine, beside whatever else runs here: own ports, own folder, own processes."""

import atexit
import contextlib
import ctypes
import functools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from waiting import until

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src"


@dataclass(eq=False)
class Node:
    """``ray start --block`` and all that it began."""

    launcher: subprocess.Popen[bytes]
    log: Path
    known: dict[int, psutil.Process] = field(default_factory=dict)

    def processes(self) -> list[psutil.Process]:
        """Every process of this node that runs now, workers too."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in [
                psutil.Process(self.launcher.pid),
                *psutil.Process(self.launcher.pid).children(recursive=True),
            ]:
                self.known[process.pid] = process
        return [process for process in self.known.values() if process.is_running()]

    @property
    def joined(self) -> bool:
        assert self.launcher.poll() is None, self.log.read_text()
        return "Ray runtime started" in self.log.read_text()

    def kill(self) -> None:
        """As if its plug were pulled: nothing of it says goodbye."""
        killed = self.processes()
        for process in killed:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(killed, timeout=10)
        self.launcher.wait(10)


def is_actor(process: psutil.Process) -> bool:
    """Whether it is an actor of `echosyn.apps.ray.executor`, at work or waiting for it."""
    with contextlib.suppress(psutil.Error):
        return bool(process.cmdline()) and process.cmdline()[0].startswith("ray::Worker")
    return False


@dataclass(eq=False)
class Cluster:
    """Nodes of this machine; the first is the head."""

    folder: Path
    port: int
    nodes: list[Node] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, cpus: int = 1, gpus: int = 0) -> Node:
        """Begin a node, and do not wait for it."""
        if self.nodes:
            role = [f"--address={self.address}"]
        else:
            role = ["--head", f"--port={self.port}", f"--temp-dir={self.folder}", "--include-dashboard=false"]
            role += [f"--ray-client-server-port={free_port()}"]
        role += ["--min-worker-port=0", "--max-worker-port=0", "--disable-usage-stats", "--include-log-monitor=false"]
        role += [
            "--node-ip-address=127.0.0.1",
            f"--num-cpus={cpus}",
            f"--num-gpus={gpus}",
            "--object-store-memory=100000000",
        ]
        name = f"node{len(self.nodes)}"
        path = os.pathsep.join([str(SOURCE), str(TESTS)])
        with (self.folder / f"{name}.log").open("wb") as log:
            launcher = subprocess.Popen(
                [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *role],
                env=os.environ
                | authenticated()
                | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        self.nodes.append(Node(launcher, self.folder / f"{name}.log"))
        return self.nodes[-1]

    def join(self, cpus: int = 1, gpus: int = 0) -> Node:
        """Begin a node; it is in when this returns."""
        node = self.start(cpus, gpus)
        until(lambda: node.joined, node.log.read_text)
        return node

    def actors(self) -> list[psutil.Process]:
        return [process for node in self.nodes for process in node.processes() if is_actor(process)]

    def stop(self) -> None:
        """End every process of every node."""
        for node in reversed(self.nodes):
            node.kill()
        remove(self.folder)


@contextlib.contextmanager
def cluster(nodes: int = 2, gpus: int = 0) -> Iterator[Cluster]:
    """A cluster of nodes with a CPU each, and GPUs that they only pretend to have, as long as it is needed."""
    made = Cluster(short_folder(), free_port())
    try:
        for _ in range(nodes):
            made.join(gpus=gpus)
        yield made
    finally:
        made.stop()


def _end_with_parent() -> None:
    """Linux sends SIGTERM when the parent ends in whatever way; ``ray start`` then ends all that it began."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


@functools.cache
def authenticated() -> dict[str, str]:
    """Let this process and the nodes that it starts have a token of their own, whatever the user has at home."""
    if "RAY_AUTH_TOKEN_PATH" in os.environ:  # this process was started by one that has been here
        return {}
    folder = short_folder()
    atexit.register(remove, folder)
    (folder / "token").write_text(secrets.token_hex(32))
    own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(folder / "token")}
    os.environ.update(own)
    return own


def short_folder() -> Path:
    """For sockets, whose paths have at most 107 bytes."""
    return Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


authenticated()  # before anything imports ray, which reads it once
