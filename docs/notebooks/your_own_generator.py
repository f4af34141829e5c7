# %% [markdown]
# # Plug in your own generator
#
# Whatever makes videos: write them as a folder in EchoNet-Dynamic's layout, and `evaluate`, `audit` and `publish` take it. This
# generator knows no heart at all: a bright ring on noise whose area follows the EF.

# %%
import csv
import subprocess
from pathlib import Path

import numpy as np

from echosyn import evaluate
from echosyn.data.video import write_avi


def ring(ef: float, draws: np.random.Generator) -> np.ndarray:
    """64 frames ``(T, 112, 112)`` uint8 of a ring whose volume falls by EF percent."""
    rows, columns = np.mgrid[:112, :112] - np.array([56 + draws.normal(0, 3), 56])[:, None, None]
    radius = 22 * (1 - ef / 100 * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(64) / 28))) ** (1 / 3)
    wall = np.exp(-(((np.hypot(rows, columns) - radius[:, None, None]) / 5) ** 2))
    return (200 * wall + 20 * draws.random((64, 112, 112))).astype(np.uint8)


# %% [markdown]
# `FileList.csv` needs `FileName`, `EF` and `Split`. Any AVI will do; `write_avi` writes EchoNet's kind.

# %%
videos, draws, rows = Path("rings/Videos"), np.random.default_rng(0), []
videos.mkdir(parents=True)
for i in range(8):
    ef = draws.uniform(20, 70)
    write_avi(videos / f"ring{i}.avi", ring(ef, draws), 32.0)
    rows.append({"FileName": f"ring{i}", "EF": f"{ef:.1f}", "Split": "TRAIN"})
with Path("rings/FileList.csv").open("w", newline="") as file:
    table = csv.DictWriter(file, rows[0])
    table.writeheader()
    table.writerows(rows)
subprocess.run("echosyn check rings", shell=True, check=True)

# %% [markdown]
# Fidelity alone trains nothing. Every classifier tells rings from hearts.

# %%
subprocess.run("echosyn phantom recordings --num 24 --frames 64 --fps 32 --seed 41 --quiet", shell=True, check=True)
found = evaluate("rings", "recordings", "report", fidelity_only=True, protocol="echosyn-quick-v3")
found

# %%
assert found.figures["Classifier AUC (spectrum)"] > 0.9

# %% [markdown]
# The way on: `echosyn audit rings recordings audit --models MODELS --videos-only`, then `echosyn publish rings release --audit
# audit --licence cc-by-4.0 --origin "Rings 1.0" --stated-by "Your name"`. See [bring your own set](../bring-your-own.md).
