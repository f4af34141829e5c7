"""The left ventricle's cavity: a shape whose volume by Simpson's rule is the wanted one, in closed form.

Local coordinates are centimetres. A4C: origin at the apex of the cavity at end-diastole, y towards the base. PSAX:
origin in the middle of the cavity. :func:`to_pixels` and :func:`to_local` go to the frame's pixels and back.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echosyn.data.phantom.cycle import Array, Motion
from echosyn.data.phantom.parameters import SIZE, Anatomy, Patient, View

NUM_CHORDS = 20
_PSAX_SCALE = 1.4
_LEVELS = (np.arange(NUM_CHORDS) + 0.5) / NUM_CHORDS


@dataclass(frozen=True)
class Cavity:
    """Size of the cavity per frame, in cm, each of shape ``(T,)``."""

    length: Array
    """Long axis in the image."""
    radius: Array
    """Half of the widest chord."""
    top: Array
    """Local y of the apex (A4C)."""
    wall: Array
    """Mean thickness of the myocardium."""
    closing: Array
    """Further thickness of the wall at the apex (A4C)."""
    taper: Array
    """How much narrower the apex is than at end-diastole, over its width there; the base keeps its share (A4C)."""


def half_width(anatomy: Anatomy, s: Array) -> Array:
    """Half chord over the largest one at ``s`` in 0 (apex) .. 1 (base), A4C."""
    m = anatomy.widest
    apex = (1 - (1 - (s / m).clip(0, 1)) ** 2) ** anatomy.apex_bluntness
    return apex - anatomy.annulus_narrowing * ((s - m) / (1 - m)).clip(0) ** 2


def _half_widths(anatomy: Anatomy, s: Array, taper: Array) -> Array:
    """`half_width` of a ventricle whose apex has narrowed, per frame: ``(T, n)`` at ``(n,)`` or ``(T, n)``."""
    return half_width(anatomy, s) * (1 - taper[:, None] * (1 - s))


def bow(anatomy: Anatomy, s: Array) -> Array:
    """Sideways shift of the chord's middle over the largest half chord, A4C."""
    return 4 * anatomy.bend * s * (1 - s)


def reference_length(view: View, anatomy: Anatomy, edv: float) -> float:
    """The end-diastolic length in cm that :attr:`Probe.heart_pixels` counts."""
    length = _diastolic_length(view, anatomy, edv)
    return length if view == "A4C" else _PSAX_SCALE * length


def _diastolic_length(view: View, anatomy: Anatomy, edv: float) -> float:
    if view == "A4C":
        fullness = float((half_width(anatomy, _LEVELS) ** 2).mean())
        return float((4 * anatomy.elongation**2 * edv / (np.pi * fullness)) ** (1 / 3))
    # Area-length: V = 5/6 * area * length, area = pi/4 * roundness * diameter**2, length = length_ratio * diameter.
    return float((edv / (5 / 24 * np.pi * anatomy.roundness * anatomy.length_ratio)) ** (1 / 3))


def cavity(patient: Patient, emptied: Array) -> Cavity:
    """The cavity whose volume is ``EDV - emptied * (EDV - ESV)``; the area of the wall around it stays the same."""
    anatomy = patient.anatomy
    lost = emptied * patient.ef / 100
    diastolic = _diastolic_length(patient.view, anatomy, patient.edv)
    if patient.view == "PSAX":
        length = diastolic * np.cbrt(1 - lost)
        radius = length / 2 * anatomy.roundness
        # An ellipse with semi-axes a, b and a wall h around it: (a + h)(b + h) - a b = constant.
        half = (length / 2 + radius) / 2
        area = anatomy.wall * (anatomy.wall + diastolic / 2 * (1 + anatomy.roundness))
        return Cavity(
            length, radius, np.zeros_like(length), np.sqrt(half**2 + area) - half, *np.zeros((2, len(length)))
        )
    length = diastolic * (1 - anatomy.longitudinal * lost)
    taper = anatomy.taper * lost
    fullness = (_half_widths(anatomy, _LEVELS, taper) ** 2).mean(1) / (half_width(anatomy, _LEVELS) ** 2).mean()
    radius = diastolic / (2 * anatomy.elongation) * np.sqrt((1 - lost) * diastolic / length / fullness)
    # A strip of thickness h along a contour of length p that turns by pi: area = p h + pi/2 h**2.
    p = 2 * length + 1.6 * radius
    p0 = 2 * diastolic + 1.6 * diastolic / (2 * anatomy.elongation)
    area = p0 * anatomy.wall + np.pi / 2 * anatomy.wall**2
    wall = (np.sqrt(p**2 + 2 * np.pi * area) - p) / np.pi
    closing = anatomy.apex_closing * anatomy.wall * lost
    return Cavity(length, radius, (wall - anatomy.wall) * anatomy.apex_thinning + closing, wall, closing, taper)


