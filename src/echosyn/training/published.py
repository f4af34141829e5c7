"""Settings files of EchoNet-Synthetic, read as they are: old name to new name."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from echosyn.config import near_miss
from echosyn.errors import ConfigError

LOOP: dict[str, str] = {
    "train_batch_size": "batch_size",
    "max_train_steps": "steps",
    "learning_rate": "learning_rate",
    "lr_warmup_steps": "warmup_steps",
    "lr_scheduler": "schedule",
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
    {
        "wandb_group",
        "output_dir",
        "logging_dir",
        "report_to",
        "tracker_project_name",
        "pretrained_model_name_or_path",
        "vae_path",
        "datasets",
        "globals",
        "scale_lr",
        "use_8bit_adam",
        "gradient_checkpointing",
        "enable_xformers_memory_efficient_attention",
        "allow_tf32",
        "use_ema",
        "validation_timesteps",
        "validation_fps",
        "validation_frames",
        "validation_count",
        "validation_guidance",
        "validation_lvefs",
        "resume_from_checkpoint",
        "adam_beta1",
        "adam_beta2",
        "gradient_accumulation_steps",
        "unet",
        "noise_scheduler",
        "noise_offset",
        "drop_conditionning",
    }
)
"""Settings handled below, given on our command line, or without meaning here."""


VAE = frozenset(
    [
        "model",
        "model.base_learning_rate",
        "model.target",
        "model.params",
        "model.params.monitor",
        "model.params.embed_dim",
        "model.params.ckpt_path",
        "model.params.lossconfig",
        "model.params.ddconfig",
        "data",
        "data.target",
        "data.params",
        "data.params.batch_size",
        "data.params.num_workers",
        "data.params.wrap",
        "data.params.train",
        "data.params.validation",
        "data.params.test",
        "lightning",
        "lightning.callbacks",
        "lightning.trainer",
        "lightning.modelcheckpoint",
    ]
)
"""Settings of the VAE's file, which is one of latent-diffusion's."""

DDCONFIG = frozenset(
    {"double_z", "z_channels", "resolution", "in_channels", "out_ch", "ch", "ch_mult", "num_res_blocks"}
    | {"attn_resolutions", "dropout"}
)
LOSSCONFIG = frozenset(
    {"disc_start", "kl_weight", "disc_weight", "disc_in_channels", "disc_num_layers", "disc_factor", "disc_loss"}
    | {"disc_conditional", "use_actnorm", "logvar_init", "pixelloss_weight", "perceptual_weight"}
)

SIAMESE = frozenset({"network_architecture", "batch_size", "learning_rate", "n_channels", "n_features", "num_workers"})
"""Settings of the re-identification model's JSON file that are known."""


def recognised(content: Mapping[str, Any]) -> bool:
    """Whether a file is one of the reference's."""
    diffusion = "unet" in content and "noise_scheduler" in content
    return diffusion or _is_vae(content) or "network_architecture" in content


