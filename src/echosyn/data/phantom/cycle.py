"""The heart's cycle: when the left ventricle empties and fills, and when the mitral valve opens."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echosyn import rng
from echosyn.data.phantom.parameters import Patient

Array = NDArray[np.float64]

# Seconds of constant volume at end-diastole and at end-systole. At 20 fps or more a frame falls into each of them, so
# the largest and the smallest recorded volume are EDV and ESV exactly.
_CONTRACTION = 0.055
_RELAXATION = 0.07


@dataclass(frozen=True)
class Motion:
    """What moves the heart, per frame, each of shape ``(T,)``."""

    emptied: Array
    """Part of the stroke volume that has left the ventricle: 0 at end-diastole, 1 at end-systole."""
    mitral: Array
    """Opening of the mitral valve, 0..1."""
    drift_x: Array
    """Movement of the probe in cm."""
    drift_y: Array


def motion(patient: Patient) -> Motion:
    """The motion of every recorded frame."""
    generator = rng.numpy_generator(patient.seed, "phantom beats", patient.index)
    mean = 60 / patient.heart_rate
    num_beats = int(np.ceil(patient.num_frames / patient.fps / mean * 1.1)) + 2
    durations = mean * (1 + patient.irregularity * generator.standard_normal(400).clip(-1.5, 1.5)[:num_beats])
    starts = np.concatenate([[0.0], np.cumsum(durations)])
    time = patient.start * durations[0] + np.arange(patient.num_frames) / patient.fps
    beat = np.searchsorted(starts, time, side="right") - 1
    emptied, mitral = _beat(patient, time - starts[beat], durations[beat])
    breath = 2 * np.pi * (time / 3.7 + patient.start)
    return Motion(emptied, mitral, patient.drift * np.cos(breath), patient.drift * np.sin(breath))


def _beat(patient: Patient, time: Array, duration: Array) -> tuple[Array, Array]:
    """Emptied part and mitral opening, ``time`` seconds after end-diastole in a beat of ``duration`` seconds."""
    systole = 0.385 - 0.0009 * patient.heart_rate
    ejection = systole - _CONTRACTION
    filling = duration - systole - _RELAXATION
    ejected = _step(((time - _CONTRACTION) / ejection).clip(0, 1) ** 0.9)
    q = (time - systole - _RELAXATION) / filling
    filled = patient.early_filling * _step(q / 0.45) + (1 - patient.early_filling) * _step((q - 0.66) / 0.34)
    early = _step(q / 0.14) * (1 - 0.65 * _step((q - 0.18) / 0.3))
    atrial = 0.4 * _step((q - 0.64) / 0.12)
    mitral = (early + atrial) * (1 - _step((q - 0.86) / 0.14))
    return ejected * (1 - filled), mitral


def _step(x: Array) -> Array:
    """A smooth step from 0 at x <= 0 to 1 at x >= 1, exact at both ends."""
    x = x.clip(0.0, 1.0)
    return x * x * (3 - 2 * x)
