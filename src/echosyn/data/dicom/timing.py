"""Which frames of a cine are shown and when, from the tags that may say it, never guessed."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from echosyn.data import timing
from echosyn.data.dicom.faults import BadDicomError
from echosyn.data.dicom.reading import Dataset

MICROSECOND = Fraction(1, 1_000_000)
LOW, HIGH = 1.0, 1000.0
"""Frames per second that a cine can have; other values are slips of a unit, and the next tag is asked."""
PAUSE_S, PAUSE_FRAMES = 0.1, 4.0
"""A gap that is longer than this many seconds and than this many usual intervals is a pause, not a dropped frame: a
heart does much meanwhile."""
_UNUSABLE = (AttributeError, TypeError, ValueError, ZeroDivisionError)


@dataclass(frozen=True, eq=False)
class KeptFrames:
    """The frames to keep, at one rate."""

    indices: NDArray[np.int64]
    """``(N,)``: of the stored frames, one for each moment."""
    fps: float
    source: str
    notes: tuple[str, ...] = ()


def times(found: Dataset, given: float | None = None) -> KeptFrames:
    """What the trims keep, at a constant rate; frames at uneven times are resampled, nothing is sped up or slowed down.

    Raises:
        BadDicomError: No tag says the rate, or the recording pauses.
    """
    fps, source = frame_rate(found, given)
    first, last, note = _trimmed(found)
    kept = np.arange(first, last + 1)
    if source != "FrameTimeVector" or len(kept) < 2:
        return KeptFrames(kept, fps, source, (note,) if note else ())
    at = np.concatenate([[0.0], np.cumsum(_increments(found))])[kept] / 1000
    _refuse_pause(np.diff(at))
    try:
        steady = timing.steady(np.rint(at / float(MICROSECOND)).astype(int).tolist(), 0, MICROSECOND, ())
    except timing.StampsError as error:
        raise BadDicomError("no frame rate", f"{error}; remove FrameTimeVector, or give --fps") from None
    if steady is None:
        raise BadDicomError("no frame rate", "all frames have one time; remove FrameTimeVector, or give --fps")
    if steady.repeats is None:
        return KeptFrames(kept, steady.fps, source, (note,) if note else ())
    uneven = "uneven frame times: resampled to a constant rate"
    return KeptFrames(
        np.repeat(kept, steady.repeats), steady.fps, source, tuple(said for said in (note, uneven) if said)
    )


def _trimmed(found: Dataset) -> tuple[int, int, str]:
    """First and last frame to show, from 0, and what to say about it."""
    count = int(found.NumberOfFrames)
    try:
        start, stop = int(found.get("StartTrim") or 1), int(found.get("StopTrim") or count)
    except _UNUSABLE:
        start, stop = 0, 0
    if not 1 <= start <= stop <= count:
        return 0, count - 1, "StartTrim and StopTrim are no frames of it: all taken"
    note = f"frames {start} to {stop} of {count}, as StartTrim and StopTrim say"
    return start - 1, stop - 1, "" if (start, stop) == (1, count) else note


def _refuse_pause(intervals_s: NDArray[np.float64]) -> None:
    pauses = intervals_s > max(PAUSE_S, PAUSE_FRAMES * float(np.median(intervals_s)))
    if pauses.any():
        raise BadDicomError(
            "pause between frames",
            f"{pauses.sum()} gap(s) of up to {intervals_s.max():.2f} s, where frames are {np.median(intervals_s):.3f} s "
            "apart: beats that do not follow one another; export each on its own",
        )


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
        except _UNUSABLE:
            continue
        if math.isfinite(fps) and LOW <= fps <= HIGH:
            return fps, source
    if given is None:
        raise BadDicomError("no frame rate", "no tag says it; give it: --fps NUMBER")
    return given, "given"


def _vector(found: Dataset) -> float:
    increments = _increments(found)
    return 1000 * len(increments) / sum(increments)


def _increments(found: Dataset) -> Sequence[float]:
    """Milliseconds from each frame to the next; the vector's first entry belongs to no pair of frames."""
    vector = [float(time) for time in found.FrameTimeVector]
    if len(vector) != int(found.NumberOfFrames) or len(vector) < 2 or not all(0 <= t < math.inf for t in vector[1:]):
        raise ValueError("one increment a frame, none negative")
    return vector[1:]
