"""Draw training curves of docs/training.md: ``python docs/pictures/curves.py NAME=RUN=LOSS=HELD_OUT ...``; a panel each."""

import json
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

SMOOTH = 15
"""Logged steps that the training curve averages over."""


def numbers(run: Path, name: str) -> tuple[list[float], list[float]]:
    """Steps and values of one number, where it was logged."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found = [(line["step"], line[name]) for line in lines if name in line]
    return [step for step, _ in found], [value for _, value in found]


def main(panels: list[str]) -> None:
    """Write ``docs/pictures/curves.png``: training curve (left axis) and held-out figure (right axis) of each run."""
    figure = Figure(figsize=(3.6 * len(panels), 2.7), dpi=90, facecolor="white", layout="constrained")
    for axes, panel in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
        name, run, loss, held_out = panel.split("=")
        steps, values = numbers(Path(run), loss)
        smooth = np.convolve(values, np.ones(SMOOTH) / SMOOTH, "valid")
        axes.plot(steps[SMOOTH - 1 :], smooth, color="#0072B2", linewidth=1.2)
        axes.set_title(name, fontsize=11, loc="left", fontweight="bold")
        axes.set_xlabel("step")
        axes.set_ylabel(loss, color="#0072B2", fontsize=8)
        axes.set_yscale("log")
        right = axes.twinx()
        right.plot(*numbers(Path(run), held_out), color="#D55E00", marker=".", linewidth=1.2)
        right.set_ylabel(held_out, color="#D55E00", fontsize=8)
    figure.savefig(Path(__file__).with_name("curves.png"), metadata={"Software": None})


if __name__ == "__main__":
    main(sys.argv[1:])
