"""The parasternal short-axis view: the left ventricle's ring with papillary muscles, the right ventricle's crescent."""

import numpy as np

from echosyn.data.phantom import ventricle
from echosyn.data.phantom.clutter import arcs, trabeculae
from echosyn.data.phantom.cycle import Array, Motion
from echosyn.data.phantom.mesh import Sheet, disc, ribbon, strip
from echosyn.data.phantom.parameters import Patient
from echosyn.data.phantom.surroundings import patchy, surroundings

_RING = 49
# Angles from the right, clockwise in the image; the right ventricle's crescent joins the ring at both of them.
_JOINTS = (np.deg2rad(150.0), np.deg2rad(285.0))


def sheets(patient: Patient, motion: Motion, generator: np.random.Generator) -> list[Sheet]:
    """All tissue, in cm from the fan's apex; time 0 of ``motion`` must be end-diastole."""
    anatomy, bright = patient.anatomy, patient.brightness
    size = ventricle.cavity(patient, motion.emptied)
    turn = anatomy.twist * motion.emptied * patient.ef / 100
    angle = np.linspace(0, 2 * np.pi, _RING)
    at = angle + turn[:, None]
    inner = _on_ring(patient, size, at, 0.0)
    septal = np.exp(-((np.angle(np.exp(1j * (angle - sum(_JOINTS) / 2))) / 0.8) ** 2))
    outer = _on_ring(patient, size, at, size.wall[:, None] * (1 + (anatomy.septum - 1) * septal))

    joints = np.linspace(*_JOINTS, 21)
    depth = np.sin(np.linspace(0, np.pi, 21)) ** 0.7
    width = anatomy.rv_width * 2 * size.radius[0] * 0.55
    squeeze = 1 - 0.35 * motion.emptied[:, None] * patient.ef / 100
    crescent = _on_ring(patient, size, joints + turn[:, None] / 2, size.wall[:, None] + 0.1 + width * depth * squeeze)

    def move(line: Array) -> Array:
        return ventricle.to_probe(patient, line, motion)

    def varied(line: Array, decibels: Array | float) -> Array:
        return decibels + patchy(bright, line[0], generator)

    # Walls that the beam meets at a right angle are brighter than those it runs along.
    across = np.sin(angle) ** 2
    wall = bright.septum * septal + (1 - septal) * (0.8 * bright.lateral + (6 - 0.3 * bright.lateral) * across - 2)
    edges = np.array([-8.0, bright.inner_edge + 0.5, 0.0, 0.0, 1.0, -3.0])[:, None]
    ring = strip(move(inner), move(outer), (-0.03, 0.08, 0.3, 0.7, 0.9, 1.0), edges + varied(inner, wall))
    papillary = []
    for side in (-1.0, 1.0):
        where = np.pi / 2 + side * anatomy.papillary_spread * np.ones((len(at), 1)) + turn[:, None]
        radius = anatomy.papillary * size.radius[0] * (size.radius / size.radius[0]) ** 0.7
        centre = move(_on_ring(patient, size, where, -0.75 * radius[:, None]))[:, 0]
        papillary.append(disc(centre, radius, bright.lateral * 0.4 + 1.5, 1.0))

    reach = np.interp(angle, joints, 0.35 + width * depth, left=0.0, right=0.0)
    heart = _on_ring(patient, size, at, size.wall[:, None] + reach * squeeze)
    centre = move(np.zeros((len(heart), 1, 2)))[0, 0]
    return [
        ring,
        *papillary,
        ribbon(move(crescent), 0.4, varied(crescent, bright.right_ventricle)),
        surroundings(patient, move(heart), centre, generator),
        *trabeculae(patient, move(inner), wall, generator),
        *arcs(patient, len(at), generator),
    ]


def _on_ring(patient: Patient, size: ventricle.Cavity, angle: Array, outside: Array | float) -> Array:
    """Points ``outside`` cm from the cavity's ellipse in the directions ``angle`` (image angles): ``(T, M, 2)``."""
    local = angle - patient.anatomy.orientation
    x = (size.radius[:, None] + outside) * np.cos(local)
    y = (size.length[:, None] / 2 + outside) * np.sin(local)
    cos, sin = np.cos(patient.anatomy.orientation), np.sin(patient.anatomy.orientation)
    return np.stack([cos * x - sin * y, sin * x + cos * y], -1)
