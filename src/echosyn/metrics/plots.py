"""Plots of reports and of validations, as PNG bytes on white: a readable card in a light and in a dark page."""

import io
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

BLUE, ORANGE, INK, SOFT = "#0072B2", "#D55E00", "#16232b", "#51636e"
"""Blue and orange of Okabe & Ito, told apart by every kind of colour vision."""
_SIZE_INCHES = (4.8, 3.5)
_DPI = 200


def scatter(
    requested: ArrayLike,
    measured: ArrayLike,
    title: str = "",
    x_label: str = "Requested EF (%)",
    y_label: str = "Measured EF (%)",
) -> bytes:
    """Measured over requested values with the line of equality.

    Args:
        requested: Shape ``(n,)``; pairs with a NaN are left out.
        measured: Shape ``(n,)``.
        title: Above the plot.
        x_label: With the unit.
        y_label: With the unit.

    Returns:
        A PNG.
    """
    x, y = np.asarray(requested, dtype=np.float64), np.asarray(measured, dtype=np.float64)
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    figure, axes = _axes(title, x_label, y_label, size=(4.4, 4.2))
    low, high = (min(x.min(), y.min()), max(x.max(), y.max())) if len(x) else (0.0, 100.0)
    margin = 0.05 * max(high - low, 1e-6)
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color=SOFT, linewidth=1, linestyle=(0, (4, 3)), label="equal", zorder=1)
    alpha = float(np.clip(120 / max(len(x), 1), 0.15, 0.75))
    axes.scatter(x, y, s=18, color=BLUE, alpha=alpha, linewidths=0, zorder=2, label=f"videos (n = {len(x)})")
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    _legend(axes)
    return _png(figure)


def roc_curves(curves: Mapping[str, tuple[ArrayLike, ArrayLike]], title: str = "") -> bytes:
    """Receiver operating characteristics with the line of guessing.

    Args:
        curves: By label, false and true positive rates, ``(k,)`` each.
        title: Above the plot.

    Returns:
        A PNG.
    """
    figure, axes = _axes(title, "False positive rate", "True positive rate", size=(4.4, 4.2))
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle=(0, (4, 3)))
    styles = ("-", "--", ":", "-.")
    for i, (label, (false_positives, true_positives)) in enumerate(curves.items()):
        axes.plot(np.asarray(false_positives), np.asarray(true_positives), linewidth=1.6, label=label,
                  color=(BLUE, ORANGE)[i % 2], linestyle=styles[i // 2 % 4])  # fmt: skip
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.legend(loc="lower right", fontsize=8.5, frameon=False, labelcolor=INK)
    return _png(figure)


def intervals(rows: Sequence[tuple[str, float, float, float]], title: str = "", x_label: str = "") -> bytes:
    """A figure with its interval a line, the first row on top.

    Args:
        rows: Label, value, low, high.
        title: Above the plot.
        x_label: With the unit.

    Returns:
        A PNG.
    """
    figure, axes = _axes(title, x_label, "", size=(5.2, 0.7 + 0.42 * max(len(rows), 2)))
    for y, (_, value, low, high) in enumerate(reversed(rows)):
        axes.plot([low, high], [y, y], color=BLUE, linewidth=2, solid_capstyle="butt")
        axes.plot([value], [y], marker="o", markersize=6, color=BLUE)
    axes.set_yticks(range(len(rows)), [row[0] for row in reversed(rows)])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    return _png(figure)


def similarity_histogram(
    candidates: ArrayLike, held_out: ArrayLike, threshold: float, title: str = "Closeness to the nearest patient"
) -> bytes:
    """Shares of synthetic and of held-out real videos by their score against the nearest patient.

    Args:
        candidates: Scores of synthetic videos, shape ``(n,)``.
        held_out: Scores of real ones, shape ``(m,)``.
        threshold: From which videos are rejected.
        title: Above the plot.

    Returns:
        A PNG.
    """
    groups = [np.asarray(values, dtype=np.float64).ravel() for values in (candidates, held_out)]
    groups = [values[np.isfinite(values)] for values in groups]
    figure, axes = _axes(title, "Score", "Share of videos")
    edges = _edges([*groups, np.array([threshold])])
    held_out_weights, weights = _shares(groups[1]), _shares(groups[0])
    axes.hist(groups[1], edges, weights=held_out_weights, color=ORANGE, alpha=0.28)
    axes.hist(groups[1], edges, weights=held_out_weights, histtype="step", color=ORANGE, linewidth=1.4,
              label=f"held-out real (n = {len(groups[1])})")  # fmt: skip
    axes.hist(groups[0], edges, weights=weights, color=BLUE, alpha=0.28)
    axes.hist(groups[0], edges, weights=weights, histtype="step", color=BLUE, linewidth=1.4, linestyle="--",
              label=f"synthetic (n = {len(groups[0])})")  # fmt: skip
    axes.axvspan(threshold, edges[-1], color=INK, alpha=0.06, linewidth=0)
    axes.axvline(threshold, color=INK, linewidth=1.4, label=f"rejected from {threshold:.3f}")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, axes.get_ylim()[1] * 1.35)
    _legend(axes)
    return _png(figure)


def pair_of_curves(curves: Mapping[str, ArrayLike], x_label: str, y_label: str, logarithmic: bool) -> bytes:
    """A curve of real and of synthetic videos over the same axis.

    Args:
        curves: ``at``, ``real`` and ``synthetic``, ``(k,)`` each.
        x_label: With the unit.
        y_label: With the unit.
        logarithmic: Both axes; otherwise neither.

    Returns:
        A PNG.
    """
    figure, axes = _axes("", x_label, y_label)
    for side, colour, style in (("real", ORANGE, "-"), ("synthetic", BLUE, "--")):
        axes.plot(np.asarray(curves["at"]), np.asarray(curves[side]), linewidth=1.6, label=side, color=colour,
                  linestyle=style)  # fmt: skip
    if logarithmic:
        axes.set(xscale="log", yscale="log")
    axes.legend(fontsize=8.5, frameon=False, labelcolor=INK)
    return _png(figure)


def power_curves(curves: Mapping[str, Sequence[tuple[float, float, float, float]]]) -> bytes:
    """Shares of planted copies that are caught, over the strength of the disguise, a panel for each kind.

    Args:
        curves: By title, points of strength, share caught and the ends of its interval.

    Returns:
        A PNG.
    """
    columns = min(4, len(curves))
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(2.1 * columns, 1.8 * rows), dpi=_DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, (title, points) in zip(panels, curves.items(), strict=False):
        strength, caught, low, high = np.array(sorted(points)).T
        axes.fill_between(strength, low, high, color=BLUE, alpha=0.18, linewidth=0)
        axes.plot(strength, caught, marker="o", markersize=3.5, linewidth=1.4, color=BLUE)
        axes.axhline(0.95, color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)))
        _style(axes, "", title, "")
        axes.xaxis.label.set_size(7)
        axes.tick_params(labelsize=7)
        axes.set_ylim(-0.04, 1.06)
    for axes in panels[len(curves) :]:
        axes.set_axis_off()
    return _png(figure)


