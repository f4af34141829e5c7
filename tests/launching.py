"""``accelerate launch`` with several processes on the CPU, for tests: run to the end, or started and watched."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from echosyn import weights
from echosyn.hashing import file_hash
from echosyn.training import checkpoint

LIMIT_S = 600.0
"""No test waits longer."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1"}


def launch(processes: int, *arguments: object, launcher: tuple[object, ...] = ()) -> list[str]:
    """The command line of `echosyn ARGUMENTS` on several processes; ``launcher`` are further flags of the launcher."""
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", str(processes)]
    command += ["--mixed_precision", "no", "--dynamo_backend", "no"]
    command += ["--num_machines", "1", "--main_process_port", "0"] if "--num_machines" not in launcher else []
    return [*command, *map(str, launcher), "-m", "echosyn", *map(str, arguments)]


def launched(processes: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    command, environment = launch(processes, *arguments), os.environ | ONE_THREAD
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, env=environment)


@contextmanager
def running(command: list[str]) -> Iterator[psutil.Popen]:
    """A process that ends, with all that it started, when the block does."""
    process = psutil.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | ONE_THREAD
    )
    try:
        yield process
    finally:
        left = [process, *process.children(recursive=True)] if process.is_running() else []
        for one in left:
            end(one)
        process.communicate()


def end(process: psutil.Process) -> None:
    """``kill -9``, whether it still runs or not."""
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def wait_until(true: Callable[[], bool], process: psutil.Popen) -> None:
    """Wait for something to become true while a process runs."""
    limit = time.monotonic() + LIMIT_S
    while not true():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < limit
        time.sleep(0.005)


def same(last: int, one: Path, other: Path) -> bool:
    """Whether two runs end with the same log, models and state (networks, averages, optimizers), to the byte."""
    steps = [checkpoint.step_of(checkpoint.found(run)[0]) for run in (one, other)]
    files = ["metrics.jsonl", f"checkpoints/{checkpoint.PREFIX}{last:09d}/{checkpoint.STATE}"]
    return (
        steps == [last, last]
        and all(file_hash(one / name) == file_hash(other / name) for name in files)
        and all(weights.weights_hash(one / m) == weights.weights_hash(other / m) for m in ("model", "model-raw"))
    )


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def of_rank(launcher: psutil.Process, rank: int) -> psutil.Process:
    """The training process of a launcher with this rank."""
    (found,) = [p for p in launcher.children(recursive=True) if p.environ().get("RANK") == str(rank)]
    return found
