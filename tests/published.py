"""The folders of models as they lie on EchoNet-Synthetic's hub, and small ones of the same classes."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision.models import resnet50

from echosyn.hashing import file_hash

DOWN, UP = "DownEncoderBlock2D", "UpDecoderBlock2D"
VIDEO_DOWN = ["CrossAttnDownBlockSpatioTemporal"] * 3 + ["DownBlockSpatioTemporal"]
VIDEO_UP = ["UpBlockSpatioTemporal"] + ["CrossAttnUpBlockSpatioTemporal"] * 3
PUBLISHED: dict[str, dict[str, Any]] = {
    "vae": {
        "_class_name": "AutoencoderKL",
        "sample_size": 112,
        "block_out_channels": [128, 256, 256, 512],
        "down_block_types": [DOWN] * 4,
        "up_block_types": [UP] * 4,
        "layers_per_block": 2,
    },
    "lidm_dynamic": {
        "_class_name": "UNet2DModel",
        "in_channels": 4,
        "out_channels": 4,
        "sample_size": 14,
        "block_out_channels": [128, 256, 256, 512],
        "down_block_types": ["AttnDownBlock2D"] * 3 + ["DownBlock2D"],
        "up_block_types": ["UpBlock2D"] + ["AttnUpBlock2D"] * 3,
        "downsample_type": "resnet",
        "upsample_type": "resnet",
    },
    "lvdm": {
        "_class_name": "UNetSpatioTemporalConditionModel",
        "in_channels": 8,
        "out_channels": 4,
        "sample_size": 14,
        "num_frames": 64,
        "block_out_channels": [128, 256, 256, 512],
        "down_block_types": VIDEO_DOWN,
        "up_block_types": VIDEO_UP,
        "num_attention_heads": [8, 16, 16, 32],
        "cross_attention_dim": 1,
        "addition_time_embed_dim": 1,
        "projection_class_embeddings_input_dim": 1,
    },
}
SMALL: dict[str, dict[str, Any]] = {
    "vae": {"block_out_channels": [8, 8, 8, 8], "layers_per_block": 1, "norm_num_groups": 8},
    "lidm_dynamic": {"block_out_channels": [32, 32, 32, 32], "layers_per_block": 1},
    "lvdm": {"block_out_channels": [32, 32, 32, 32], "num_attention_heads": [2, 2, 2, 2], "layers_per_block": 1},
}

SCHEDULER = {
    "_class_name": "DDPMScheduler",
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "prediction_type": "v_prediction",
    "clip_sample_range": 4.0,
}


def write_siamese(folder: Path) -> None:
    """A re-identification model of random weights: a JSON and a pickle that is named as its folder."""
    folder.mkdir()
    siamese = nn.ModuleDict({"model": resnet50(weights=None, num_classes=128), "fc_end": nn.Linear(128, 1)})
    siamese["model"].conv1 = nn.Conv2d(4, 64, 7, 2, 3, bias=False)
    torch.save(siamese.state_dict(), folder / f"{folder.name}_best_network.pth")
    (folder / "config.json").write_text(json.dumps({"siamese_architecture": "ResNet-50", "n_features": 128}))


def weights_of(folder: Path) -> str:
    """``SHA256SUMS`` of all files below a folder."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return "".join(f"{file_hash(p)}  {p.relative_to(folder).as_posix()}\n" for p in files)
