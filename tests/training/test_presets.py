"""The presets of the published recipe say what was published; the table here was written from the notes, not from the presets."""

import math
import re
from importlib import resources
from typing import Any

import diffusers
import pytest
import torch
from torch import nn
from torchvision.models import resnet50
from torchvision.models.video import r2plus1d_18

from echosyn import weights
from echosyn.config import Settings, presets
from echosyn.training import catalog
from echosyn.training.loop import Training

PUBLISHED = ("dynamic", "ped_a4c", "ped_psax")
DDPM = {
    "scheduler._class_name": "DDPMScheduler",
    "scheduler.num_train_timesteps": 1000,
    "scheduler.beta_schedule": "linear",
    "scheduler.beta_start": 1e-4,
    "scheduler.beta_end": 0.02,
    "scheduler.prediction_type": "v_prediction",
    "scheduler.clip_sample": True,
    "scheduler.clip_sample_range": 4.0,
    "num_inference_steps": 64,
    "time_distribution": "uniform",
    "loop.betas": (0.9, 0.999),
    "loop.weight_decay": 1e-2,
    "loop.warmup_steps": 0,
    "loop.seed": 42,
    "loop.schedule": "constant",
    "loop.max_grad_norm": 1.0,
    "loop.steps": 500_000,
    "loop.mixed_precision": "fp16",
}
RECIPE: dict[str, dict[str, Any]] = {
    "vae": {
        "network._class_name": "AutoencoderKL",
        "network.in_channels": 3,
        "network.latent_channels": 4,
        "network.block_out_channels": [128 * multiple for multiple in (1, 2, 2, 4)],
        "network.layers_per_block": 2,
        "pixels": "published",
        "frame_stride": 5,
        "l2_weight": 0.0,
        "kl_weight": 1e-6,
        "perceptual_weight": 1.0,
        "perceptual_network": "lpips",
        "scaling_factor": 0.18215,
        "adversarial.start": 50_001,
        "adversarial.weight": 0.5,
        "loop.learning_rate": 2e-6 * 32 * 8 * 2,
        "loop.batch_size": 32 * 8 * 2,
    },
    "lidm": DDPM
    | {
        "network._class_name": "UNet2DModel",
        "network.in_channels": 4,
        "network.out_channels": 4,
        "network.sample_size": 14,
        "network.block_out_channels": [128, 256, 256, 512],
        "network.attention_head_dim": 8,
        "network.downsample_type": "resnet",
        "network.upsample_type": "resnet",
        "num_frames": 1,
        "noise_offset": 0.0,
        "loop.learning_rate": 3e-4,
        "loop.batch_size": 256,
    },
    "lvdm": DDPM
    | {
        "network._class_name": "UNetSpatioTemporalConditionModel",
        "network.in_channels": 8,
        "network.out_channels": 4,
        "network.num_frames": 64,
        "network.block_out_channels": [128, 256, 256, 512],
        "network.num_attention_heads": [8, 16, 16, 32],
        "network.cross_attention_dim": 1,
        "network.addition_time_embed_dim": 1,
        "num_frames": 64,
        "noise_offset": 0.1,
        "drop_conditions": 0.1,
        "loop.learning_rate": 1e-4,
        "loop.batch_size": 16 * 8,
    },
    "reid": {
        "network.backbone": "resnet50",
        "network.in_channels": 4,
        "network.embedding_size": 128,
        "network.normalize": True,
        "loop.learning_rate": 1e-4,
        "loop.batch_size": 128,
        "loop.optimizer": "adam",
        "loop.weight_decay": 0.0,
        "loop.patience": 50,
        "choose_by": "loss",
    },
    "ef": {
        "network.backbone": "r2plus1d_18",
        "network.bias": 55.6,
        "num_frames": 32,
        "period": 2,
        "read_period": 2,
        "normalization": "echonet",
        "choose_by": "rmse",
        "loss": "mse",
        "shift": 12,
        "loop.learning_rate": 1e-4,
        "loop.batch_size": 20,
        "loop.optimizer": "sgd",
        "loop.momentum": 0.9,
        "loop.schedule": "step",
        "loop.weight_decay": 1e-4,
    },
}
MILLIONS = {"vae": 62, "lidm": 74, "lvdm": 144, "reid": 24, "ef": 31}
EPOCH = {"dynamic": 7465 // 20, "ped_a4c": 2580 // 20, "ped_psax": 3559 // 20}


def at(settings: Settings, path: str) -> Any:
    value: Any = settings.model_dump()
    for name in path.split("."):
        value = value[name]
    return value


@pytest.mark.parametrize("preset", PUBLISHED)
@pytest.mark.parametrize("stage", list(RECIPE))
def test_a_preset_says_what_was_published(preset: str, stage: str) -> None:
    settings = catalog.settings(stage, preset)
    said = {path: at(settings, path) for path in RECIPE[stage]}
    assert said == {path: pytest.approx(v) if isinstance(v, float) else v for path, v in RECIPE[stage].items()}


@pytest.mark.parametrize("preset", PUBLISHED)
def test_the_regressor_learns_for_45_epochs_of_its_dataset(preset: str) -> None:
    loop = catalog.settings("ef", preset).loop
    assert (loop.steps, loop.decay_every_steps) == (45 * EPOCH[preset], 15 * EPOCH[preset])


def test_every_number_says_where_it_comes_from() -> None:
    text = (resources.files("echosyn.presets") / "dynamic.yaml").read_text()
    blocks = re.sub(r"scheduler: &ddpm.*?(?=\n  \w)", "", text, flags=re.S)  # one source for the whole block
    numbers = [line for line in blocks.splitlines() if re.match(r" +\w+: *[\[{]?[-\d]", line)]
    assert len(numbers) > 50
    silent = [line for line in numbers if not re.search(r"# \[(paper code|files|readme|library|ours)\]", line)]
    assert not silent


def theirs(stage: str, config: dict[str, Any]) -> nn.Module:
    """The network as diffusers and torchvision build it, from the published sizes alone."""
    if stage == "reid":
        network = resnet50(num_classes=128)
        network.conv1 = nn.Conv2d(4, 64, 7, 2, 3, bias=False)
        return network
    if stage == "ef":
        network = r2plus1d_18()
        network.fc = nn.Identity()
        return network
    named = {name: value for name, value in config.items() if name != "_class_name"}
    built: nn.Module = getattr(diffusers, config["_class_name"])(**named)
    return built


@pytest.mark.slow
@pytest.mark.parametrize("stage", list(RECIPE))
def test_the_full_size_networks_are_diffusers_and_torchvisions(stage: str) -> None:
    settings = catalog.settings(stage, "dynamic")
    with torch.device("meta"):
        ours = weights.network(settings.network)
        expected = theirs(stage, settings.network)
    inner = ours.network if stage in ("reid", "ef") else ours
    assert {n: p.shape for n, p in inner.state_dict().items()} == {n: p.shape for n, p in expected.state_dict().items()}
    assert sum(p.numel() for p in ours.parameters()) / 1e6 == pytest.approx(MILLIONS[stage], abs=0.6)


def batch(stage: str) -> dict[str, Any]:
    """The smallest batch that the stage can learn from."""
    count = 8 if stage == "reid" else 1  # batch norm over few values makes gradients explode
    frames = {"lidm": 1, "lvdm": 64}.get(stage, 0)
    return {
        "frames": torch.randint(0, 256, (count, 112, 112), dtype=torch.uint8),
        "clip": torch.randint(0, 256, (count, 32, 112, 112), dtype=torch.uint8),
        "length": torch.full((count,), 32),
        "latents": torch.randn(count, 4, frames, 14, 14),
        "still": torch.randn(count, 4, 14, 14),
        "mask": torch.ones(count, frames),
        "a": torch.randn(count, 4, 14, 14),
        "b": torch.randn(count, 4, 14, 14),
        "same": torch.ones(count),
        "ef": torch.full((count,), 50.0),
        "index": torch.arange(count),
    }


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["vae", "lidm", "reid", "ef", "lvdm"])
def test_a_full_size_network_takes_a_real_step(stage: str) -> None:
    settings = catalog.settings(stage, "dynamic")
    training = Training(catalog.create(stage, settings), settings.loop)
    before = [p.detach().clone() for p in list(training.stage.network.parameters())[:8]]
    for network in training.stage.networks().values():
        network.train()
    training.step = max(objective.start for objective in training.objectives.values())
    metrics = training.advance(batch(stage))
    assert math.isfinite(metrics[f"{stage}/loss"])
    after = list(training.stage.network.parameters())[:8]
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_presets_are_these() -> None:
    assert presets() == ["adapt", "dynamic", "ped_a4c", "ped_psax", "phantom", "phantom-full"]
