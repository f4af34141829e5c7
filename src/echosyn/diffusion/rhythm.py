"""When a heart empties and fills: a small Gaussian of beats, learned from volume curves, that new videos draw from.

A *course* is one number a frame: the part of the stroke volume that has left the ventricle, 0 at end-diastole, 1 at
end-systole. It says nothing of shape or size, and a drawn one belongs to no patient.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped, unused-ignore]

Array = NDArray[np.float64]

NUM_POINTS = 32
"""Points of a beat's shape, from one mid-contraction to the next."""
SMOOTHING_S = 0.03
"""Seconds over which a course is smoothed before its beats are read."""
MOST_UNEVEN = 1.4
"""Longest over shortest beat of a heart that is learned from."""
NUM_PATTERNS = 4
"""Ways in which beats differ that are kept; the first is mostly the heart rate."""


@dataclass(frozen=True)
class Rhythm:
    """Beats as ``mean + sum of patterns * standard normal``; entries: log duration in s, then the shape's points."""

    mean: Array
    patterns: Array
    """``(NUM_PATTERNS, 1 + NUM_POINTS)``."""
    irregularity: float
    """Relative standard deviation of a heart's durations."""
    shortest: float
    """Seconds; no drawn heart is faster or slower than those learned from."""
    longest: float

    def to_array(self) -> Array:
        """Everything in one array ``(NUM_PATTERNS + 2, NUM_POINTS + 1)``, as it is kept beside a network's weights."""
        limits = np.zeros(NUM_POINTS + 1)
        limits[:3] = self.irregularity, self.shortest, self.longest
        return np.vstack([self.mean, self.patterns, limits])

    @classmethod
    def from_array(cls, array: Array) -> "Rhythm":
        """The inverse of `to_array`."""
        irregularity, shortest, longest = (float(v) for v in array[-1, :3])
        return cls(array[0], array[1:-1], irregularity, shortest, longest)

    def draw(self, generator: np.random.Generator, num_frames: int, fps: float) -> Array:
        """The course of a new heart, ``(num_frames,)``, starting anywhere in its beat."""
        beat = self.mean + generator.standard_normal(len(self.patterns)) @ self.patterns
        duration = float(np.exp(beat[0]).clip(self.shortest, self.longest))
        num_beats = int(np.ceil(num_frames / fps / duration * 1.2)) + 2
        durations = duration * (1 + self.irregularity * generator.standard_normal(400).clip(-2, 2)[:num_beats])
        starts = np.concatenate([[0.0], np.cumsum(durations)])
        time = generator.uniform() * durations[0] + np.arange(num_frames) / fps
        at = np.searchsorted(starts, time, side="right") - 1
        phase = (time - starts[at]) / durations[at]
        shape = beat[1:] - beat[1:].min()
        course: Array = np.interp(phase, np.linspace(0, 1, NUM_POINTS), shape / shape.max())
        return course


def learn(courses: Sequence[Array], fps: float) -> Rhythm:
    """Fit `Rhythm` to courses of hearts.

    Those that hold no whole beat are left out, and those whose beats differ by more than `MOST_UNEVEN`: where a heart hardly
    moves, noise of its tracking looks like beats.

    Raises:
        ValueError: fewer than two hearts are left.
    """
    beats, spreads = [], []
    for measured in courses:
        course = ndimage.gaussian_filter1d(measured, SMOOTHING_S * fps, mode="nearest")
        starts = contractions(course)
        if len(starts) < 2 or np.diff(starts).max() > MOST_UNEVEN * np.diff(starts).min():
            continue
        durations = np.diff(starts) / fps
        points = [np.linspace(a, b, NUM_POINTS) for a, b in pairwise(starts)]
        shape = np.mean([np.interp(p, np.arange(len(course)), course) for p in points], axis=0)
        beats.append(np.concatenate([[np.log(durations.mean())], shape]))
        if len(durations) > 1:
            spreads.append(durations.std(ddof=1) / durations.mean())
    if len(beats) < 2:
        raise ValueError(f"{len(beats)} course(s) hold a whole beat, expected at least 2")
    x = np.stack(beats)
    _, values, patterns = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    kept = patterns[:NUM_PATTERNS] * values[:NUM_PATTERNS, None] / np.sqrt(len(x) - 1)
    low, high = np.exp(np.quantile(x[:, 0], [0.01, 0.99]))
    return Rhythm(x.mean(axis=0), kept, float(np.mean(spreads)) if spreads else 0.0, float(low), float(high))


def contractions(course: Array) -> Array:
    """Times, in frames, at which the course rises through one half."""
    before, after = course[:-1] - 0.5, course[1:] - 0.5
    rising = np.flatnonzero((before < 0) & (after >= 0))
    return rising + before[rising] / (before[rising] - after[rising])
