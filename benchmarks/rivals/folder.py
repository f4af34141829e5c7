"""EchoNet-Dynamic's layout, read and written as other software would: FileList.csv and Motion-JPEG AVIs, without echosyn."""

import argparse
import csv
from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np

FPS = 32


def read(dataset: Path, split: str = "TRAIN") -> tuple[np.ndarray, np.ndarray]:
    """Videos ``(n, T, H, W)`` uint8, cut to the shortest, and their EFs in percent ``(n,)``."""
    with (dataset / "FileList.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["Split"] == split]
    clips = []
    for row in rows:
        with av.open(str(dataset / "Videos" / f"{row['FileName']}.avi")) as container:
            clips.append(np.stack([frame.to_ndarray(format="gray") for frame in container.decode(video=0)]))
    shortest = min(len(clip) for clip in clips)
    return np.stack([clip[:shortest] for clip in clips]), np.array([float(row["EF"]) for row in rows])


def write(out: Path, videos: Iterable[np.ndarray], efs: Iterable[float]) -> None:
    """A set of videos ``(T, H, W)`` with labels; a tenth each is VAL and TEST."""
    (out / "Videos").mkdir(parents=True)
    rows = []
    for i, (frames, ef) in enumerate(zip(videos, efs, strict=True)):
        with av.open(str(out / "Videos" / f"video{i:04d}.avi"), "w") as container:
            stream = container.add_stream("mjpeg", rate=FPS, options={"qmin": "1", "qmax": "1"})
            stream.height, stream.width, stream.pix_fmt = *frames.shape[1:], "yuvj420p"
            for frame in np.rint(np.clip(frames, 0, 255)).astype(np.uint8):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
            container.mux(stream.encode())
        rows.append((f"video{i:04d}", f"{ef:.2f}", {8: "VAL", 9: "TEST"}.get(i % 10, "TRAIN")))
    with (out / "FileList.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("FileName", "EF", "Split"), *rows])


def arguments(about: str | None) -> argparse.ArgumentParser:
    """What every rival is asked."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real", type=Path, help="dataset folder; only its TRAIN videos are read")
    parser.add_argument("out", type=Path, help="new folder")
    parser.add_argument("--num", type=int, default=40, help="videos")
    parser.add_argument("--seed", type=int, default=0)
    return parser
