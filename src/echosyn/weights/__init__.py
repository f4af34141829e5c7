"""Model folders: a diffusers folder (``config.json`` and safetensors) plus ``echosyn.json`` with what the weights cannot say.

Weights are read in every form that diffusers writes (`echosyn.weights.stored`) and always into aligned memory, so that a
network's output does not depend on the file they came from. A folder made by others (the published ones) has no
``echosyn.json``; its facts are the published defaults, its scheduler is read from the ``noise_scheduler`` block of the
``config.yaml`` beside it, and where its weights are a pickle (`PUBLISHED_FILES`), they are read as plain tensors or refused.
"""

import importlib
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from echosyn import rng
from echosyn.config import Settings, build, near_miss, read_yaml, refuse_unresolved
from echosyn.diffusion.conditions import EF, Condition
from echosyn.errors import ConfigError, ModelError
from echosyn.files import usual_permissions
from echosyn.hashing import file_hash
from echosyn.weights import stored
from echosyn.weights.stored import WEIGHTS

FACTS = "echosyn.json"
SCHEDULER = "scheduler_config.json"

NETWORKS: dict[str, str] = {
    "AutoencoderKL": "diffusers",
    "PatchAutoencoderKL": "echosyn.nn.patch_autoencoder",
    "UNet2DModel": "diffusers",
    "UNetSpatioTemporalConditionModel": "diffusers",
    "VideoTransformer": "echosyn.nn.video_transformer",
    "ModeUNet": "echosyn.nn.mode_unet",
    "SiameseNet": "echosyn.nn.siamese",
    "EFRegressor": "echosyn.nn.ef_regressor",
    "CavityUNet": "echosyn.nn.cavity_unet",
}
"""Classes that a ``_class_name`` may name, and the module that has them."""

STAGE_NETWORKS: dict[str, tuple[str, ...]] = {
    "vae": ("AutoencoderKL", "PatchAutoencoderKL"),
    "lidm": ("UNet2DModel", "VideoTransformer"),
    "lvdm": ("UNetSpatioTemporalConditionModel", "VideoTransformer", "ModeUNet"),
    "reid": ("SiameseNet",),
    "ef": ("EFRegressor",),
    "outline": ("CavityUNet",),
}

FOLDER_NAMES: dict[str, tuple[str, ...]] = {
    "vae": ("vae",),
    "lidm": ("lidm", "lidm_dynamic", "lidm_ped_a4c", "lidm_ped_psax", "lidm_a4c", "lidm_psax"),
    "lvdm": ("lvdm",),
    "reid": ("reid", "reidentification_dynamic", "reidentification_ped_a4c", "reidentification_ped_psax"),
    "ef": ("ef", "regression_dynamic", "regression_ped_a4c", "regression_ped_psax"),
    "outline": ("outline",),
}
"""Where a folder of models keeps each stage: our name first, then those of the published layout and of what ships."""

VARIANTS = ("dynamic", "ped_a4c", "ped_psax", "a4c", "psax")
"""The datasets of the published layout, and views; where a stage has a model for each, its folder name ends in one."""

PUBLISHED_FILES: dict[str, str] = {"reid": "*_best_network.pth", "ef": "best.pt"}
"""Published weights that are no diffusers folder, by stage."""


class Facts(Settings):
    """What ``echosyn.json`` says about a model folder."""

    stage: str | None = None
    pixels: str = "published"
    """How the VAE sees grey levels (`echosyn.pixels`)."""
    fps: float = 32.0
    """Frames a second of the clips it was trained on."""
    period: int | None = None
    """Every so many-th frame is in a clip, whatever the frame rate; ``fps`` then has no say."""
    num_frames: int | None = None
    """Frames in a training clip."""
    drop_conditions: float = 0.0
    """Share of training items that went without their conditions; guidance needs it above 0."""
    conditions: tuple[Condition, ...] = (EF,)
    """What a video model is told besides the still."""
    num_inference_steps: int = 64
    """Sampling steps that suit the model."""
    guidance_scale: float = 1.0
    """Guidance that suits the model."""
    vae: str | None = None
    """`latents_hash` of the VAE whose latents it was trained on."""
    encoder: str | None = None
    """Of a VAE that was adapted with its encoder and scale left alone: `latents_hash` of the one it was adapted from."""
    only: Mapping[str, str] = Field(default_factory=dict)
    """Columns of ``FileList.csv`` and the value that all training videos had there."""
    courses: bool = False
    """It learned stills at end-diastole and, a video model, was told when hearts contract (``encode --courses``)."""
    differential_privacy: dict[str, float] | None = None
    """What DP-SGD promises for each patient: ``epsilon`` and ``delta``, and how it was reached."""


