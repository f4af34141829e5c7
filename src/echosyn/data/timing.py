"""Time stamps -> one constant frame rate, without time gained or lost."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

SUSTAINED = 8
"""Intervals over which a rate must hold before it counts as the highest of a video of variable rate."""
_MOST = 10
_FEW = 500
"""A video may become this many times longer, or this many frames long, by holding frames; beyond that stamps are wrong."""
_JITTER = 0.5
Numbers = NDArray[np.float64]


class StampsError(ValueError):
    """No constant rate can stand for these time stamps."""


@dataclass(frozen=True)
class Times:
    """The constant rate at which a video is read, and what it takes to keep its time."""

    fps: float
    repeats: tuple[int, ...] | None = None
    """How many times each decoded frame is shown; None where every frame is shown once."""
    variable: bool = False
    """Whether the rate itself varies, rather than single frames being held for some whole intervals."""
    coarse: tuple[float, float] | None = None
    """Between which rates the true one lies, where the container's clock is too coarse to tell."""

    @property
    def num_frames(self) -> int | None:
        """Frames of the result; None if as many as were decoded."""
        return None if self.repeats is None else sum(self.repeats)

    def place(self, frame: int) -> int:
        """Where a decoded frame is in the result; the nearest one for a frame that is not shown."""
        if self.repeats is None or not 0 <= frame < len(self.repeats):
            return frame
        return min(sum(self.repeats[:frame]), sum(self.repeats) - 1)

    def hold(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Frames of the constant rate."""
        return frames if self.repeats is None else np.repeat(frames, self.repeats, axis=0)


def steady(stamps: Sequence[int], last: int, tick: Fraction, said: Sequence[Fraction]) -> Times | None:
    """Find the constant rate of a video.

    A rate that the container says counts where the stamps are what it would round to. Else frames that lie whole
    numbers of one interval apart are held for that number of intervals (dropped or merged frames). Else a jitter of
    less than half a frame about the mean rate is only that. Else the rate varies: the result has the highest rate that
    holds for `SUSTAINED` intervals, and shows at each of its instants what a player would show.

    Args:
        stamps: when each frame begins to be shown, in ticks, ascending.
        last: for how many ticks the last is shown; 0 if that is not known.
        tick: in seconds.
        said: rates of the container, the most trusted first.

    Returns:
        None if there is nothing to tell a rate from.

    Raises:
        StampsError: frames would be held for so long that the stamps must be wrong.
    """
    at = np.asarray(stamps, np.float64) - (stamps[0] if stamps else 0)
    if len(at) < 2 or at[-1] <= 0:
        return Times(float(said[0])) if said else None
    for rate in said:
        interval = float(1 / (rate * tick))
        if _fits(at, np.arange(len(at), dtype=np.float64) * interval):
            return _held(np.ones(len(at) - 1), last, interval, float(rate))
    steps = _whole_steps(at)
    if steps is not None:
        interval = float(at[-1] / steps.sum())
        return _held(steps, last, interval, _known(interval, tick, said, float(steps.sum())))
    interval = float(at[-1] / (len(at) - 1))
    if _jitters(at, interval):
        return _held(np.ones(len(at) - 1), last, interval, _known(interval, tick, said, len(at) - 1.0))
    return _resampled(at, last, tick, said)


def _fits(at: Numbers, ideal: Numbers) -> bool:
    """Whether stamps are what a clock of whole ticks makes of ideal ones: they differ by less than one tick."""
    off = at - ideal
    return bool(off.max() - off.min() < 1 - 1e-6)


def _whole_steps(at: Numbers) -> Numbers | None:
    """How many equal intervals lie between one frame and the next, if whole numbers of them do."""
    apart = np.diff(at)
    if apart.min() <= 0:
        return None
    usual = float(np.median(apart[apart < 1.5 * apart.min()]))
    steps = np.round(apart / usual)
    ideal = np.concatenate([[0], np.cumsum(steps)])
    return steps if _fits(at, ideal * at[-1] / ideal[-1]) else None


def _jitters(at: Numbers, interval: float) -> bool:
    off = at - np.arange(len(at)) * interval
    apart = np.diff(at)
    near = off.max() - off.min() < 2 * _JITTER * interval
    return bool(near and apart.max() < (1 + _JITTER) * interval and apart.min() > (1 - _JITTER) * interval)


def _known(interval: float, tick: Fraction, said: Sequence[Fraction], steps: float) -> float:
    """The rate of an interval in ticks: one that the container says, if the stamps do not tell them apart."""
    for rate in said:
        if abs(float(1 / (rate * tick)) - interval) * steps < 1:
            return float(rate)
    return float(1 / (Fraction(interval).limit_denominator(100_000) * tick))


def _held(steps: Numbers, last: int, interval: float, fps: float) -> Times:
    repeats = np.append(steps, max(1, round(last / interval))).astype(int)
    if (repeats == 1).all():
        return Times(fps)
    return Times(fps, _bounded(repeats))


def _resampled(at: Numbers, last: int, tick: Fraction, said: Sequence[Fraction]) -> Times:
    window = min(SUSTAINED, len(at) - 1)
    shortest = float((at[window:] - at[:-window]).min()) / window
    if shortest <= 0:
        raise StampsError(f"{window + 1} frames have one time stamp")
    fps = _known(shortest, tick, said, window)
    interval = float(1 / (Fraction(fps) * tick))
    ends = np.append(at[1:], at[-1] + (last or at[-1] - at[-2]))
    if ends[-1] / interval > _allowed(len(at)):
        raise _too_long(len(at), ends[-1] / interval)
    middles = (np.arange(max(1, round(ends[-1] / interval))) + 0.5) * interval
    shown = np.minimum(np.searchsorted(ends, middles, side="right"), len(at) - 1)
    return Times(fps, _bounded(np.bincount(shown, minlength=len(at))), variable=True)


def _allowed(num_frames: int) -> int:
    return max(_MOST * num_frames, _FEW)


def _bounded(repeats: NDArray[np.int_]) -> tuple[int, ...]:
    if repeats.sum() > _allowed(len(repeats)):
        raise _too_long(len(repeats), float(repeats.sum()))
    return tuple(int(n) for n in repeats)


def _too_long(num_frames: int, wanted: float) -> StampsError:
    return StampsError(f"{num_frames} frames are spread over the time of {wanted:.0f}")
