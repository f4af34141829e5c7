"""A command that is stopped says how to go on, and ends as if it had said nothing."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from echosyn.apps.cli.stopping import AGAIN, cure_told


def stopped(verb: str, number: int, **values: object) -> subprocess.CompletedProcess[str]:
    code = (
        "import os; from echosyn.apps.cli.stopping import cure_told\n"
        f"with cure_told({verb!r}, {values!r}): os.kill(os.getpid(), {int(number)}); print('went on')"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_a_terminated_command_says_that_the_same_one_continues() -> None:
    end = stopped("run", signal.SIGTERM)
    assert (end.returncode, end.stdout, end.stderr) == (-signal.SIGTERM, "", f"stopped: {AGAIN}\n")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """As Python starts in a terminal: a job in the background of a script inherits that SIGINT is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    ("verb", "values", "said"),
    [
        ("generate", {}, AGAIN),
        ("train", {"resume": False}, "the same command with --resume continues"),
        ("train", {"resume": True}, AGAIN),
        ("publish", {}, "begins anew"),
    ],
)
def test_ctrl_c_says_what_this_verb_does_and_stays_an_interrupt(
    verb: str, values: dict[str, object], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), cure_told(verb, values):
        os.kill(os.getpid(), signal.SIGINT)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("stopped: ")
    assert said in line
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_a_step_says_itself_goes_first(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), cure_told("train", {}):
        raise KeyboardInterrupt("terminated at step 7")
    assert capsys.readouterr().err == "stopped: terminated at step 7\n"
