"""Settings files of EchoNet-Synthetic, read as they are: old name to new name."""

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from echosyn.config import near_miss, refuse_unresolved
from echosyn.errors import ConfigError

LOOP: dict[str, str] = {
    "train_batch_size": "batch_size",
    "max_train_steps": "steps",
    "learning_rate": "learning_rate",
    "adam_weight_decay": "weight_decay",
    "adam_epsilon": "epsilon",
    "max_grad_norm": "max_grad_norm",
    "checkpointing_steps": "save_every_steps",
    "validation_steps": "validate_every_steps",
    "checkpoints_total_limit": "keep_checkpoints",
    "dataloader_num_workers": "num_workers",
    "mixed_precision": "mixed_precision",
    "seed": "seed",
}
"""Settings of the diffusion trainers' loop that only change their name."""

ELSEWHERE = frozenset(
    {"wandb_group", "output_dir", "logging_dir", "report_to", "tracker_project_name"}
    | {"pretrained_model_name_or_path", "vae_path", "datasets", "globals", "scale_lr", "use_8bit_adam"}
    | {"gradient_checkpointing", "enable_xformers_memory_efficient_attention", "allow_tf32", "use_ema"}
    | {"num_train_epochs", "validation_timesteps", "validation_fps", "validation_frames", "validation_count"}
    | {"validation_guidance", "validation_lvefs", "resume_from_checkpoint", "adam_beta1", "adam_beta2"}
    | {"gradient_accumulation_steps", "lr_scheduler", "lr_warmup_steps", "unet", "noise_scheduler"}
    | {"noise_offset", "drop_conditionning", "input_perturbation"}
)
"""Settings handled below, given on our command line, or without effect there, too (``scale_lr``, ``use_8bit_adam``)."""

GLOBALS = frozenset({"target_fps", "target_nframes", "outputs"})
DATASET = GLOBALS | {"root", "target_resolution"}

VAE = frozenset(
    {"model", "model.base_learning_rate", "model.target", "model.params", "model.params.monitor"}
    | {"model.params.embed_dim", "model.params.ckpt_path", "model.params.lossconfig", "model.params.ddconfig"}
    | {"data", "data.target", "data.params", "data.params.batch_size", "data.params.num_workers"}
    | {"data.params.wrap", "data.params.train", "data.params.validation", "data.params.test", "lightning"}
    | {"lightning.callbacks", "lightning.trainer", "lightning.modelcheckpoint"}
)
"""Settings of the VAE's file, which is one of latent-diffusion's."""

DDCONFIG = frozenset({"z_channels", "resolution", "in_channels", "out_ch", "ch", "ch_mult", "num_res_blocks"})
LOSSCONFIG = frozenset(
    {
        "disc_start",
        "kl_weight",
        "disc_weight",
        "disc_num_layers",
        "disc_factor",
        "perceptual_weight",
        "disc_in_channels",
    }
)
ONLY: Mapping[str, Any] = {
    "double_z": True,
    "attn_resolutions": [],
    "dropout": 0.0,
    "disc_loss": "hinge",
    "disc_conditional": False,
    "use_actnorm": False,
    "logvar_init": 0.0,
    "pixelloss_weight": 1.0,
}
"""Settings of the VAE's file of which one value can be trained here, the published one or latent-diffusion's default."""

SIAMESE: Mapping[str, tuple[Any, ...]] = {
    "data_handling": ("balanced", "randomized"),
    "loss": ("BCEWithLogitsLoss",),
    "optimizer": ("Adam",),
    "transform": ("pmone", "none"),
}
"""Words of the re-identification model's file, and which of them can be trained here."""
SIAMESE_NETWORKS = {"ResNet-50": "resnet50", "ResNet-18": "resnet18"}
SIAMESE_NUMBERS = frozenset(
    {"batch_size", "learning_rate", "num_workers", "n_channels", "n_features", "max_epochs", "early_stopping"}
    | {"n_samples_train"}
)
SIAMESE_ELSEWHERE = frozenset(
    {"siamese_architecture", "experiment_description", "resumption", "resumption_count", "previous_experiment"}
    | {"image_path", "pin_memory", "image_size", "n_samples_val", "n_samples_test"}
)
"""Settings given on our command line, or known from the latents."""

ADAM = {"optimizer": "adam", "weight_decay": 0.0, "max_grad_norm": None, "ema_decay": 0.0}
"""The optimizer of VAE and re-identification model."""


def recognised(content: Mapping[str, Any]) -> bool:
    """Whether a file is one of the reference's."""
    diffusion = "unet" in content and "noise_scheduler" in content
    return diffusion or _is_vae(content) or "siamese_architecture" in content


