"""Tissue as moving sheets of nodes, and the scatterers that ride on them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echosyn.data.phantom.cycle import Array


@dataclass(frozen=True)
class Sheet:
    """A piece of tissue: a grid of nodes whose cells carry scatterers along."""

    nodes: Array
    """``(T, K, M, 2)`` in cm: K layers of M nodes. Time 0 is the reference, end-diastole."""
    decibels: Array
    """``(K, M)``: echo strength at the nodes."""
    density: float = 1.0
    """Scatterers per area against other sheets; the echo strength does not change with it."""


@dataclass(frozen=True)
class Scatterers:
    """Points that move as weighted means of nodes."""

    nodes: NDArray[np.int64]
    """``(N, 4)``: the corners of each point's cell, in the order of :func:`stack_nodes`."""
    weights: NDArray[np.float32]
    """``(N, 4)``, rows sum to 1."""
    amplitude: NDArray[np.complex64]
    """``(N,)``: echo strength and phase."""


def stack_nodes(sheets: Sequence[Sheet]) -> Array:
    """All nodes in one array ``(T, num_nodes, 2)``."""
    return np.concatenate([s.nodes.reshape(len(s.nodes), -1, 2) for s in sheets], 1)


def strip(inner: Array, outer: Array, layers: Sequence[float | Array], decibels: Array, density: float = 1.0) -> Sheet:
    """A sheet between two lines ``(T, M, 2)`` with a layer at each fraction (0 inner, 1 outer).

    Args:
        inner: Line at fraction 0.
        outer: Line at fraction 1.
        layers: Fractions of the layers, ascending, fixed or ``(T, 1, 1)``; may leave 0..1.
        decibels: Echo strength, broadcast to ``(len(layers), M)``.
        density: See :class:`Sheet`.
    """
    nodes = np.stack([inner + v * (outer - inner) for v in layers], 1)
    return Sheet(nodes, np.broadcast_to(decibels, nodes.shape[1:3]), density)


def ribbon(line: Array, thickness: float, decibels: Array | float, density: float = 1.0) -> Sheet:
    """A sheet of constant ``thickness`` in cm centred on a line ``(T, M, 2)``, fading at its faces."""
    side = normals(line) * thickness / 2
    return strip(
        line - side, line + side, (-0.3, 0.3, 0.7, 1.3), np.array([[-14.0], [0], [0], [-14]]) + decibels, density
    )


def disc(centre: Array, radius: Array, decibels: float, density: float = 1.0, num: int = 13) -> Sheet:
    """A fading round patch about moving centres ``(T, 2)``; ``radius`` in cm is ``(T,)``."""
    angle = np.linspace(0, 2 * np.pi, num)
    rim = np.stack([np.cos(angle), np.sin(angle)], -1) * radius[:, None, None] + centre[:, None]
    return strip(
        np.broadcast_to(centre[:, None], rim.shape),
        rim,
        (0.05, 0.6, 1.2),
        np.array([[0.0], [-2], [-16]]) + decibels,
        density,
    )


def normals(line: Array) -> Array:
    """Unit normals of a line ``(T, M, 2)``: its direction turned so that right becomes up, up becomes left."""
    step = np.gradient(line, axis=1)
    turned = np.stack([step[..., 1], -step[..., 0]], -1)
    result: Array = turned / np.maximum(np.linalg.norm(turned, axis=-1, keepdims=True), 1e-9)
    return result


def resample(line: Array, num: int) -> Array:
    """The line ``(T, M, 2)`` at ``num`` points, equally spaced in index."""
    position = np.linspace(0, line.shape[1] - 1, num)
    low = np.minimum(position.astype(int), line.shape[1] - 2)
    part = (position - low)[:, None]
    result: Array = line[:, low] * (1 - part) + line[:, low + 1] * part
    return result


def scatter(
    sheets: Sequence[Sheet], num: int, half_angle: float, reach: float, streaks: float, generator: np.random.Generator
) -> Scatterers:
    """Spread ``num`` scatterers over the sheets as they lie at the reference time, evenly in depth and angle.

    Args:
        sheets: The tissue, in cm from the fan's apex.
        num: How many scatterers.
        half_angle: Of the fan, radians; tissue well outside gets none.
        reach: Depth of the fan, cm.
        streaks: Standard deviation in dB of a texture that is stretched along the arcs of equal depth.
        generator: Source of places, strengths and phases.
    """
    nodes = stack_nodes(sheets)[0]
    corners, decibels, density = _cells(sheets)
    depth, angle = np.hypot(*nodes.T), np.arctan2(nodes[:, 0], np.maximum(nodes[:, 1], 1e-3))
    r, a = depth[corners], angle[corners]
    d1, d2 = (np.stack([r[:, i] - r[:, j], a[:, i] - a[:, j]], -1) for i, j in ((3, 0), (2, 1)))
    area = np.abs(d1[:, 0] * d2[:, 1] - d1[:, 1] * d2[:, 0]) / 2
    seen = (np.abs(a).min(1) < half_angle * 1.1) & (r.min(1) < reach * 1.05) & (nodes[corners, 1].max(1) > 0)
    weight = np.cumsum(area * density * seen)
    cell = np.searchsorted(weight, (np.arange(num) + generator.random(num)) / num * weight[-1]).clip(
        max=len(weight) - 1
    )
    f, g = generator.random((2, num))
    weights = np.stack([(1 - f) * (1 - g), (1 - f) * g, f * (1 - g), f * g], -1)
    place = np.stack([(weights * r[cell]).sum(-1) / 0.35, (weights * a[cell]).sum(-1) / 0.13], -1)
    level = (weights * decibels[cell]).sum(-1) + streaks * uneven(generator, place, waves=20)
    # Sums of few scatterers are spikier than speckle; the exponential spread adds the bright grains of real tissue.
    power = 10 ** (level / 10) * generator.exponential(1.0, num)
    phase = np.exp(2j * np.pi * generator.random(num))
    strength = np.sqrt(power * weight[-1] / (num * density[cell]))
    return Scatterers(corners[cell], weights.astype(np.float32), (strength * phase).astype(np.complex64))


def uneven(generator: np.random.Generator, places: Array, waves: int = 12) -> Array:
    """A smooth random field of about unit variance at ``places (..., 2)``, changing over a distance of about 1."""
    k = generator.normal(0.0, 1.0, (waves, 2))
    phase = 2 * np.pi * generator.random(waves)
    result: Array = np.sqrt(2 / waves) * np.cos(places @ k.T + phase).sum(-1)
    return result


def _cells(sheets: Sequence[Sheet]) -> tuple[NDArray[np.int64], Array, Array]:
    """Corner indices ``(C, 4)``, their echo strength ``(C, 4)`` and the density ``(C,)`` of all cells."""
    corners, decibels, density, offset = [], [], [], 0
    for sheet in sheets:
        _, layers, length, _ = sheet.nodes.shape
        index = np.arange(layers * length).reshape(layers, length)
        cells = np.stack([index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]], -1).reshape(-1, 4)
        corners.append(cells + offset)
        decibels.append(np.ascontiguousarray(sheet.decibels).reshape(-1)[cells])
        density.append(np.full(len(cells), sheet.density))
        offset += layers * length
    return np.concatenate(corners), np.concatenate(decibels), np.concatenate(density)