def translated(content: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The settings of one of the reference's files as settings of ours.

    Raises:
        ConfigError: a setting that neither knows, or a network that we do not build.
    """
    if _is_vae(content):
        return _vae(content, where)
    return _siamese(content, where) if "network_architecture" in content else _diffusion(content, where)


def _is_vae(content: Mapping[str, Any]) -> bool:
    model = content.get("model")
    return isinstance(model, Mapping) and "ddconfig" in (model.get("params") or {})


def _vae(content: Mapping[str, Any], where: str) -> dict[str, Any]:
    _refuse_unknown([*_paths(content, VAE)], VAE, where)
    model, data = content["model"], content.get("data", {}).get("params", {})
    dd, loss = model["params"]["ddconfig"], (model["params"].get("lossconfig") or {}).get("params", {})
    _refuse_unknown(dd, DDCONFIG, f"{where}: ddconfig")
    _refuse_unknown(loss, LOSSCONFIG, f"{where}: lossconfig")
    if dd.get("attn_resolutions"):
        raise ConfigError(
            f"{where}: attn_resolutions = {dd['attn_resolutions']}: expected none, as in the published VAE"
        )
    levels = len(dd["ch_mult"])
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
        "kl_weight": loss.get("kl_weight", 1.0),
        "perceptual_weight": loss.get("perceptual_weight", 1.0),
        # the file sets no end; the preset's
        "loop": ADAM | {"betas": [0.5, 0.9], "steps": 200_000, "save_every_steps": 5000},
    }
    if "disc_start" in loss:
        result["adversarial"] = {
            "start": loss["disc_start"],
            "warmup": 0,
            "weight": loss.get("disc_weight", 1.0),
            "max_adaptive_weight": 1e4 / (dd["in_channels"] * dd["resolution"] ** 2),
        }
    parts = int((content.get("lightning", {}).get("trainer") or {}).get("accumulate_grad_batches", 1))
    if "batch_size" in data:
        result["loop"] |= {"batch_size": data["batch_size"] * parts, "micro_batch_size": data["batch_size"]}
        # latent-diffusion scales by items a step; with several GPUs give loop.batch_size and loop.learning_rate
        result["loop"]["learning_rate"] = model["base_learning_rate"] * data["batch_size"] * parts
    if "num_workers" in data:
        result["loop"]["num_workers"] = data["num_workers"]
    return result


def _siamese(content: Mapping[str, Any], where: str) -> dict[str, Any]:
    _refuse_unknown(content, SIAMESE, where)
    names = {"ResNet-50": "resnet50", "ResNet-18": "resnet18"}
    architecture = str(content["network_architecture"])
    if architecture not in names:
        raise ConfigError(f"{where}: network_architecture is {architecture!r}{near_miss(architecture, list(names))}")
    network = {"_class_name": "SiameseNet", "backbone": names[architecture]}
    network |= {new: content[old] for old, new in SIAMESE_NETWORK.items() if old in content}
    loop = {name: content[name] for name in ("batch_size", "learning_rate", "num_workers") if name in content}
    until = {"steps": 100_000, "validate_every_steps": 58, "patience": 50, "select": "best"}  # the preset's
    return {"network": network, "loop": loop | ADAM | until}


SIAMESE_NETWORK = {"n_channels": "in_channels", "n_features": "embedding_size"}
ADAM = {"optimizer": "adam", "weight_decay": 0.0, "max_grad_norm": None, "ema_decay": 0.0}
"""The optimizer of VAE and re-identification model."""


def _refuse_unknown(names: Iterable[str], known: Iterable[str], where: str) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(f"{where}: unknown setting {unknown[0]!r}{near_miss(unknown[0], list(known))}")


def _paths(tree: Mapping[str, Any], known: Iterable[str], path: str = "") -> Iterator[str]:
    """Dotted names of everything above the leaves that are looked at elsewhere."""
    for name, value in tree.items():
        dotted = f"{path}.{name}" if path else name
        yield dotted
        if isinstance(value, Mapping) and any(k.startswith(f"{dotted}.") for k in known):
            yield from _paths(value, known, dotted)


def _diffusion(content: Mapping[str, Any], where: str) -> dict[str, Any]:
    _refuse_unknown(content, [*LOOP, *ELSEWHERE], where)
    loop = {new: content[old] for old, new in LOOP.items() if old in content}
    loop["betas"] = [content.get("adam_beta1", 0.9), content.get("adam_beta2", 0.999)]
    parts = int(content.get("gradient_accumulation_steps", 1))
    if "batch_size" in loop and parts > 1:
        loop["micro_batch_size"] = loop["batch_size"]
        loop["batch_size"] *= parts
    if not content.get("use_ema", True):
        loop["ema_decay"] = 0.0
    else:
        loop["ema_decay"] = 0.9999  # diffusers' default, which the reference leaves as it is
    clips = content.get("globals", {})
    outputs = clips.get("outputs", [])
    result: dict[str, Any] = {
        "network": dict(content["unet"]),
        "scheduler": dict(content["noise_scheduler"]),
        "loop": loop,
        "noise_offset": content.get("noise_offset", 0.0),
        "fps": clips.get("target_fps", 32),
        "num_frames": clips.get("target_nframes", 64) if "video" in outputs else 1,
        "guidance_scale": content.get("validation_guidance", 1.0),
    }
    if content.get("vae_path") and Path(content["vae_path"]).is_dir():
        result["vae"] = content["vae_path"]
    if "drop_conditionning" in content:
        result["drop_conditions"] = content["drop_conditionning"]
    return result