def translated(content: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The settings of one of the reference's files as settings of ours.

    Args:
        content: the file; what could not be resolved in it (`echosyn.config.Unresolved`) is an error where it is used.
        where: its name, for messages.

    Raises:
        ConfigError: a setting that neither knows, one of which another value was published and none else can be trained here,
            or a network that we do not build.
    """
    if _is_vae(content):
        return _vae(content, where)
    return _siamese(content, where) if "siamese_architecture" in content else _diffusion(content, where)


def _is_vae(content: Mapping[str, Any]) -> bool:
    model = content.get("model")
    return isinstance(model, Mapping) and "ddconfig" in (model.get("params") or {})


def _vae(content: Mapping[str, Any], where: str) -> dict[str, Any]:
    _refuse_unknown([*_paths(content, VAE)], VAE, where)
    model, data = content["model"], content.get("data", {}).get("params", {})
    dd, loss = model["params"]["ddconfig"], (model["params"].get("lossconfig") or {}).get("params", {})
    _refuse_unknown(dd, [*DDCONFIG, *ONLY], f"{where}: ddconfig")
    _refuse_unknown(loss, [*LOSSCONFIG, *ONLY], f"{where}: lossconfig")
    _refuse_others(dd | loss, {name: (value,) for name, value in ONLY.items()}, where)
    _refuse_others(model["params"], {"embed_dim": (dd["z_channels"],)}, f"{where}: model.params")
    levels = len(dd["ch_mult"])
    trainer = (content.get("lightning") or {}).get("trainer") or {}
    result: dict[str, Any] = {
        "network": {
            "_class_name": "AutoencoderKL",
            "in_channels": dd["in_channels"],
            "out_channels": dd["out_ch"],
            "latent_channels": dd["z_channels"],
            "sample_size": dd["resolution"],
            "block_out_channels": [dd["ch"] * multiple for multiple in dd["ch_mult"]],
            "down_block_types": ["DownEncoderBlock2D"] * levels,
            "up_block_types": ["UpDecoderBlock2D"] * levels,
            "layers_per_block": dd["num_res_blocks"],
        },
        "pixels": "published",
        "scaling_factor": 0.18215,  # of the published conversion to diffusers
        "kl_weight": loss.get("kl_weight", 1.0),
        "perceptual_weight": loss.get("perceptual_weight", 1.0),
        "perceptual_network": "lpips",
        # the file sets no end; the preset's
        "loop": ADAM | {"betas": [0.5, 0.9], "steps": 200_000, "save_every_steps": 5000},
    }
    if "disc_start" in loss:
        result["adversarial"] = {
            "start": loss["disc_start"],
            "warmup": 0,
            "weight": _number(loss, "disc_weight", where, 1.0) * _number(loss, "disc_factor", where, 1.0),
            "max_adaptive_weight": 1e4 / (dd["in_channels"] * dd["resolution"] ** 2),
            "num_layers": loss.get("disc_num_layers", 3),
        }
    if "batch_size" in data:
        part = int(_number(data, "batch_size", where))
        parts = int(_number(trainer, "accumulate_grad_batches", where, 1))
        result["loop"] |= {"batch_size": part * parts, "micro_batch_size": part, "per_process": "batch_and_rate"}
        # latent-diffusion multiplies by items a step, over all processes
        result["loop"]["learning_rate"] = _number(model, "base_learning_rate", where) * part * parts
    if "num_workers" in data:
        result["loop"]["num_workers"] = data["num_workers"]
    return result


def _siamese(content: Mapping[str, Any], where: str) -> dict[str, Any]:
    _refuse_unknown(content, [*SIAMESE_NUMBERS, *SIAMESE_ELSEWHERE, *SIAMESE], where)
    _refuse_others(content, {**SIAMESE, "siamese_architecture": tuple(SIAMESE_NETWORKS)}, where)
    batch = int(_number(content, "batch_size", where, 128))
    patience = int(_number(content, "early_stopping", where, 50))
    epoch = math.ceil(_number(content, "n_samples_train", where, 7465) / batch)
    return {
        "network": {
            "_class_name": "SiameseNet",
            "backbone": SIAMESE_NETWORKS[content["siamese_architecture"]],
            "in_channels": content.get("n_channels", 4),
            "embedding_size": content.get("n_features", 128),
            "normalize": content.get("transform", "pmone") == "pmone",
        },
        "choose_by": "loss",
        "loop": ADAM
        | {
            "batch_size": batch,
            "learning_rate": content.get("learning_rate", 1e-4),
            "num_workers": content.get("num_workers", 0),
            "steps": epoch * int(_number(content, "max_epochs", where, 1000)),
            "validate_every_steps": epoch,
            "save_every_steps": epoch,
            "patience": patience or None,  # 0 never stops there
            "select": "best",
        },
    }


def _diffusion(content: Mapping[str, Any], where: str) -> dict[str, Any]:
    _refuse_unknown(content, [*LOOP, *ELSEWHERE], where)
    common, datasets = content.get("globals") or {}, _datasets(content, where)
    _refuse_unknown(common, GLOBALS, f"{where}: globals")
    clips = _agreed([each.get("params") or {} for each in datasets], common, where)
    loop = {new: content[old] for old, new in LOOP.items() if old in content}
    loop["betas"] = [content.get("adam_beta1", 0.9), content.get("adam_beta2", 0.999)]
    loop["per_process"] = "batch"
    parts = int(_number(content, "gradient_accumulation_steps", where, 1))
    if parts > 1:
        loop["micro_batch_size"] = int(_number(content, "train_batch_size", where))
        loop["batch_size"] = loop["micro_batch_size"] * parts
    schedule = content.get("lr_scheduler", "constant")
    # as diffusers means the words: "constant" takes no notice of the warm-up
    loop["schedule"] = "constant" if schedule == "constant_with_warmup" else schedule
    loop["warmup_steps"] = 0 if schedule == "constant" else content.get("lr_warmup_steps", 0)
    # diffusers' default, which the reference leaves as it is
    loop["ema_decay"] = 0.9999 if content.get("use_ema", True) else 0.0
    is_video = "video" in clips.get("outputs", [])
    roots = [str(each["params"]["root"]) for each in datasets if "root" in (each.get("params") or {})]
    result: dict[str, Any] = {
        "network": dict(content["unet"]),
        "scheduler": dict(content["noise_scheduler"]),
        "loop": loop,
        "datasets": roots if len(roots) > 1 else [],
        "noise_offset": content.get("noise_offset", 0.0),
        "input_perturbation": content.get("input_perturbation", 0.0),
        "fps": clips.get("target_fps", 32),
        "num_frames": clips.get("target_nframes", 64) if is_video else 1,
        "guidance_scale": content.get("validation_guidance", 1.0),
    }
    if content.get("vae_path") and Path(content["vae_path"]).is_dir():
        result["vae"] = content["vae_path"]
    if is_video:
        result["drop_conditions"] = content.get("drop_conditionning", 0.3)
    return result


def _datasets(content: Mapping[str, Any], where: str) -> list[Mapping[str, Any]]:
    """The data sets that are switched on."""
    found = [each for each in content.get("datasets") or [] if each.get("active", True)]
    for each in found:
        _refuse_unknown(each, ("name", "active", "params"), f"{where}: datasets")
        _refuse_others(each, {"name": ("Latent",)}, f"{where}: datasets")
        _refuse_unknown(each.get("params") or {}, DATASET, f"{where}: datasets")
    return found


def _agreed(params: Iterable[Mapping[str, Any]], common: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Clips are alike in all data sets; what they do not say is in ``globals``."""
    result = dict(common)
    told: dict[str, Any] = {}
    for each in params:
        for name in GLOBALS & each.keys():
            if told.setdefault(name, each[name]) != each[name]:
                raise ConfigError(
                    f"{where}: datasets: {name} is {told[name]} and {each[name]}; expected one value for all of them"
                )
    return result | told


def _number(values: Mapping[str, Any], name: str, where: str, default: float | None = None) -> float:
    value = values.get(name, default)
    refuse_unresolved(value, where, name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{where}: {name} = {value!r}: expected a number")
    return value


def _refuse_unknown(names: Iterable[str], known: Iterable[str], where: str) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(f"{where}: unknown setting {unknown[0]!r}{near_miss(unknown[0], list(known))}")


def _refuse_others(values: Mapping[str, Any], allowed: Mapping[str, tuple[Any, ...]], where: str) -> None:
    for name, expected in allowed.items():
        if name in values and values[name] not in expected:
            words = " or ".join(map(str, expected))
            raise ConfigError(f"{where}: {name} = {values[name]!r} cannot be trained here; expected {words}")


def _paths(tree: Mapping[str, Any], known: Iterable[str], path: str = "") -> Iterator[str]:
    """Dotted names of everything above the leaves that are looked at elsewhere."""
    for name, value in tree.items():
        dotted = f"{path}.{name}" if path else name
        yield dotted
        if isinstance(value, Mapping) and any(k.startswith(f"{dotted}.") for k in known):
            yield from _paths(value, known, dotted)
