"""Settings files in the published form: every key of each, with the published values unless others are given."""

from typing import Any

DDPM = {
    "_class_name": "DDPMScheduler",
    "num_train_timesteps": 1000,
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "variance_type": "fixed_small",
    "clip_sample": True,
    "clip_sample_range": 4.0,
    "prediction_type": "v_prediction",
    "thresholding": False,
    "dynamic_thresholding_ratio": 0.995,
    "sample_max_value": 1.0,
    "timestep_spacing": "leading",
    "steps_offset": 0,
}
WIDTHS = [128, 256, 256, 512]
STILLS = {
    "_class_name": "UNet2DModel",
    "sample_size": 14,
    "in_channels": 4,
    "out_channels": 4,
    "center_input_sample": False,
    "time_embedding_type": "positional",
    "freq_shift": 0,
    "flip_sin_to_cos": True,
    "down_block_types": ["AttnDownBlock2D"] * 3 + ["DownBlock2D"],
    "up_block_types": ["UpBlock2D"] + ["AttnUpBlock2D"] * 3,
    "block_out_channels": WIDTHS,
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "downsample_padding": 1,
    "downsample_type": "resnet",
    "upsample_type": "resnet",
    "dropout": 0.0,
    "act_fn": "silu",
    "attention_head_dim": 8,
    "norm_num_groups": 32,
    "attn_norm_num_groups": None,
    "norm_eps": 1e-5,
    "resnet_time_scale_shift": "default",
    "class_embed_type": None,
    "num_class_embeds": None,
}
VIDEOS = {
    "_class_name": "UNetSpatioTemporalConditionModel",
    "addition_time_embed_dim": 1,
    "block_out_channels": WIDTHS,
    "cross_attention_dim": 1,
    "down_block_types": ["CrossAttnDownBlockSpatioTemporal"] * 3 + ["DownBlockSpatioTemporal"],
    "in_channels": 8,
    "layers_per_block": 2,
    "num_attention_heads": [8, 16, 16, 32],
    "num_frames": "${globals.target_nframes}",
    "out_channels": 4,
    "projection_class_embeddings_input_dim": 1,
    "sample_size": 14,
    "transformer_layers_per_block": 1,
    "up_block_types": ["UpBlockSpatioTemporal"] + ["CrossAttnUpBlockSpatioTemporal"] * 3,
}


def _data_set(name: str) -> dict[str, Any]:
    params = {"root": f"data/latents/{name}", "target_resolution": 14}
    params |= {key: f"${{globals.{key}}}" for key in ("target_fps", "target_nframes", "outputs")}
    return {"name": "Latent", "active": True, "params": params}


def _denoiser(group: str, name: str, fps: Any, frames: int, outputs: list[str], data: list[str]) -> dict[str, Any]:
    """What the files of both kinds of denoiser have in common."""
    return {
        "wandb_group": group,
        "output_dir": f"experiments/{name}",
        "pretrained_model_name_or_path": None,
        "vae_path": "models/vae",
        "globals": {"target_fps": fps, "target_nframes": frames, "outputs": outputs},
        "datasets": [_data_set(each) for each in data],
        "noise_scheduler": DDPM,
        "dataloader_num_workers": 16,
        "max_train_steps": 500_000,
        "lr_warmup_steps": 500,
        "scale_lr": False,
        "lr_scheduler": "constant",
        "use_8bit_adam": False,
        "gradient_accumulation_steps": 1,
        "gradient_checkpointing": False,
        "use_ema": True,
        "enable_xformers_memory_efficient_attention": False,
        "allow_tf32": True,
        "adam_beta1": 0.9,
        "adam_beta2": 0.999,
        "adam_weight_decay": 1e-2,
        "adam_epsilon": 1e-8,
        "max_grad_norm": 1.0,
        "logging_dir": "logs",
        "mixed_precision": "fp16",
        "validation_timesteps": 128,
        "validation_fps": "${globals.target_fps}",
        "validation_frames": "${globals.target_nframes}",
        "validation_guidance": 1.0,
        "report_to": "wandb",
        "checkpointing_steps": 10_000,
        "checkpoints_total_limit": 100,
        "resume_from_checkpoint": "latest",
        "tracker_project_name": "echosyn",
        "seed": 42,
    }


