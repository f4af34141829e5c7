"""Whatever happens to a process, every item comes back exactly once, and the work ends."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import psutil
import pytest

import dying
import working
from echosyn.pipeline.workers import processes
from echosyn.pipeline.workers.processes import each


@pytest.mark.parametrize("workers", [1, 2])
def test_an_item_that_kills_its_process_costs_only_itself(workers: int) -> None:
    found = list(each(dying.at_three, range(9), workers))
    assert sorted(number for number, _ in found) == list(range(9))
    assert dict(found) == {number: None if number in (3, 4) else number**2 for number in range(9)}


def test_an_item_that_never_ends_costs_only_itself() -> None:
    assert dict(each(dying.never_ends, range(2, 5), 1, limit_s=0.5)) == {2: 4, 3: None, 4: 16}


class BrokenPool:
    """Dies while its owner looks away: the next submission tells."""

    submitted = 0

    def submit(self, function: Callable[[int], int], item: int) -> Future[int]:
        if item == 2:
            raise BrokenProcessPool
        future: Future[int] = Future()
        future.set_result(function(item))
        return future

    def shutdown(self, **_: Any) -> None:
        pass


def test_the_item_at_whose_submission_a_dead_process_is_noticed_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def alone(function: Callable[[int], int], item: int) -> int:
        return function(item)

    monkeypatch.setattr(processes, "_pool", lambda workers: BrokenPool())
    monkeypatch.setattr(processes, "_alone", alone)
    found: Iterator[tuple[int, int | None]] = each(abs, range(4), 1)
    assert sorted(found) == [(number, number) for number in range(4)]


def test_ctrl_c_does_not_wait_for_what_runs(tmp_path: Path) -> None:
    def interrupt() -> None:
        while not any(tmp_path.iterdir()):
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # type: ignore[arg-type]

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Thread(target=interrupt, daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            list(each(dying.says_and_never_ends, [tmp_path], 1))
    finally:
        signal.signal(signal.SIGINT, before)
    (process,) = (int(path.name) for path in tmp_path.iterdir())
    psutil.wait_procs([psutil.Process(process)] if psutil.pid_exists(process) else [], timeout=30)
    assert not psutil.pid_exists(process)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere workers are spawned")
def test_workers_come_with_what_was_prepared() -> None:
    script = (
        "from echosyn.pipeline.workers import processes; import working\n"
        "if __name__ == '__main__':\n"
        "    processes.prepare('colorsys')\n"
        "    print(dict(processes.each(working.imported, ['colorsys', 'sunau'], 1)))"
    )
    tests = {"PYTHONPATH": str(Path(working.__file__).parent)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env=os.environ | tests,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "{'colorsys': True, 'sunau': False}"