def network(config: Mapping[str, Any]) -> Any:
    """Build a randomly initialised network from a mapping with ``_class_name`` and its keywords.

    Raises:
        ModelError: the class or one of its keywords is unknown.
    """
    kind = network_class(str(config.get("_class_name", "")))
    keywords = {name: value for name, value in config.items() if not name.startswith("_")}
    known = sorted(kind._get_init_keys(kind) - {"self"})
    for name in keywords:
        if name not in known:
            raise ModelError(f"{kind.__name__} has no setting {name!r}{near_miss(name, known)}")
    try:
        return kind(**keywords)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{kind.__name__}: {str(error).splitlines()[0]}") from error


def network_class(name: str) -> Any:
    """The class that ``_class_name`` names; an unknown one is a `ModelError`."""
    if name not in NETWORKS:
        raise ModelError(f"network class {name!r} is unknown{near_miss(name, list(NETWORKS))}")
    return getattr(importlib.import_module(NETWORKS[name]), name)


def scheduler(config: Mapping[str, Any]) -> Any:
    """A diffusers scheduler from a mapping with ``_class_name`` and its settings."""
    import diffusers

    name = str(config.get("_class_name", ""))
    kind = getattr(diffusers, name, None) if name.endswith("Scheduler") else None
    if kind is None:
        raise ModelError(f"scheduler class {name!r} is unknown; expected one of diffusers', such as 'DDPMScheduler'")
    return kind.from_config(dict(config))


