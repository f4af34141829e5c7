"""Functions whose process dies, for workers to import: as a decoder's fault ends it. What they need is imported late."""

import os
import signal
import time
from pathlib import Path
from typing import Any


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


def run(task: Any) -> Any:
    """`item.run` with a decoder that dies at files called ``killer``."""
    from echosyn.data.dicom import item, pixels

    if task.path.stem == "killer":
        pixels.frames = _killed
    return item.run(task)


def identify(path: Path) -> Any:
    """`item.identify` with a parser that dies at files called ``header``."""
    from echosyn.data.dicom import item, reading

    if path.stem == "header":
        reading.header = _killed
    return item.identify(path)


def _killed(_: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def says_and_never_ends(folder: Path) -> None:
    """Leave a file with this process's number as its name."""
    (folder / str(os.getpid())).touch()
    while True:
        time.sleep(60)
