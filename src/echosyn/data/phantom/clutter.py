"""What recordings from clinics show beside the walls of the heart: trabeculae, echoes along arcs, uneven clutter."""

import numpy as np

from echosyn.data.phantom.cycle import Array
from echosyn.data.phantom.fan import depths, half_angle
from echosyn.data.phantom.mesh import Sheet, disc, ribbon, uneven
from echosyn.data.phantom.parameters import Patient


def trabeculae(patient: Patient, inner: Array, wall: Array, generator: np.random.Generator) -> list[Sheet]:
    """Muscle on the inside of the ventricle's outline ``(T, M, 2)``, whose echo strength is ``wall (M,)`` in dB.

    It moves with the outline. Outlines and volumes do not know of it: it counts as cavity, as in tracings.
    """
    middle = inner.mean(axis=1)
    found = []
    for _ in range(_at_most(patient.anatomy.trabeculae, generator)):
        place = int(generator.integers(inner.shape[1]))
        centre = inner[:, place] + generator.uniform(0, 0.4) * (middle - inner[:, place])
        radius = np.full(len(centre), generator.uniform(0.12, 0.4))
        found.append(disc(centre, radius, float(wall[place]) + generator.uniform(-8, 4)))
    return found


def arcs(patient: Patient, num_times: int, generator: np.random.Generator) -> list[Sheet]:
    """Echoes along arcs of equal depth in the far field, at rest: diaphragm, pericardium, reverberation."""
    near, far = depths(patient)
    along = np.linspace(-1, 1, 25)
    found = []
    for _ in range(_at_most(patient.probe.arcs, generator)):
        depth = near + (far - near) * generator.uniform(0.7, 1.0)
        angle = generator.uniform(-1, 1) * half_angle(patient) + generator.uniform(0.08, 0.5) * along
        bumps = 0.015 * uneven(generator, angle[:, None] * [6.0, 0.0])
        range_ = depth * (1 + generator.uniform(-0.06, 0.06) * along + bumps)
        line = range_[:, None] * np.stack([np.sin(angle), np.cos(angle)], -1)
        decibels = generator.uniform(-12, 8) - 14 * along**4
        still = np.broadcast_to(line, (num_times, *line.shape))
        found.append(ribbon(still, generator.uniform(0.1, 0.5), decibels))
    return found


def _at_most(most: float, generator: np.random.Generator) -> int:
    """A number of things; none, and nothing is drawn, where there are none in this look."""
    return int(generator.integers(0, 1 + round(most))) if most else 0


def cloud(generator: np.random.Generator, num_ranges: int, num_lines: int, decibels: float) -> Array:
    """A slow random change of echo strength over the fan, ``(num_ranges, num_lines)`` in dB."""
    place = np.stack(np.meshgrid(np.linspace(0, 5, num_ranges), np.linspace(0, 4, num_lines), indexing="ij"), -1)
    return decibels * uneven(generator, place)
