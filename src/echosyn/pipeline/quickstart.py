"""``echosyn quickstart``: `run` on the phantom, with the models that ship or with new ones."""

from pathlib import Path
from typing import Any

from echosyn import weights
from echosyn.errors import ConfigError
from echosyn.pipeline import starting
from echosyn.pipeline.ingest.phantom import make_phantom
from echosyn.pipeline.run import result, run
from echosyn.pipeline.workers.compute import HERE, Compute
from echosyn.settings.whole import QuickstartSettings, WholeSettings

NUM_FRAMES = 64
FPS = 32.0
PROTOCOL = "echosyn-quick-v3"
EF_STEPS = 200
"""Of each of the two EF regressors that are trained for the report."""


def quickstart(out: Path, asked: QuickstartSettings, compute: Compute = HERE) -> dict[str, Any]:
    """Make a phantom dataset in ``OUT/dataset`` and a synthetic one in ``OUT/run``; finished parts are kept.

    The hearts of the dataset are none of those that the shipped models learned from. With ``train`` small models are trained
    on the phantom dataset, in ``OUT/trained``, instead.

    Args:
        out: folder; given again after a stop it continues, given again after the end it only reports.
        asked: how many patients and videos.
        compute: where, and who is told.
    """
    if asked.overrides and not asked.train:
        raise ConfigError("--set changes trainings: give --train, too")
    dataset, finished = out / "dataset", out / ("trained" if asked.train else "run")
    if not dataset.exists():
        make_phantom(
            dataset, num=asked.patients, seed=asked.seed, num_frames=NUM_FRAMES, fps=FPS, progress=compute.progress
        )
    if finished.exists():
        return result(finished)
    models: dict[str, Any] = (
        {"start": starting.NONE} if asked.train else {"models": weights.shipped(), "variant": "a4c"}
    )
    overrides = asked.overrides if asked.train else (f"ef.loop.steps={EF_STEPS}", "ef.loop.trackers=[]")
    wanted = WholeSettings(
        num=asked.num, seed=asked.seed, num_frames=NUM_FRAMES, protocol=PROTOCOL, overrides=overrides, **models
    )
    return run(dataset, finished, wanted, compute)
