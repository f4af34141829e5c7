"""``echosyn quickstart``: `run` on the phantom, with the models that ship or with new ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from echosyn import weights
from echosyn.errors import ConfigError
from echosyn.pipeline.phantom import make_phantom
from echosyn.pipeline.progress import Progress, silent
from echosyn.pipeline.run import result, run

NUM_PATIENTS = 112
NUM_FRAMES = 96
FPS = 32.0
NUM_SYNTHETIC = 24
PROTOCOL = "echosyn-quick-v2"


def quickstart(
    out: Path,
    *,
    patients: int = NUM_PATIENTS,
    num: int = NUM_SYNTHETIC,
    seed: int = 0,
    train: bool = False,
    overrides: Sequence[str] = (),
    device: str = "auto",
    progress: Progress = silent,
) -> dict[str, Any]:
    """Make a phantom dataset in ``OUT/dataset`` and a synthetic one in ``OUT/run``; finished parts are kept.

    The hearts of the dataset are none of those that the shipped models learned from.

    Args:
        out: folder; given again after a stop it continues, given again after the end it only reports.
        patients: phantom videos to make.
        num: synthetic videos to generate.
        seed: of phantom and generation.
        train: train small models on the phantom dataset, in ``OUT/trained``, instead of taking those that ship.
        overrides: ``stage.name=value``.
        device: where to compute.
        progress: told what is done.
    """
    if overrides and not train:
        raise ConfigError("--set changes trainings: give --train, too")
    dataset, finished = out / "dataset", out / ("trained" if train else "run")
    if not dataset.exists():
        make_phantom(dataset, num=patients, seed=seed, num_frames=NUM_FRAMES, fps=FPS, progress=progress)
    if finished.exists():
        return result(finished)
    models: dict[str, Any] = {} if train else {"models": weights.shipped(), "variant": "a4c"}
    return run(
        dataset,
        finished,
        num=num,
        num_frames=NUM_FRAMES,
        protocol=PROTOCOL,
        seed=seed,
        overrides=overrides,
        device=device,
        progress=progress,
        **models,
    )
