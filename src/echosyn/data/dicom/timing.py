"""Frames per second of a cine, from the tags that may say it, never guessed."""

import math
from collections.abc import Callable, Sequence

from echosyn.data.dicom.faults import BadDicomError
from echosyn.data.dicom.reading import Dataset

LOW, HIGH = 1.0, 1000.0
"""Frames per second that a cine can have; other values are slips of a unit, and the next tag is asked."""
EVEN = 0.1
"""Relative difference between frame times up to which a vector of them counts as one rate."""


def frame_rate(found: Dataset, given: float | None = None) -> tuple[float, str]:
    """Frames per second and where they are from.

    The first usable of FrameTimeVector, FrameTime, CineRate, RecommendedDisplayFrameRate (DICOM PS3.3 C.7.6.5), then
    ``given``.

    Args:
        found: The data set.
        given: What the user says, for files that say nothing; its source is called ``given``.

    Raises:
        BadDicomError: Nothing says it.
    """
    ways: dict[str, Callable[[Dataset], float]] = {
        "FrameTimeVector": _vector,
        "FrameTime": lambda ds: 1000 / float(ds.FrameTime),
        "CineRate": lambda ds: float(ds.CineRate),
        "RecommendedDisplayFrameRate": lambda ds: float(ds.RecommendedDisplayFrameRate),
    }
    for source, read in ways.items():
        try:
            fps = read(found)
        except (AttributeError, TypeError, ValueError, ZeroDivisionError):
            continue
        if math.isfinite(fps) and LOW <= fps <= HIGH:
            return fps, source
    if given is None:
        raise BadDicomError("no frame rate", "no tag says it; give it: --fps NUMBER")
    return given, "given"


def is_even(found: Dataset) -> bool:
    """Whether the frames are equally far apart, as far as a FrameTimeVector tells."""
    try:
        times = _increments(found)
    except (AttributeError, TypeError, ValueError):
        return True
    return max(times) - min(times) <= EVEN * sum(times) / len(times)


def _vector(found: Dataset) -> float:
    times = _increments(found)
    return 1000 * len(times) / sum(times)


def _increments(found: Dataset) -> Sequence[float]:
    """Milliseconds from each frame to the next; the vector's first entry belongs to no pair of frames."""
    times = [float(time) for time in found.FrameTimeVector]
    if len(times) != int(found.NumberOfFrames) or len(times) < 2:
        raise ValueError("one increment a frame")
    return times[1:]
