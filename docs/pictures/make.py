"""Draw the README's picture from a finished quickstart folder: ``python docs/pictures/make.py quickstart``."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from echosyn.data import filelist, video

NUM_VIDEOS, NUM_PHASES, EVERY, GAP = 3, 4, 6, 4


def rows(dataset: Path, split: str | None) -> list[np.ndarray]:
    """A row of frames for each of a few videos of different EF."""
    records = [r for r in filelist.read(dataset) if split is None or r.split == split]
    records.sort(key=lambda r: r.ef or 0.0)
    chosen = [records[i] for i in np.linspace(len(records) * 0.3, len(records) - 1, NUM_VIDEOS).astype(int)]
    index = filelist.VideoIndex(dataset)
    return [
        np.concatenate(list(video.read(index.path(r)).grey()[: NUM_PHASES * EVERY : EVERY]), axis=1) for r in chosen
    ]


def main(quickstart: Path) -> None:
    """Write ``docs/pictures/quickstart.png``: phantom videos above, synthetic ones below."""
    real = np.concatenate(rows(quickstart / "dataset", "TEST"), axis=1)
    synthetic = np.concatenate(rows(quickstart / "run" / "synthetic", None), axis=1)
    gap = np.full((GAP, real.shape[1]), 255, np.uint8)
    Image.fromarray(np.concatenate([real, gap, synthetic])).save(Path(__file__).with_name("quickstart.png"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
