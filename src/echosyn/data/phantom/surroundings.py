"""What lies around the heart: pericardium, chest wall, lung and the bright far field, dragged along by the heart."""

import numpy as np

from echosyn.data.phantom.cycle import Array
from echosyn.data.phantom.mesh import Sheet, uneven
from echosyn.data.phantom.parameters import Brightness, Patient

_DISTANCES = np.array([0.0, 0.12, 0.3, 0.7, 1.3, 2.2, 3.5, 5.5, 8.0, 12.0])
_REACH = 1.4
"""Distance in cm over which the surroundings follow the heart."""


def surroundings(patient: Patient, outline: Array, centre: Array, generator: np.random.Generator) -> Sheet:
    """Tissue outside of the closed ``outline (T, M, 2)``, which is star-shaped about the fixed point ``centre``.

    The pericardium shines where the beam meets it at a right angle and where it bounds the lung; behind it the echo
    fades.
    """
    rest = outline[0]
    ray = rest - centre
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    moved = (outline - rest) * np.exp(-_DISTANCES / _REACH)[:, None, None, None]
    nodes = (rest + _DISTANCES[:, None, None] * ray)[None] + moved.transpose(1, 0, 2, 3)

    brightness = patient.brightness
    place = nodes[0]
    depth = np.linalg.norm(place, axis=-1) / (patient.probe.reach * patient.spacing)
    beam = rest / np.linalg.norm(rest, axis=-1, keepdims=True)
    facing = (beam * ray).sum(-1)
    lung = _sigmoid((ray[:, 0] - 0.25) * 5) * _sigmoid((ray[:, 1] + 0.35) * 5)
    behind = np.maximum(facing.clip(0) ** 3, 0.95 * lung)
    d = _DISTANCES[:, None]
    rim = (brightness.pericardium + 14) * behind * np.exp(-d / (0.4 + 1.5 * behind * lung))
    decibels = brightness.surroundings - 14 + rim
    decibels += brightness.near_tissue * np.exp(-depth * 7) - 8 * _sigmoid((d - 2.5) * 1.5) * (depth > 0.5)
    decibels += (brightness.far_field + 8) * _sigmoid((depth - 0.86) * 18) * _sigmoid((0.35 - lung) * 8)
    decibels += 1.3 * brightness.unevenness * uneven(generator, nodes[0] / 1.6)
    return Sheet(nodes, decibels)


def patchy(brightness: Brightness, places: Array, generator: np.random.Generator) -> Array:
    """How much brighter a wall is at ``places (n, 2)`` in cm than on average, dB."""
    change = brightness.unevenness * uneven(generator, places / 0.6)
    if brightness.patches:
        change = change + brightness.patches * uneven(generator, places / 0.25)
    return change


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))
