"""Functions whose process dies, for workers to import: as a decoder's fault ends it."""

import os
import signal
import time
from collections.abc import Iterator

from echosyn.data.dicom import item, pixels
from echosyn.data.dicom.item import Identity, Outcome, Task
from echosyn.data.dicom.reading import Dataset
from echosyn.data.video import Frames


def at_three(number: int) -> int:
    """Dies at 3 and 4 in two ways, else the square."""
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 4:
        os._exit(0)
    return number**2


def never_ends(number: int) -> int:
    """Sleeps for ever at 3, else the square."""
    while number == 3:
        time.sleep(60)
    return number**2


def run(task: Task) -> Outcome:
    """`item.run` with a decoder that dies at files called ``killer``."""
    if task.path.stem.startswith("killer"):
        pixels.frames = _killed
    return item.run(task)


def identify(path: os.PathLike[str]) -> Identity:
    """`item.identify` that dies at files called ``header``."""
    if os.path.basename(path).startswith("header"):  # noqa: PTH119
        os.kill(os.getpid(), signal.SIGSEGV)
    return _identify(path)  # type: ignore[arg-type]


_identify = item.identify


def _killed(found: Dataset) -> Iterator[Frames]:
    os.kill(os.getpid(), signal.SIGKILL)
    yield from ()
