"""Settings files of EchoNet-Synthetic, read as they are: old name to new name."""

from collections.abc import Mapping
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
    "checkpoints_total_limit": "keep_checkpoints",
    "dataloader_num_workers": "num_workers",
    "mixed_precision": "mixed_precision",
    "seed": "seed",
}
"""Settings of the loop that only change their name."""

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
        "validation_steps",
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


def recognised(content: Mapping[str, Any]) -> bool:
    """Whether a file is one of the reference's."""
    return "unet" in content and "noise_scheduler" in content


def translated(content: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The reference's settings of LIDM or LVDM as settings of ours.

    Raises:
        ConfigError: a setting that neither knows.
    """
    unknown = [name for name in content if name not in LOOP and name not in ELSEWHERE]
    if unknown:
        raise ConfigError(f"{where}: unknown setting {unknown[0]!r}{near_miss(unknown[0], [*LOOP, *ELSEWHERE])}")
    loop = {new: content[old] for old, new in LOOP.items() if old in content}
    loop["betas"] = [content.get("adam_beta1", 0.9), content.get("adam_beta2", 0.999)]
    parts = int(content.get("gradient_accumulation_steps", 1))
    if "batch_size" in loop and parts > 1:
        loop["micro_batch_size"] = loop["batch_size"]
        loop["batch_size"] *= parts
    if not content.get("use_ema", True):
        loop["ema_decay"] = 0.0
    clips = content.get("globals", {})
    outputs = clips.get("outputs", [])
    result: dict[str, Any] = {
        "network": dict(content["unet"]),
        "scheduler": dict(content["noise_scheduler"]),
        "loop": loop,
        "noise_offset": content.get("noise_offset", 0.0),
        "fps": clips.get("target_fps", 32),
        "num_frames": clips.get("target_nframes", 64) if "video" in outputs else 1,
    }
    if "drop_conditionning" in content:
        result["drop_conditions"] = content["drop_conditionning"]
    return result
