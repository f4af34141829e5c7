"""Draw curves of VAE trainings: ``python docs/pictures/vae_curves.py RUN [CONTROL]``; CONTROL is the same without a critic."""

import json
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("agg")
import matplotlib.pyplot as plt

SMOOTH = 10
"""Logged steps that a line averages over."""


def curve(run: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of one number, where it was logged."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found = [(line["step"], line[name]) for line in lines if name in line]
    return np.array([s for s, _ in found]), np.array([v for _, v in found])


def draw(axes: plt.Axes, run: Path, name: str, label: str, **style: str) -> None:
    """A line, smoothed where there are many points."""
    steps, values = curve(run, name)
    if len(values) > 3 * SMOOTH:
        values = np.convolve(values, np.ones(SMOOTH) / SMOOTH, "valid")
        steps = steps[SMOOTH - 1 :]
    axes.plot(steps, values, label=label, lw=1.2, **style)


def main(run: Path, control: Path | None) -> None:
    """Write ``docs/pictures/vae-curves.png``: loss, held-out PSNR, the critic."""
    figure, (loss, psnr, critic, weight) = plt.subplots(1, 4, figsize=(12, 2.6), layout="constrained")
    draw(loss, run, "vae/l1", "L1")
    loss.set(title="reconstruction error (train)", xlabel="step", yscale="log")
    draw(psnr, run, "validation/psnr", "with critic", marker=".")
    if control is not None:
        draw(psnr, control, "validation/psnr", "without", marker=".", color="grey")
        psnr.legend(frameon=False)
    psnr.set(title="PSNR, held-out patients (dB)", xlabel="step")
    draw(critic, run, "critic/real", "frames")
    draw(critic, run, "critic/fake", "reconstructions")
    critic.axhline(0, color="grey", lw=0.5)
    critic.legend(frameon=False)
    critic.set(title="critic's mean logits", xlabel="step")
    draw(weight, run, "vae/adaptive_weight", "")
    weight.set(title="adaptive weight", xlabel="step")
    figure.savefig(Path(__file__).with_name("vae-curves.png"), dpi=90)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
