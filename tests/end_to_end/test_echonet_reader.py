"""Datasets of ours are read by a reader that knows EchoNet-Dynamic's folder and nothing of us."""

import csv
import os
from collections.abc import Iterator

import av
import numpy as np
import pytest


def echonet(root: str, split: str) -> Iterator[tuple[np.ndarray, float]]:
    """Video ``(3, T, H, W)`` and EF, as ``echonet.datasets.Echo(root, split, target_type="EF")`` reads them."""
    with open(os.path.join(root, "FileList.csv")) as f:  # noqa: PTH118, PTH123 (as the original does)
        rows = list(csv.DictReader(f))
    rows = [row for row in rows if row["Split"].upper() == split.upper()]
    names = [row["FileName"] for row in rows]
    names = [name + ".avi" for name in names if os.path.splitext(name)[1] == ""]  # noqa: PTH122
    assert len(names) == len(rows), "EchoNet expects names without extension"
    missing = set(names) - set(os.listdir(os.path.join(root, "Videos")))  # noqa: PTH118, PTH208
    assert not missing
    if os.path.exists(os.path.join(root, "VolumeTracings.csv")):  # noqa: PTH110, PTH118
        with open(os.path.join(root, "VolumeTracings.csv")) as f:  # noqa: PTH118, PTH123
            assert f.readline().strip().split(",") == ["FileName", "X1", "Y1", "X2", "Y2", "Frame"]
            traced = {(line.split(",")[0], int(line.strip().split(",")[-1])) for line in f}
        of_split = [frame for name, frame in traced if name in names]
        assert len(of_split) == 2 * len(names), "EchoNet expects end-diastole and end-systole"
    for name, row in zip(names, rows, strict=True):
        with av.open(os.path.join(root, "Videos", name)) as capture:  # noqa: PTH118
            stream = capture.streams.video[0]
            frame_count, fps = stream.frames, float(stream.average_rate)
            video = np.zeros((frame_count, stream.height, stream.width, 3), np.uint8)
            for i, frame in enumerate(capture.decode(stream)):
                video[i] = frame.to_ndarray(format="rgb24")
        assert i + 1 == frame_count == int(row["NumberOfFrames"])
        assert video.shape[1:3] == (int(row["FrameHeight"]), int(row["FrameWidth"])) == (112, 112)
        assert abs(fps - float(row["FPS"])) < 1e-3
        yield video.transpose(3, 0, 1, 2), float(row["EF"])


@pytest.mark.parametrize("kind", ["phantom", "synthetic", "animated"])
def test_every_split_is_read(kind, dataset, workshop):
    root = dataset if kind == "phantom" else getattr(workshop, kind)
    counts = {}
    for split in ("train", "val", "test"):
        items = list(echonet(str(root), split))
        counts[split] = len(items)
        for video, ef in items:
            assert video.shape[0] == 3
            assert video.std() > 1
            assert np.abs(np.diff(video.astype(float), axis=1)).mean() > 0.01, "nothing moves"
            assert 0 <= ef <= 100
    assert counts["train"] > counts["val"] >= 1
    assert counts["test"] >= 1
