"""The videos of docs/gallery.md: ``python docs/pictures/gallery.py docs/gallery``."""

import sys
import tempfile
from pathlib import Path

import numpy as np

import echosyn
from echosyn.data import video
from echosyn.pipeline.ingest.phantom import make_phantom

FRAMES, FPS, EFS = 64, 32.0, (15, 30, 55, 80)


def main(out: Path) -> None:
    """Make every video of the page; the same ones each time."""
    out.mkdir(parents=True, exist_ok=True)
    for view in ("a4c", "psax"):
        pipeline = echosyn.load_pipeline(view=view)
        rows = [pipeline(ef, seed=10 + i, num_frames=FRAMES).frames for i, ef in enumerate(EFS)]
        write(out / f"{view}.mp4", rows)
    pipeline = echosyn.load_pipeline(view="a4c")
    write(out / "one-heart.mp4", [pipeline(ef, seed=3, num_frames=FRAMES).frames for ef in (20, 45, 70)])
    pairs = []
    with tempfile.TemporaryDirectory() as folder:
        make_phantom(Path(folder) / "phantoms", num=3, seed=5, num_frames=FRAMES, fps=FPS)
        dataset = echosyn.load_dataset(Path(folder) / "phantoms")
        real_videos = [dataset[i] for i in range(3)]
    for i, real in enumerate(real_videos):
        pairs.append(
            np.concatenate([real.frames[:FRAMES], pipeline(real.ef, seed=20 + i, num_frames=FRAMES).frames], axis=1)
        )
    write(out / "beside.mp4", pairs)


def write(path: Path, rows: list[np.ndarray]) -> None:
    """Videos side by side."""
    video.write_mp4(path, np.concatenate(rows, axis=2), FPS)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
