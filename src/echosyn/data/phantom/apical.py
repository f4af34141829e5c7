"""The apical four-chamber view: both ventricles, both atria, the valves between them and the walls around."""

import numpy as np

from echosyn.data.phantom import ventricle
from echosyn.data.phantom.clutter import arcs, trabeculae
from echosyn.data.phantom.cycle import Array, Motion
from echosyn.data.phantom.mesh import Sheet, disc, normals, resample, ribbon, strip
from echosyn.data.phantom.parameters import Anatomy, Patient
from echosyn.data.phantom.surroundings import patchy, surroundings

_CONTOUR = 49


def sheets(patient: Patient, motion: Motion, generator: np.random.Generator) -> list[Sheet]:
    """All tissue, in cm from the fan's apex; time 0 of ``motion`` must be end-diastole."""
    anatomy, bright = patient.anatomy, patient.brightness
    size = ventricle.cavity(patient, motion.emptied)
    inner = ventricle.contour(patient, size, _CONTOUR)
    xi = np.linspace(-1, 1, _CONTOUR)
    septal = 1 / (1 + np.exp((xi + 0.1) * 9))
    thickness = (1 - (1 - anatomy.apex_thinning) * np.exp(-((xi / 0.35) ** 2))) * (1 + (anatomy.septum - 1) * septal)
    closing = size.closing[:, None] * np.exp(-((xi / 0.35) ** 2))
    outer = inner + normals(inner) * (size.wall[:, None] * thickness + closing)[..., None]

    crux, hinge = (inner[:, 0] + outer[:, 0]) / 2, (inner[:, -1] + outer[:, -1]) / 2
    ascent = (size.top + size.length)[:1] - (size.top + size.length)
    width = anatomy.rv_width * 2 * size.radius[0]
    tricuspid = outer[0, 0] + np.stack([-width + 0.35 * ascent, -0.45 - 1.1 * ascent], -1)
    roof = inner[0, 0, 1] + anatomy.la_length

    start = outer[:, int(_CONTOUR * (0.5 - 0.5 * np.sqrt(anatomy.rv_reach)))]
    bulge = np.stack([-anatomy.rv_bulge * width + 0.3 * ascent, np.zeros_like(ascent)], -1)
    free_wall = _curve(start, start * 0.35 + tricuspid * 0.65 + 1.5 * bulge, tricuspid, 17)
    left_atrium = _pouch(hinge, crux, roof, anatomy.la_bulge, anatomy, motion)
    right_atrium = _pouch(crux, tricuspid, roof + anatomy.ra_depth, anatomy.ra_bulge, anatomy, motion)
    septum_floor = (left_atrium[:, -5] + right_atrium[:, 4]) / 2
    atrial_septum = _curve(crux, crux * 0.5 + septum_floor * 0.5, septum_floor, 11)

    def move(line: Array) -> Array:
        return ventricle.to_probe(patient, line, motion)

    def varied(line: Array, decibels: Array | float) -> Array:
        return decibels + patchy(bright, line[0], generator)

    wall = bright.septum * septal + bright.lateral * (1 - septal) + bright.apex * np.exp(-((xi / 0.45) ** 2))
    edges = np.array([-8.0, bright.inner_edge, bright.trabecular, 0.0, 1.0, -6.0])[:, None]
    grown = anatomy.trabecular + anatomy.trabecular_growth * motion.emptied[:, None, None] * patient.ef / 100
    grown = np.minimum(grown, 0.7)
    compact = np.minimum(0.7 + 0.5 * (grown - 0.3), 0.9)
    lv = strip(move(inner), move(outer), (-0.03, 0.08, grown, compact, 0.9, 1.0), edges + varied(inner, wall))
    atrial = np.concatenate([np.linspace(bright.annulus, -4, 5), np.linspace(-5, bright.atria + 4, 6)])
    closed = move(_leaflets(anatomy.tenting, inner[:, 0], inner[:, -1], motion.mitral, anatomy.leaflet))
    right_leaf = move(_leaflets(anatomy.tenting, tricuspid, outer[:, 0] - [0, 0.45], motion.mitral, 0.53))
    half = closed.shape[1] // 2
    outline = _outline(outer, left_atrium, right_atrium, free_wall)
    centre = outline[0].mean(0) * [1, 0] + [0, outline[0, :, 1].mean()]
    placed, middle = move(outline), move(np.broadcast_to(centre, (len(outline), 1, 2)))[0, 0]
    return [
        lv,
        ribbon(move(free_wall), 0.45, varied(free_wall, bright.right_ventricle)),
        ribbon(move(left_atrium), 0.3, varied(left_atrium, bright.atria)),
        ribbon(move(right_atrium), 0.3, varied(right_atrium, bright.atria - 3)),
        ribbon(move(atrial_septum), 0.4, varied(atrial_septum, atrial)),
        *(ribbon(leaf, 0.13, bright.valve, 3.0) for leaf in (closed[:, :half], closed[:, half:])),
        *(ribbon(leaf, 0.12, bright.valve - 5, 3.0) for leaf in (right_leaf[:, :half], right_leaf[:, half:])),
        disc(move(hinge[:, None])[:, 0], size.wall * 0.6, bright.annulus, 1.5),
        disc(move(crux[:, None])[:, 0], size.wall * 0.5, bright.annulus - 1, 1.5),
        disc(move(tricuspid[:, None])[:, 0], size.wall * 0.55, bright.annulus - 3, 1.5),
        surroundings(patient, placed, middle, generator),
        *trabeculae(patient, move(inner), wall, generator),
        *arcs(patient, len(placed), generator),
    ]