def save(model: Any, folder: Path, facts: Facts, noise_scheduler: Any = None) -> None:
    """Write a model folder, whole or not at all; an existing one is replaced."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial, safe_serialization=True)
    _forget_where_from(partial / "config.json")
    (partial / FACTS).write_text(facts.model_dump_json(indent=2, exclude_none=True) + "\n")
    if noise_scheduler is not None:
        noise_scheduler.save_pretrained(partial)
    usual_permissions(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def _forget_where_from(config: Path) -> None:
    """Take out the folder that a model was loaded from: it may be a private path."""
    said = json.loads(config.read_text())
    said.pop("_name_or_path", None)
    config.write_text(json.dumps(said, indent=2, sort_keys=True) + "\n")


def load(folder: Path, stage: str, *, empty: bool = False) -> Any:
    """The network of a model folder in evaluation mode, on the CPU.

    Args:
        folder: model folder.
        stage: which network is expected.
        empty: read no weights: a network without memory that only knows its ``config``.

    Raises:
        ModelError: there is no model folder, it is of another stage, or its weights do not fit.
    """
    if (checkpoint := _published_checkpoint(folder, stage)) is not None:
        from echosyn.weights import echonet_dynamic, siamese

        return siamese.import_siamese(checkpoint) if stage == "reid" else echonet_dynamic.read_regressor(checkpoint)[0]
    config = _config(folder)
    name = str(config.get("_class_name", ""))
    if name not in STAGE_NETWORKS[stage]:
        raise ModelError(
            f"{folder}: holds a {name or 'model without _class_name'}, expected a {stage} model "
            f"({' or '.join(STAGE_NETWORKS[stage])})"
        )
    said = load_facts(folder).stage
    if said is not None and said != stage:
        raise ModelError(f"{folder}: was trained as {said}, expected a {stage} model")
    if empty:
        with torch.device("meta"):
            return _filled(network_class(name), config, {}, folder)[0].eval()
    found = stored.read(folder)
    model, missing = _filled(network_class(name), config, found, folder)
    if missing:
        raise ModelError(
            f"{folder}: {stored.files(folder)[0].name} lacks {len(missing)} tensor(s) of its {name}, first {missing[0]!r}; "
            "copy or train the model again"
        )
    return model.eval().requires_grad_(False)


def _filled(kind: Any, config: Mapping[str, Any], found: dict[str, Tensor], folder: Path) -> tuple[Any, list[str]]:
    """A network whose parameters are the tensors given, and the names that were not among them."""
    try:
        # not accelerate's empty weights: they patch torch for all threads, and models are loaded in several
        with rng.initializing(0):
            model = kind.from_config(config)
        model._fix_state_dict_keys_on_load(found)  # names of old versions of diffusers
        missing, _ = model.load_state_dict(found, strict=False, assign=True)
    except (ValueError, RuntimeError, TypeError) as error:
        reason = " ".join(line.strip() for line in str(error).strip().splitlines()[:2]) or type(error).__name__
        raise ModelError(f"{folder}: its weights cannot be loaded ({reason}); copy or train the model again") from error
    return model, sorted(missing)


def load_facts(folder: Path, config: Path | None = None) -> Facts:
    """What is known about a model folder; the published defaults where nothing is written.

    Args:
        folder: model folder.
        config: one of EchoNet-Synthetic's settings files, whose frame rate wins over the folder's.
    """
    path = folder / FACTS
    if not path.is_file() and _published_checkpoint(folder, "ef") is not None:
        from echosyn.weights.echonet_dynamic import READING

        return Facts(**READING)
    if config is not None:
        rate = (read_yaml(config).get("globals") or {}).get("target_fps")
        facts = load_facts(folder)
        return facts.model_copy(update={"fps": float(rate)}) if isinstance(rate, int | float) else facts
    if not path.is_file():
        return Facts()
    try:
        return build(Facts, json.loads(path.read_text()), str(path))
    except json.JSONDecodeError as error:
        raise ModelError(f"{path}: not JSON ({error})") from error


def load_scheduler(folder: Path, config: Path | None = None) -> Any:
    """The scheduler of a model folder: its ``scheduler_config.json``, or ``noise_scheduler`` of its ``config.yaml``.

    Args:
        folder: model folder.
        config: settings file whose ``noise_scheduler`` wins over the folder's.

    Raises:
        ModelError: neither has a scheduler.
        ConfigError: ``config`` has no ``noise_scheduler`` block.
    """
    if config is not None:
        if block := read_yaml(config).get("noise_scheduler"):
            return scheduler(block)
        raise ConfigError(
            f"--config {config}: has no noise_scheduler block; expected the settings file that the model was trained with"
        )
    if (folder / SCHEDULER).is_file():
        return scheduler(json.loads((folder / SCHEDULER).read_text()))
    if (folder / "config.yaml").is_file():
        block = read_yaml(folder / "config.yaml", partly=True).get("noise_scheduler")
        refuse_unresolved(block, f"{folder / 'config.yaml'}: noise_scheduler")
        if block:
            return scheduler(block)
    raise ModelError(
        f"{folder}: no scheduler; expected {SCHEDULER}, config.yaml with a noise_scheduler block, or that file as --config"
    )


def find(models: Path, stage: str, variant: str | None = None) -> Path:
    """The folder of a stage in a folder of models, under our name or a published one.

    A training's run folder (with ``model/`` in it) counts as its model folder.

    Args:
        models: folder of model folders, or `SHIPPED`.
        stage: which one.
        variant: which of `VARIANTS`, where the stage has a model for each.

    Raises:
        ModelError: there is none, or several and no variant was given.
    """
    found = candidates(models, stage, variant)
    if not found:
        names = " or ".join(_names(stage, variant))
        raise ModelError(f"{models}: has no {stage} model; expected a folder named {names}: train or fetch one")
    if len(found) > 1 and found[0].name != stage:
        raise ModelError(
            f"{models}: has {len(found)} {stage} models ({', '.join(f.name for f in found)}); choose with --dataset "
            f"{' or '.join(VARIANTS)}"
        )
    return resolve(found[0])


def candidates(models: Path, stage: str, variant: str | None = None) -> list[Path]:
    """The folders of a folder of models that could be those of a stage; see `find`.

    Raises:
        ModelError: there is no such folder of models.
    """
    if str(models) == SHIPPED and not models.is_dir():
        models = shipped()
    if not models.is_dir():
        raise ModelError(
            f"{models}: no such folder; expected a folder with vae, lidm, lvdm and reid models: check --models"
        )
    return [models / name for name in _names(stage, variant) if (models / name).is_dir()]


def _names(stage: str, variant: str | None) -> list[str]:
    return [name for name in FOLDER_NAMES[stage] if variant is None or _variant(name) in (None, variant)]


def shipped() -> Path:
    """The folder of the models that ship with the package: the phantom's two views."""
    return Path(__file__).parents[1] / "models"


