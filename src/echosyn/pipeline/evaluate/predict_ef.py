"""Read the EF off videos with a trained regressor, one video in memory at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from echosyn import device as devices
from echosyn import weights
from echosyn.data import filelist, video
from echosyn.data.records import Record
from echosyn.data.resizing import resized
from echosyn.errors import DataError, VideoError
from echosyn.metrics.moments import Array
from echosyn.pixels import convention
from echosyn.progress import Progress, silent
from echosyn.training.ef_reading import EFReader, NumClips

CLIPS_PER_VIDEO = 4
SIZE = 112
"""Height and width of what regressors are trained on, in pixels."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a regressor says about some videos."""

    ef: Array
    """Mean over a video's clips, percent, ``(n,)``."""
    features: NDArray[np.float32]
    """Penultimate features, mean over a video's clips, ``(n, d)``."""


@dataclass(frozen=True)
class FileEF:
    """What a regressor says about one file, or why it says nothing."""

    path: Path
    ef: float | None = None
    """Percent."""
    num_clips: int = 0
    resized_from: tuple[int, int] | None = None
    """``(height, width)`` of a file that is not 112x112; the whole picture was squeezed."""
    too_short: str | None = None
    """In words, where the video is shorter than the clips that the regressor sees: the rest of its clip is blank."""
    problem: str | None = None


def ef_reader(model: Path, device: str = "auto") -> EFReader:
    """The regressor of a model folder (or of a training's run folder, or the ``ef`` of a folder of models)."""
    folder = weights.resolve(model)
    if not weights.is_model(folder, "ef") and model.is_dir():
        folder = weights.find(model, "ef")
    network, facts = weights.load(folder, "ef").to(devices.resolve(device)), weights.load_facts(folder)
    return EFReader(network, convention(facts.pixels), facts.fps, facts.num_frames or 32, facts.period)


def predict_ef(
    dataset: Path,
    records: Sequence[Record],
    model: Path,
    *,
    num_clips: NumClips = CLIPS_PER_VIDEO,
    period: int | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> Predictions:
    """EF and features of the given videos of a dataset folder, from clips spread evenly over each video or from all.

    ``period`` takes every so many-th frame, where that is not the model's own.
    """
    read = ef_reader(model, device)
    read = read if period is None else replace(read, period=period)
    index = filelist.VideoIndex(dataset)
    readings = []
    for i, record in enumerate(records):
        recording = video.read(index.path(record))
        readings.append(read(recording.grey(), recording.fps, num_clips))
        progress("read EF", i + 1, len(records))
    features = np.stack([r.features for r in readings]) if readings else np.zeros((0, 0), np.float32)
    return Predictions(np.array([r.ef for r in readings], np.float64), features)


def predict_files(
    files: Sequence[Path],
    model: Path,
    *,
    num_clips: NumClips = CLIPS_PER_VIDEO,
    fps: float | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> Iterator[FileEF]:
    """EF of each file, as soon as it is known; a bad file says why and the others go on.

    A file that is not 112x112 is resized as a whole, as `import` does.
    """
    read, done = ef_reader(model, device), 0
    for path in files:
        try:
            recording = video.read(path, fps=fps)
            frames = recording.frames
            reading = read(resized(frames, SIZE), recording.fps, num_clips)
            size, done = (frames.shape[1], frames.shape[2]), done + 1
            yield FileEF(
                path,
                reading.ef,
                reading.num_clips,
                size if size != (SIZE, SIZE) else None,
                _too_short(len(frames), recording.fps, read),
            )
        except VideoError as error:
            yield FileEF(path, problem=str(error))
        progress("read EF", done, len(files))


def _too_short(num_frames: int, fps: float, read: EFReader) -> str | None:
    wanted = read.num_frames / read.fps
    if read.period is not None or num_frames / fps > wanted - 1 / read.fps:
        return None
    return f"{num_frames / fps:.2g} s, and the regressor looks at {wanted:.2g} s: do not trust this EF"


def video_files(paths: Sequence[Path]) -> list[Path]:
    """The given files, and all videos below the given folders by name, each once.

    Raises:
        DataError: a folder has no video below it.
    """
    found: list[Path] = []
    for path in paths:
        below = sorted(p for p in path.rglob("*") if filelist.is_video(p)) if path.is_dir() else [path]
        if not below:
            raise DataError(f"{path}: no videos below it; expected AVI, MP4 or GIF files")
        found += below
    return list(dict.fromkeys(found))