def _curve(a: Array, control: Array, b: Array, num: int) -> Array:
    """Quadratic Bezier curves between points ``(T, 2)``: ``(T, num, 2)``."""
    t = np.linspace(0, 1, num)[:, None]
    return (1 - t) ** 2 * a[:, None] + 2 * t * (1 - t) * control[:, None] + t**2 * b[:, None]


def _pouch(
    right: Array, left: Array, roof: float, bulge: float, anatomy: Anatomy, motion: Motion, num: int = 25
) -> Array:
    """An atrium's wall from its right hinge around its fixed roof to its left hinge; it widens while it fills."""
    angle = np.linspace(0, np.pi, num)
    middle = (right + left) / 2
    half = (right - left) / 2
    depth = roof - middle[:, 1]
    round_ = np.sin(angle).clip(0) ** anatomy.atrial_squareness
    across = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.85
    wider = 1 + round_ * (bulge + 0.12 * motion.emptied[:, None]) / np.maximum(half[:, :1], 0.5)
    x = middle[:, :1] + half[:, :1] * across * wider + anatomy.atrial_lean * round_**2
    y = middle[:, 1:] + half[:, 1:] * np.cos(angle) + depth[:, None] * round_
    return np.stack([x, y], -1)


def _leaflets(tenting: float, left: Array, right: Array, opening: Array, length: float, num: int = 8) -> Array:
    """Two leaflets hinged at ``left`` and ``right``, the left one first: ``(T, 2 * num, 2)``."""
    annulus = np.linalg.norm(right[0] - left[0])
    t = np.linspace(0, 1, num)
    # Closed leaflets meet a little on the apical side of the annulus; open ones point to the apex.
    swing = tenting + 1.15 * opening[:, None] * (0.55 + 0.45 * t)
    step = length * annulus / (num - 1)
    x = np.cumsum(np.cos(swing) * step, 1) - np.cos(swing[:, :1]) * step
    y = -np.cumsum(np.sin(swing) * step, 1) + np.sin(swing[:, :1]) * step
    shrink = np.minimum(1, np.linalg.norm(right - left, axis=-1) / annulus)[:, None]
    return np.concatenate(
        [left[:, None] + np.stack([x * shrink, y], -1), right[:, None] + np.stack([-0.9 * x * shrink, 0.9 * y], -1)], 1
    )


def _outline(outer: Array, left_atrium: Array, right_atrium: Array, free_wall: Array) -> Array:
    """The heart's closed outline, clockwise in the image, starting at the apex."""
    middle = outer.shape[1] // 2
    begin = int(np.argmin(np.linalg.norm(outer[0] - free_wall[0, 0], axis=-1)))
    lines = [
        resample(outer[:, middle:], 24),
        resample(left_atrium[:, 1:-5], 18),
        resample(right_atrium[:, 5:-1], 18),
        resample(free_wall[:, ::-1], 20)[:, :-1],
        resample(outer[:, begin : middle + 1], 10),
    ]
    return np.concatenate(lines, 1)
