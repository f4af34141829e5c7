"""Draw the Re-ID curves of docs/training.md: ``python docs/pictures/reid_curves.py NAME=metrics.jsonl ...``."""

import json
import sys
from pathlib import Path

from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#16232b")


def main(runs: dict[str, Path]) -> None:
    """Write ``docs/pictures/reid-curves.png``: loss and accuracy of each run over its steps."""
    figure = Figure(figsize=(7.2, 2.8), dpi=110, facecolor="white", layout="constrained")
    panels = figure.subplots(1, 2)
    for (name, path), colour in zip(runs.items(), COLOURS, strict=False):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        steps = [line["step"] for line in lines]
        for axes, key in zip(panels, ("reid/loss", "reid/accuracy"), strict=True):
            axes.plot(steps, [line[key] for line in lines], color=colour, linewidth=1.2, label=name)
    for axes, title in zip(panels, ("Loss", "Accuracy on the batch"), strict=True):
        axes.set_title(title, fontsize=11, loc="left", fontweight="bold")
        axes.set_xlabel("Step")
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e6ecef", linewidth=0.8)
    panels[0].legend(fontsize=8.5, edgecolor="none")
    figure.savefig(Path(__file__).with_name("reid-curves.png"), metadata={"Software": None})


if __name__ == "__main__":
    main({name: Path(path) for name, _, path in (argument.partition("=") for argument in sys.argv[1:])})
