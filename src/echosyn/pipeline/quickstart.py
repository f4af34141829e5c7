"""``echosyn quickstart``: `run` on the phantom."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from echosyn.pipeline.phantom import make_phantom
from echosyn.pipeline.progress import Progress, silent
from echosyn.pipeline.run import result, run

NUM_PATIENTS = 140
NUM_FRAMES = 128
NUM_SYNTHETIC = 24


def quickstart(
    out: Path,
    *,
    patients: int = NUM_PATIENTS,
    num: int = NUM_SYNTHETIC,
    seed: int = 0,
    overrides: Sequence[str] = (),
    device: str = "auto",
    progress: Progress = silent,
) -> dict[str, Any]:
    """Make a phantom dataset in ``OUT/dataset`` and a synthetic one from it in ``OUT/run``; finished parts are kept.

    Args:
        out: folder; given again after a stop it continues, given again after the end it only reports.
        patients: phantom videos to make.
        num: synthetic videos to generate.
        seed: of phantom and generation.
        overrides: ``stage.name=value``.
        device: where to compute.
        progress: told what is done.
    """
    dataset, finished = out / "dataset", out / "run"
    if not dataset.exists():
        make_phantom(dataset, num=patients, seed=seed, num_frames=NUM_FRAMES, progress=progress)
    if finished.exists():
        return result(finished)
    return run(dataset, finished, num=num, seed=seed, overrides=overrides, device=device, progress=progress)
