"""Read the EF off videos with a trained regressor, a few clips a video, one video in memory at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from echosyn import device as devices
from echosyn import weights
from echosyn.data import clips, filelist, loading, video
from echosyn.data.records import Record
from echosyn.pipeline.progress import Progress, silent
from echosyn.pixels import convention
from echosyn.training.stages.ef import to_input

Array = NDArray[np.float64]

CLIPS_PER_VIDEO = 4


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a regressor says about some videos."""

    ef: Array
    """Mean over a video's clips, percent, ``(n,)``."""
    features: NDArray[np.float32]
    """Penultimate features, mean over a video's clips, ``(n, d)``."""


def predict_ef(
    dataset: Path,
    records: Sequence[Record],
    model: Path,
    *,
    clips_per_video: int = CLIPS_PER_VIDEO,
    device: str = "auto",
    progress: Progress = silent,
) -> Predictions:
    """EF and features of the given videos of a dataset folder, from clips spread evenly over each video."""
    folder = weights.resolve(model)
    network, facts = weights.load(folder, "ef").to(devices.resolve(device)), weights.load_facts(folder)
    index = filelist.VideoIndex(dataset)
    efs, features = [], []
    for i, record in enumerate(records):
        recording = video.read(index.path(record))
        length = facts.num_frames or 32
        chosen = clips.evenly_spaced(len(recording.frames), recording.fps, facts.fps, length, clips_per_video)
        frames = recording.grey()
        batch = torch.stack([loading.pixel_clip(frames, c, length) for c in chosen])
        ef, feature = _forward(network, to_input(batch, convention(facts.pixels)))
        efs.append(float(ef.mean()))
        features.append(feature.mean(0))
        progress("read EF", i + 1, len(records))
    return Predictions(np.array(efs, np.float64), np.stack(features) if features else np.zeros((0, 0), np.float32))


@torch.no_grad()
def _forward(network: Any, batch: torch.Tensor) -> tuple[Array, NDArray[np.float32]]:
    features = network.features(batch.to(next(network.parameters()).device))
    return network.head(features)[:, 0].double().cpu().numpy(), features.float().cpu().numpy()
