"""The auditor's desk: the real patients, the calibrated check of finished videos, and what is looked at."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from echosyn import device as devices
from echosyn import weights
from echosyn.data import filelist
from echosyn.errors import DataError
from echosyn.pipeline.models import check_same_vae, codec
from echosyn.pipeline.privacy_filter.real_videos import (
    Archive,
    Reading,
    Told,
    VideoScreen,
    frames_of,
    gathered,
    look_at,
    looked_at,
    video_screen,
)
from echosyn.pipeline.privacy_filter.still_filter import embed
from echosyn.pipeline.workers.executors import Executor, InProcess
from echosyn.privacy.fingerprints import Look
from echosyn.privacy.matching import nearest
from echosyn.privacy.screening import Match
from echosyn.progress import Progress, silent


@dataclass(frozen=True, eq=False)
class Desk:
    """Everything that videos are compared with."""

    real: Path
    archive: Archive
    screen: VideoScreen
    codec: Any
    embed: Any
    device: torch.device
    vae: Path


def prepare(
    real: Path,
    models: Mapping[str, Path],
    folder: Path,
    *,
    false_rejection_rate: float = 0.05,
    seed: int = 0,
    device: str = "auto",
    executor: Executor | None = None,
    match: Match = nearest,
    progress: Progress = silent,
) -> Desk:
    """Read the real videos and calibrate the check of finished videos.

    Args:
        real: dataset folder.
        models: folders of ``vae`` and ``reid``.
        folder: private, for what is kept of the videos, as long as the desk is used.
        false_rejection_rate: of innocents.
        seed: of the interval's bootstrap.
        device: where to compute.
        executor: who reads the videos; default this process.
        match: finds the best matches.
        progress: told what is done.
    """
    where = devices.resolve(device)
    vae, reid = (weights.resolve(models[stage]) for stage in ("vae", "reid"))
    check_same_vae(reid, weights.load_facts(reid).vae, vae)
    encoder, model = codec(vae, where), weights.load(reid, "reid").to(where)
    reading = Reading(vae, real, None, device)
    archive = gathered(filelist.read(real), reading, executor or InProcess.of(device), folder, progress)

    def embedding(frames: torch.Tensor) -> torch.Tensor:
        return embed(model, frames)

    calibration: dict[str, Any] = {"false_rejection_rate": false_rejection_rate, "seed": seed, "match": match}
    screen = video_screen(archive, embedding, folder, progress=progress, **calibration)
    return Desk(real, archive, screen, encoder, embedding, where, vae)


def files_of(synthetic: Path) -> list[Path]:
    """Every video file of a dataset folder.

    Raises:
        DataError: there is none.
    """
    files: list[Path] = filelist.VideoIndex(synthetic).files
    if not files:
        raise DataError(f"{synthetic}: no video to audit; expected at least one in {filelist.VIDEOS}/, generate some")
    return files


def look(
    files: Sequence[Path], desk: Desk, folder: Path, executor: Executor | None = None, progress: Progress = silent
) -> Sequence[Look]:
    """Read finished videos back from their files; what is seen of them is kept in a file of a private folder.

    Raises:
        DataError: workers died at one.
    """
    executor = executor or InProcess.of(str(desk.device))
    told = Told("read synthetic videos", str, progress)
    return looked_at(LookAt(desk.vae, str(desk.device)), files, executor, folder / "finished looks", told)


@dataclass(frozen=True)
class LookAt:
    """Work: reads a finished video, given as ``(position, file)``."""

    vae: Path
    device: str = "auto"

    def start(self) -> Callable[[tuple[int, Path]], Look]:
        """Load the VAE."""
        encoder = codec(self.vae, devices.resolve(self.device))
        return lambda item: look_at(frames_of(item[1]), encoder)