SHIPPED = "shipped"
"""Stands for the folder of `shipped` where a folder of models or a model is asked for."""


def start(said: str, stage: str, only: Mapping[str, str]) -> Path:
    """The model folder that a training starts from.

    Args:
        said: model folder, `SHIPPED`, or one of the models that ship by name, such as ``shipped/lidm_psax``.
        stage: which network is expected.
        only: what all training videos have in common; its ``View`` picks among the models that ship.
    """
    if said.startswith(f"{SHIPPED}/"):
        return resolve(shipped() / said.removeprefix(f"{SHIPPED}/"))
    if said != SHIPPED:
        return resolve(Path(said))
    return find(shipped(), stage, only.get("View", "A4C").lower())


def find_all(models: Path, stages: Iterable[str], variant: str | None = None) -> dict[str, Path]:
    """`find` for several stages."""
    return {stage: find(models, stage, variant) for stage in stages}


def for_generating(models: Path | None, variant: str | None, *, screened: bool) -> dict[str, Path]:
    """The model folders that generating needs: of a folder of models, or those that ship (the A4C view unless said)."""
    stages = ["vae", "lidm", "lvdm", *(["reid"] if screened else [])]
    return find_all(shipped(), stages, variant or "a4c") if models is None else find_all(models, stages, variant)


def for_auditing(
    models: Path, attacked: Iterable[str], variant: str | None = None
) -> tuple[dict[str, Path], list[str]]:
    """The VAE and the Re-ID model, and of the attacked stages those that are there; why the others are left out."""
    found, why = find_all(models, ["vae", "reid"], variant), []
    for stage in attacked:
        given = candidates(models, stage, variant)
        if len(given) > 1:
            names = ", ".join(path.name for path in given)
            raise ModelError(
                f"{models}: has {len(given)} {stage} models ({names}), and an audit attacks one: choose with --dataset, or "
                "leave weights out with --videos-only"
            )
        if given:
            found[stage] = find(models, stage, variant)
        else:
            why.append(f"{models}: no {stage} model; skipped")
    return found, why


def resolve(folder: Path) -> Path:
    """A model folder, also when given the run folder of the training that made it."""
    inner = folder / "model"
    return inner if not (folder / "config.json").is_file() and (inner / "config.json").is_file() else folder


def is_model(folder: Path, stage: str) -> bool:
    """Whether a folder is a model folder, or a published one of the stage."""
    return (folder / "config.json").is_file() or _published_checkpoint(folder, stage) is not None


def latents_hash(vae: Path) -> str:
    """What says which latents a VAE's are: the hash of its weights, or of the VAE whose encoder it kept."""
    return load_facts(vae).encoder or weights_hash(vae)


def weights_hash(folder: Path) -> str:
    """SHA-256 of a model folder's weights: of the file, or over the files that are read where they are in shards."""
    published = [found for stage in PUBLISHED_FILES if (found := _published_checkpoint(folder, stage)) is not None]
    return file_hash(published[0]) if published else stored.digest(folder)


def _published_checkpoint(folder: Path, stage: str) -> Path | None:
    """The published weights of a folder without a model folder's ``config.json``, if there are any."""
    found = sorted(folder.glob(PUBLISHED_FILES.get(stage, "")) if stage in PUBLISHED_FILES else [])
    if not found or ((folder / "config.json").is_file() and "_class_name" in _config(folder)):
        return None
    if len(found) > 1:
        raise ModelError(f"{folder}: has {len(found)} checkpoints ({', '.join(f.name for f in found)}), expected one")
    return found[0]


def _variant(name: str) -> str | None:
    """Of which dataset or view the model of a folder name is; none says nothing of it."""
    return next((v for v in sorted(VARIANTS, key=len, reverse=True) if name.endswith(f"_{v}")), None)


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not folder.is_dir():
        raise ModelError(
            f"{folder}: no such folder; expected a model folder (config.json and weights), e.g. OUT/model of `echosyn train`"
        )
    if not path.is_file():
        if (folder / "run.json").is_file():
            raise ModelError(f"{folder}: a training that is not finished; continue it by its command with --resume")
        raise ModelError(
            f"{folder}: no config.json; expected a model folder (config.json and {WEIGHTS}), e.g. OUT/model of `echosyn train`"
        )
    try:
        config: dict[str, Any] = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: not JSON ({error})") from error
    return config