def lidm(name: str = "dynamic", **changed: Any) -> dict[str, Any]:
    """The image model's file for ``dynamic``, ``ped_a4c`` or ``ped_psax``."""
    clips: tuple[Any, int] = (32, 64) if name == "dynamic" else ("original", 32)
    own = {"unet": STILLS, "train_batch_size": 256, "learning_rate": 3e-4, "noise_offset": 0.0}
    own |= {"validation_count": 4, "validation_steps": 2500}
    own |= {"checkpointing_steps": 100} if name == "dynamic" else {}
    return _denoiser("lidm", f"lidm_{name}", *clips, ["image"], [name]) | own | changed


def lvdm(**changed: Any) -> dict[str, Any]:
    """The video model's file."""
    own = {
        "unet": VIDEOS,
        "train_batch_size": 16,
        "learning_rate": 1e-4,
        "noise_offset": 0.1,
        "drop_conditionning": 0.1,
    }
    own |= {"validation_lvefs": [0.0, 0.4, 0.7, 1.0], "validation_steps": 1500}
    data = ["dynamic", "ped_a4c", "ped_psax"]
    return _denoiser("lvdm", "lvdm", 32, 64, ["video", "lvef", "image"], data) | own | changed


def reid(name: str = "dynamic", **changed: Any) -> dict[str, Any]:
    """The re-identification model's file."""
    train, val, test = {"dynamic": (7465, 1288, 1277), "ped_a4c": (2580, 368, 336), "ped_psax": (3559, 519, 448)}[name]
    return {
        "experiment_description": f"reidentification_{name}",
        "resumption": False,
        "resumption_count": None,
        "previous_experiment": None,
        "image_path": f"data/latents/{name}/FileList.csv",
        "siamese_architecture": "ResNet-50",
        "data_handling": "balanced",
        "num_workers": 16,
        "pin_memory": True,
        "n_channels": 4,
        "n_features": 128,
        "image_size": 14,
        "loss": "BCEWithLogitsLoss",
        "optimizer": "Adam",
        "learning_rate": 1e-4,
        "batch_size": 128,
        "max_epochs": 1000,
        "early_stopping": 50,
        "transform": "pmone",
        "n_samples_train": train,
        "n_samples_val": val,
        "n_samples_test": test,
    } | changed


def vae() -> dict[str, Any]:
    """The VAE's file, in which two leaves want an environment variable that nobody needs here."""
    images = {
        part: {"target": f"taming.data.custom.{kind}", "params": {f"{name}_images_list_file": list_, "size": 112}}
        for part, kind, name, list_ in (
            ("train", "CustomTrain", "training", "${oc.env:DATADIR}/train.txt"),
            ("validation", "CustomTest", "test", "${oc.env:DATADIR}/val.txt"),
        )
    }
    logger = {
        "target": "main.ImageLogger",
        "params": {"batch_frequency": 1000, "max_images": 8, "increase_log_steps": True},
    }
    return {
        "model": {
            "base_learning_rate": 2e-6,
            "target": "ldm.models.autoencoder.AutoencoderKL",
            "params": {
                "monitor": "val/rec_loss",
                "embed_dim": 4,
                "lossconfig": {
                    "target": "ldm.modules.losses.LPIPSWithDiscriminator",
                    "params": {"disc_start": 50_001, "kl_weight": 1e-6, "disc_weight": 0.5},
                },
                "ddconfig": {
                    "double_z": True,
                    "z_channels": 4,
                    "resolution": 112,
                    "in_channels": 3,
                    "out_ch": 3,
                    "ch": 128,
                    "ch_mult": [1, 2, 2, 4],
                    "num_res_blocks": 2,
                    "attn_resolutions": [],
                    "dropout": 0.0,
                },
            },
        },
        "data": {"target": "main.DataModuleFromConfig", "params": {"batch_size": 32, "num_workers": 16, **images}},
        "lightning": {
            "callbacks": {"image_logger": logger},
            "trainer": {"benchmark": True, "accumulate_grad_batches": 2, "max_epochs": 1000},
        },
    }
