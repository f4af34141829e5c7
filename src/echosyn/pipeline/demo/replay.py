"""All that one synthetic video depends on, as a small JSON file; `replay` makes the same bytes of it."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field, ValidationError

from echosyn import __version__, weights
from echosyn import device as devices
from echosyn.config import Settings, build
from echosyn.errors import ConfigError, ModelError
from echosyn.hashing import file_hash
from echosyn.pipeline.folder import new_folder, note
from echosyn.pipeline.generate.animate import write_videos
from echosyn.pipeline.generate.animation import EFDistribution, Motion, motion_for
from echosyn.pipeline.generate.sample import invent
from echosyn.pipeline.models import image_pipeline, video_pipeline
from echosyn.progress import Progress, silent
from echosyn.settings.making import AnimationSettings
from echosyn.texture.texture import file_of

FORMAT = "echosyn video 1"
STAGES = ("vae", "lidm", "lvdm")
INDEX = 0
"""The number of the heart: the first of ``generate --num 1``."""


class Recipe(Settings):
    """One invented, beating heart."""

    format: Literal["echosyn video 1"] = "echosyn video 1"
    variant: str | None = None
    """Which LIDM, where the folder of models has several."""
    seed: int = Field(ge=0, lt=2**63)
    ef: float = Field(ge=0, le=100)
    """Requested ejection fraction in percent, one decimal."""
    frames: int = Field(ge=1, le=4096)
    steps: int | None = Field(default=None, ge=1, le=1000)
    """Sampling steps of the video model; none for what suits it."""
    scheduler: str | None = None
    threads: int = Field(default=1, ge=1, le=1024)
    """torch's threads: sums of another number of them may differ in the last bit."""
    models: Mapping[str, str] = Field(default_factory=dict)
    """SHA-256 of the weights by stage."""
    versions: Mapping[str, str] = Field(default_factory=dict)

    @classmethod
    def of(cls, models: Mapping[str, Path], **asked: Any) -> "Recipe":
        """With the hashes of these model folders and the versions of this installation."""
        hashes = {stage: weights.weights_hash(weights.resolve(models[stage])) for stage in STAGES}
        hashes |= _texture_hash(models["vae"])
        versions = {"echosyn": __version__, "torch": torch.__version__}
        return cls(models=hashes, versions=versions, threads=torch.get_num_threads(), **asked)

    def command(self, models: Path | None = None) -> str:
        """The command line that makes this video, without the file."""
        words = ["echosyn", "generate", "heart", *(["--models", str(models)] if models else [])]
        words += ["--dataset", self.variant] if self.variant else []
        words += ["--num", "1", "--seed", str(self.seed), "--ef", f"{self.ef:g}", "--frames", str(self.frames)]
        words += ["--steps", str(self.steps)] if self.steps is not None else []
        words += ["--scheduler", self.scheduler] if self.scheduler else []
        return shlex.join(words)


def _texture_hash(vae: Path) -> dict[str, str]:
    file = file_of(weights.resolve(vae))
    return {"texture": file_hash(file)} if file else {}


def read(path: Path) -> Recipe:
    """A recipe that the page or `Recipe.model_dump_json` wrote.

    Raises:
        ConfigError: it is no such file, or it is of a video that cannot be made again.
    """
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; expected the JSON that was downloaded with a video") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path}: not JSON; expected the file that was downloaded with a video") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ConfigError(f"{path}: not a recipe; expected a JSON file with format {FORMAT!r}, as the page writes it")
    content.pop("measured_ef", None)
    if content.pop("deidentified", True) is False:
        raise ConfigError(
            f"{path}: made from an uploaded frame, which the recipe does not contain; only videos of sampled stills "
            "can be replayed"
        )
    try:
        return build(Recipe, content, str(path))
    except (ValidationError, RecursionError) as error:
        raise ConfigError(f"{path}: not a recipe; download it again") from error


def motion_of(recipe: Recipe, lvdm: Path) -> Motion:
    """How the heart of a recipe is animated."""
    asked = AnimationSettings(num_frames=recipe.frames, steps=recipe.steps, scheduler=recipe.scheduler, batch_size=1)
    return motion_for(lvdm, asked)


def replay(file: Path, out: Path, *, models: Path, device: str = "auto", progress: Progress = silent) -> dict[str, Any]:
    """Make the video of a recipe again, in a new dataset folder: the same bytes on the same versions and kind of processor.

    Args:
        file: the recipe.
        out: new dataset folder.
        models: folder of models; their weights must be those of the recipe.
        device: where to compute.
        progress: told what is done.

    Raises:
        ModelError: the weights are others.
    """
    recipe = read(file)
    folders = weights.find_all(models, STAGES, recipe.variant)
    for stage, expected in recipe.models.items():
        if stage in folders and weights.weights_hash(folders[stage]) != expected:
            raise ModelError(
                f"{file}: its video was made with another {stage} (weights {expected[:12]}...) than {folders[stage]}; give the "
                "same --models"
            )
    if recipe.models and recipe.models.get("texture") != _texture_hash(folders["vae"]).get("texture"):
        raise ModelError(
            f"{file}: its video was made with another texture than {folders['vae']} has; give the same --models"
        )
    threads, where = torch.get_num_threads(), devices.resolve(device)
    torch.set_num_threads(recipe.threads)
    try:
        hearts = image_pipeline(folders["lidm"], where)
        animator = video_pipeline(folders["lvdm"], folders["vae"], where, recipe.scheduler)
        motion = motion_of(recipe, folders["lvdm"])
        motion.check(animator)
        settings = recipe.model_dump(mode="json")
        with new_folder(out, "generate --replay", settings, folders) as folder:
            steps = weights.load_facts(folders["lidm"]).num_inference_steps
            still = invent(hearts, [INDEX], recipe.seed, steps, 1)
            ef = EFDistribution(recipe.ef, recipe.ef)
            write_videos(animator, [INDEX], still, recipe.seed, ef, motion, folder, progress)
            note(folder, privacy={"filter": "none", "releasable": False, "warning": "a replay is not filtered"})
    finally:
        torch.set_num_threads(threads)
    return {"dataset": str(out), "videos": 1, "changed": _changed(recipe)}


def _changed(recipe: Recipe) -> str | None:
    """Versions that differ from the recipe's, for which equal bytes are not promised."""
    now = {"echosyn": __version__, "torch": torch.__version__}
    found = [
        f"{name} {then} -> {now[name]}" for name, then in recipe.versions.items() if now.get(name) not in (None, then)
    ]
    return ", ".join(found) or None