def against_steps(steps: Sequence[int], panels: Mapping[str, Mapping[str, Sequence[float | None]]]) -> bytes:
    """Figures over the number of sampling steps, a panel for each kind of figure.

    Args:
        steps: Shape ``(n,)``, positive; the axis is logarithmic.
        panels: By title, lines by label: ``(n,)`` values, ``None`` where there is none.

    Returns:
        A PNG.
    """
    figure = Figure(figsize=(3.6 * len(panels), 3.0), dpi=_DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (title, lines) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for (label, values), colour in zip(lines.items(), (BLUE, ORANGE), strict=False):
            y = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
            axes.plot(steps, y, marker="o", markersize=4, linewidth=1.4, color=colour, label=label)
        _style(axes, title, "Sampling steps", "")
        axes.set_xscale("log", base=2)
        axes.set_xticks(list(steps), [str(step) for step in steps])
        axes.minorticks_off()
        if len(lines) > 1:
            axes.legend(fontsize=8.5, frameon=False, labelcolor=INK)
    return _png(figure)


def _axes(title: str, x_label: str, y_label: str, size: tuple[float, float] = _SIZE_INCHES) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, dpi=_DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _style(axes, title, x_label, y_label)
    return figure, axes


def _style(axes: Axes, title: str, x_label: str, y_label: str) -> None:
    # names may hold a $, which is no formula
    axes.set_title(title, fontsize=11, color=INK, loc="left", fontweight="bold", parse_math=False)
    axes.set_xlabel(x_label, fontsize=10, color=INK, parse_math=False)
    axes.set_ylabel(y_label, fontsize=10, color=INK, parse_math=False)
    axes.tick_params(labelsize=9, colors=SOFT, length=3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#b8c4ca")
    axes.grid(color="#e6ecef", linewidth=0.8)
    axes.set_axisbelow(True)


def _legend(axes: Axes, where: Literal["upper left"] = "upper left") -> None:
    axes.legend(loc=where, fontsize=8.5, frameon=True, facecolor="white", edgecolor="none", framealpha=0.85,
                labelcolor=INK)  # fmt: skip


def _edges(groups: Sequence[NDArray[np.float64]]) -> list[float]:
    everything = np.concatenate(groups)
    low, high = float(everything.min()), float(everything.max())
    margin = max(0.04 * (high - low), 0.005)
    return [float(edge) for edge in np.linspace(low - margin, high + margin, 41)]


def _shares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.full(len(values), 1.0 / max(len(values), 1))


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
