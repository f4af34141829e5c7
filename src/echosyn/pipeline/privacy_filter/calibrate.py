"""``echosyn calibrate``: both privacy screens, once for every shard and every set of the same models and recordings."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from echosyn import weights
from echosyn.hashing import content_hash
from echosyn.pipeline.folder import new_folder, note, write_json
from echosyn.pipeline.models import check_same_vae
from echosyn.pipeline.privacy_filter import still_filter, video_filter
from echosyn.pipeline.privacy_filter.parallel_matching import Matcher
from echosyn.pipeline.privacy_filter.rules import Rules
from echosyn.pipeline.privacy_filter.stored import COMMAND, PRIVATE, RATE, Screens
from echosyn.pipeline.workers.compute import HERE, Compute
from echosyn.pipeline.workers.executors import Executor, InProcess
from echosyn.progress import Progress, silent
from echosyn.settings.making import CalibrateSettings


def calibrate(
    out: Path, models: Mapping[str, Path], asked: CalibrateSettings, compute: Compute = HERE
) -> dict[str, Any]:
    """Write a folder that `echosyn.pipeline.generate.generate.generate` takes instead of the real recordings.

    Its sub-folder ``private`` holds vectors and names of real patients and must stay in the house.

    Args:
        out: new folder.
        models: model folders by stage: ``vae`` and ``reid``.
        asked: whom the screens compare with, and how strict they are.
        compute: where, and who reads the videos. It changes no byte on CPUs.

    Returns:
        ``calibrated``, the held-out ``patients`` and whether they are ``enough`` for the rate.

    Raises:
        ModelError: the models do not belong together.
        DataError: the latents come from another VAE, there are no TRAIN or no held-out videos, or a video is damaged.
    """
    reference, real, rate = asked.reference, asked.real, asked.false_rejection_rate
    vae, reid = (weights.resolve(models[stage]) for stage in ("vae", "reid"))
    still_filter.load_reid(reid, reference, "cpu")  # what does not belong together is refused before anything is hashed
    check_same_vae(reid, weights.load_facts(reid).vae, vae)
    inputs = {"vae": vae, "reid": reid, "reference": reference} | ({"real": real} if real else {})
    with new_folder(out, COMMAND, {"rate": rate}, inputs) as folder:
        private = folder / PRIVATE
        private.mkdir(exist_ok=True, mode=0o700)
        screens = Screens.in_folder(private, vae, reid)
        rules = calibrate_into(screens, reference, real, rate, compute.device, compute.executor, compute.progress)
        note(folder, screens=content_hash(private))
    still, video = rules.still_threshold or {}, rules.video_threshold or {}
    return {
        "calibrated": str(out),
        "patients": video["num_patients"],
        "enough": still["enough"] and video["enough"],
        "compared_with": rules.compared_with,
    }


def calibrate_into(
    screens: Screens,
    reference: Path | None,
    real: Path | None,
    rate: float = RATE,
    device: str = "auto",
    executor: Executor | None = None,
    progress: Progress = silent,
) -> Rules:
    """Calibrate the two screens and write them for the workers; what they ask for.

    If an earlier try or job has, nothing is asked of ``reference``, which may be None then.
    """
    if screens.rules.exists():
        return Rules(**json.loads(screens.rules.read_text()))
    assert reference is not None
    executor = executor or InProcess.of(device)
    files = screens.rules.with_name("work")
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir()
    options: dict[str, Any] = {"match": Matcher(executor, files, progress), "device": device, "progress": progress}
    screen = still_filter.calibrated(
        screens.reid, reference, false_rejection_rate=rate, folder=files / "stills", **options
    )
    screen.write(screens.stills)
    sources = reference, real, rate
    check = video_filter.calibrated(
        screens.vae, screens.reid, *sources, device, executor, progress, folder=files / "videos"
    )
    check.write(screens.videos)
    shutil.rmtree(files)
    rules = Rules(
        still_threshold=screen.threshold.to_json(),
        video_threshold=check.screen.screen.threshold.to_json(),
        compared_with="videos" if real else "decoded latents",
    )
    write_json(screens.rules, rules.to_json())
    return rules