def contour(patient: Patient, size: Cavity, num: int) -> Array:
    """Points on the cavity's outline: ``(T, num, 2)``, local cm.

    A4C: from the septal end of the annulus over the apex to its lateral end. PSAX: once around, the first point
    repeated.
    """
    anatomy = patient.anatomy
    if patient.view == "PSAX":
        angle = np.linspace(0, 2 * np.pi, num)
        return _rotate(
            np.stack([size.radius[:, None] * np.cos(angle), size.length[:, None] / 2 * np.sin(angle)], -1),
            anatomy.orientation,
        )
    xi = np.linspace(-1, 1, num)
    s = xi**2
    side = bow(anatomy, s) + np.sign(xi) * _half_widths(anatomy, s, size.taper)
    return np.stack([size.radius[:, None] * side, size.top[:, None] + size.length[:, None] * s], -1)


def chords(patient: Patient, size: Cavity) -> Array:
    """Long axis and 20 chords across it as ``(T, 21, 2 ends, 2)``, local cm."""
    anatomy = patient.anatomy
    if patient.view == "PSAX":
        z = 2 * _LEVELS - 1
        half = size.radius[:, None] * np.sqrt(1 - z**2)
        y = size.length[:, None] / 2 * z
        ends = np.stack([np.stack([-half, y], -1), np.stack([half, y], -1)], 2)
        zero = np.zeros_like(size.length)
        axis = np.stack([np.stack([zero, -size.length / 2], -1), np.stack([zero, size.length / 2], -1)], 1)
        return _rotate(np.concatenate([axis[:, None], ends], 1), anatomy.orientation)
    y = size.top[:, None] + size.length[:, None] * _LEVELS
    middle = size.radius[:, None] * bow(anatomy, _LEVELS)
    half = size.radius[:, None] * _half_widths(anatomy, _LEVELS, size.taper)
    ends = np.stack([np.stack([middle - half, y], -1), np.stack([middle + half, y], -1)], 2)
    zero = np.zeros_like(size.top)
    axis = np.stack([np.stack([zero, size.top], -1), np.stack([zero, size.top + size.length], -1)], 1)
    return np.concatenate([axis[:, None], ends], 1)


def inside(patient: Patient, size: Cavity, points: Array) -> NDArray[np.bool_]:
    """Which of the local ``points (T, N, 2)`` lie in the cavity: ``(T, N)``."""
    within: NDArray[np.bool_]
    if patient.view == "PSAX":
        x, y = np.moveaxis(_rotate(points, -patient.anatomy.orientation), -1, 0)
        within = (x / size.radius[:, None]) ** 2 + (2 * y / size.length[:, None]) ** 2 <= 1
        return within
    x, y = np.moveaxis(points, -1, 0)
    s = (y - size.top[:, None]) / size.length[:, None]
    clipped = s.clip(0, 1)
    off = x / size.radius[:, None] - bow(patient.anatomy, clipped)
    half = _half_widths(patient.anatomy, clipped, size.taper)
    within = (s >= 0) & (s <= 1) & (np.abs(off) <= half)
    return within


def to_probe(patient: Patient, points: Array, motion: Motion) -> Array:
    """Local points ``(T, ..., 2)`` to cm from the fan's apex, x to the right, y down."""
    drift = np.stack([motion.drift_x, motion.drift_y], -1).reshape(-1, *[1] * (points.ndim - 2), 2)
    return _rotate(points, _tilt(patient)) + _origin(patient) + drift


def to_pixels(patient: Patient, points: Array, motion: Motion) -> Array:
    """Local points ``(T, ..., 2)`` to pixels (column, row) of the frame."""
    return to_probe(patient, points, motion) / patient.spacing + [patient.probe.apex_x, patient.probe.apex_y]


def to_local(patient: Patient, motion: Motion) -> Array:
    """Local coordinates of the frame's pixels: ``(T, SIZE * SIZE, 2)`` cm."""
    row, column = np.mgrid[:SIZE, :SIZE].reshape(2, -1)
    probe = (np.stack([column - patient.probe.apex_x, row - patient.probe.apex_y], -1)) * patient.spacing
    drift = np.stack([motion.drift_x, motion.drift_y], -1)[:, None]
    return _rotate(probe - drift - _origin(patient), -_tilt(patient))


def _tilt(patient: Patient) -> float:
    # Positive tilt moves the base, which is below, to the right: a rotation by a negative angle in x-right, y-down.
    return -patient.anatomy.tilt if patient.view == "A4C" else 0.0


def _origin(patient: Patient) -> Array:
    probe = patient.probe
    depth = probe.heart_y if patient.view == "A4C" else probe.heart_y + 18 + probe.heart_pixels / (2 * _PSAX_SCALE)
    return np.array([probe.heart_x, depth]) * patient.spacing


def _rotate(points: Array, angle: float) -> Array:
    cos, sin = np.cos(angle), np.sin(angle)
    result: Array = points @ np.array([[cos, sin], [-sin, cos]])
    return result
