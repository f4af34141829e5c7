"""Draw the README's pictures from a finished quickstart folder: ``python docs/pictures/make.py quickstart``."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from echosyn.data import filelist, video

NUM_VIDEOS, NUM_PHASES, EVERY, GAP = 3, 4, 6, 4
NUM_FRAMES = 64


def chosen(dataset: Path, split: str | None) -> list[np.ndarray]:
    """A few videos of different EF, grey ``(T, H, W)``."""
    records = [r for r in filelist.read(dataset) if split is None or r.split == split]
    records.sort(key=lambda r: r.ef or 0.0)
    index = filelist.VideoIndex(dataset)
    places = np.linspace(len(records) * 0.3, len(records) - 1, NUM_VIDEOS).astype(int)
    return [video.read(index.path(records[i])).grey() for i in places]


def main(quickstart: Path) -> None:
    """Write ``docs/pictures/quickstart.png`` and ``.gif``: phantom videos above, synthetic ones below."""
    both = [chosen(quickstart / "dataset", "TEST"), chosen(quickstart / "run" / "synthetic", None)]
    gap = np.full((GAP, NUM_VIDEOS * NUM_PHASES * both[0][0].shape[2]), 255, np.uint8)
    still = [np.concatenate([x for v in row for x in v[: NUM_PHASES * EVERY : EVERY]], axis=1) for row in both]
    here = Path(__file__)
    Image.fromarray(np.concatenate([still[0], gap, still[1]])).save(here.with_name("quickstart.png"))
    moving = [np.concatenate([v[:NUM_FRAMES:2] for v in row], axis=2) for row in both]
    video.write_gif(here.with_name("quickstart.gif"), np.concatenate(moving, axis=1), 16.0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
