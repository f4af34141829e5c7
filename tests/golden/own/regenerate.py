"""Our own golden numbers: tiny models from fixed seeds, and what they sampled, encoded and learned when this was written.

A refactoring leaves them as they are. If they are meant to change (another formula, another default), regenerate them and
say so in the commit message:

    python tests/golden/own/regenerate.py
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from echosyn import rng, weights
from echosyn.diffusion.codec import LatentCodec
from echosyn.diffusion.pipelines import LatentImagePipeline, LatentVideoPipeline
from echosyn.training import catalog
from echosyn.training.loop import Training

EXPECTED = Path(__file__).parent / "expected.safetensors"

FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler"}
DDPM = {"_class_name": "DDPMScheduler", "prediction_type": "v_prediction", "clip_sample_range": 4.0}
VAE = {
    "_class_name": "AutoencoderKL",
    "in_channels": 1,
    "out_channels": 1,
    "latent_channels": 4,
    "block_out_channels": [8, 8, 8, 16],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 1,
    "norm_num_groups": 4,
}
LIDM = {
    "_class_name": "UNet2DModel",
    "in_channels": 4,
    "out_channels": 4,
    "sample_size": 6,
    "block_out_channels": [8, 16],
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
    "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
    "layers_per_block": 1,
    "attention_head_dim": 8,
    "norm_num_groups": 4,
}
LVDM = {
    "_class_name": "VideoTransformer",
    "sample_size": 6,
    "num_frames": 8,
    "patch_size": 2,
    "temporal_patch_size": 2,
    "width": 16,
    "depth": 2,
    "num_heads": 2,
}


def network(config: dict[str, Any]) -> Any:
    """A network that is random in every weight: some layers of a new one are zero and would hide what follows them."""
    with rng.initializing(0):
        made = weights.network(config)
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
    return made.eval()


def numbers() -> dict[str, Tensor]:
    """All of them by name."""
    return _stills() | _videos() | _codec() | _losses()


def _stills() -> dict[str, Tensor]:
    found = {}
    for name, config in {"flow": FLOW, "ddpm": DDPM}.items():
        pipeline = LatentImagePipeline(None, network(LIDM), weights.scheduler(config))
        generators = rng.generators(1, "still", range(2))
        found[f"stills_{name}"] = pipeline(batch_size=2, num_inference_steps=4, generator=generators).latents
    return found


def _traced(indices: range) -> dict[str, Tensor]:
    """Noise in which a square is darker."""
    stills = rng.normal((32, 32), 1, "stills", indices).mul(20).add(150)
    masks = torch.zeros(4, 32, 32, dtype=torch.uint8)
    masks[:, 8:24, 10:22] = 1
    return {"frame": (stills - 90 * masks).clamp(0, 255).byte(), "mask": masks, "index": torch.tensor(list(indices))}


def _videos() -> dict[str, Tensor]:
    found = {}
    for name, config in {"flow": FLOW, "ddpm": DDPM}.items():
        pipeline = LatentVideoPipeline(None, network(LVDM), weights.scheduler(config), guidance=True)
        found[f"videos_{name}"] = pipeline(
            rng.normal((4, 6, 6), 1, "heart", range(2)),
            [30.0, 65.0],
            num_frames=14,
            num_inference_steps=3,
            guidance_scale=2.0,
            generator=rng.generators(1, "motion", range(2)),
        ).latents
    return found


def _codec() -> dict[str, Tensor]:
    codec = LatentCodec(network(VAE), "symmetric")
    frames = torch.from_numpy(rng.numpy_generator(1, "frames").integers(0, 256, (2, 32, 32), dtype="uint8"))
    latents = codec.encode(frames, rng.normal((4, 4, 4), 1, "posterior", range(2)))
    return {"latents": latents, "decoded": codec.decode(latents).float()}


def _losses() -> dict[str, Tensor]:
    """Loss curves of 20 steps, of every stage and of its other objective."""
    return {f"losses_{name}": _curve(*curve) for name, curve in _curves().items()}


def _curves() -> dict[str, tuple[str, dict[str, Any], Callable[[range], dict[str, Tensor]]]]:
    """Stage, settings and batches of every curve."""
    siamese = {"network": {"_class_name": "SiameseNet", "backbone": "small", "embedding_size": 16}}
    regressor = {"network": {"_class_name": "EFRegressor", "backbone": "small", "bias": 50.0}, "shift": 2, "gain": 0.1}
    noise = {"noise_offset": 0.1, "time_distribution": "logit_normal"}
    critic = {"start": 8, "warmup": 4, "num_filters": 4, "num_layers": 1}
    return {
        "vae": ("vae", {"network": VAE, "l2_weight": 1.0, "kl_weight": 0.01}, _frames),
        "vae_adversarial": ("vae", {"network": VAE, "adversarial": critic}, _frames),
        "lidm": ("lidm", {"network": LIDM, "scheduler": FLOW, "num_frames": 1} | noise, lambda g: _clips(g, 1)),
        "lvdm": ("lvdm", {"network": LVDM, "scheduler": FLOW, "num_frames": 8} | noise, lambda g: _clips(g, 8)),
        "lvdm_ddpm": ("lvdm", {"network": LVDM, "scheduler": DDPM, "num_frames": 8}, lambda g: _clips(g, 8)),
        "reid": ("reid", siamese, lambda _: _pairs(range(4), 2)),
        "reid_contrastive": ("reid", siamese | {"objective": "contrastive"}, lambda _: _pairs(range(4), 4)),
        "ef": ("ef", regressor, _pixels),
        "outline": ("outline", {"network": {"_class_name": "CavityUNet", "widths": [8, 16]}}, _traced),
    }


def _curve(stage_name: str, values: dict[str, Any], batch: Callable[[range], dict[str, Tensor]]) -> Tensor:
    loop = {"steps": 20, "warmup_steps": 5, "schedule": "cosine", "learning_rate": 3e-3, "ema_decay": 0.9}
    stage = catalog.create(stage_name, catalog.STAGES[stage_name][1].model_validate(values | {"loop": loop}))
    training = Training(stage, stage.settings.loop)
    for network in stage.networks().values():
        network.train()
    steps = [training.advance(batch(range(4 * step, 4 * step + 4))) for step in range(20)]
    return torch.tensor([metrics[f"{stage_name}/loss"] for metrics in steps])


def _frames(indices: range) -> dict[str, Tensor]:
    coarse = rng.normal((8, 8), 1, "frames", indices).mul(60).add(100).clamp(0, 255).byte()
    return {"frames": coarse.repeat_interleave(4, 1).repeat_interleave(4, 2), "index": torch.tensor(list(indices))}


def _clips(indices: range, frames: int) -> dict[str, Tensor]:
    mask = torch.ones(4, frames)
    mask[0, frames // 2 + 1 :] = 0
    common = 2 * rng.normal((4, 1, 6, 6), 1, "what all clips show", [0])
    return {
        "latents": common + 0.3 * rng.normal((4, frames, 6, 6), 1, "clips", indices),
        "still": rng.normal((4, 6, 6), 1, "stills", indices),
        "ef": torch.tensor([20.0, 40.0, 60.0, 80.0]),
        "mask": mask,
        "index": torch.tensor(list(indices)),
    }


def _pairs(indices: range, num_same: int) -> dict[str, Tensor]:
    """Of four patients; the first ``num_same`` pairs are of one."""
    a, b = (rng.normal((4, 6, 6), 1, f"frame {side}", indices) for side in "ab")
    same = (torch.arange(4) < num_same).float()
    b = torch.where(same.view(-1, 1, 1, 1) > 0, a + 1.5 * b, b)
    return {"a": a, "b": b, "same": same, "patient": torch.arange(4), "index": torch.tensor(list(indices))}


def _pixels(indices: range) -> dict[str, Tensor]:
    clips = rng.normal((8, 24, 24), 1, "pixels", indices).mul(50).add(90).clamp(0, 255).byte()
    return {
        "clip": clips,
        "length": torch.tensor([8, 8, 8, 5]),
        "ef": torch.tensor([20.0, 40.0, 60.0, 80.0]),
        "index": torch.tensor(list(indices)),
    }


if __name__ == "__main__":
    save_file({name: value.contiguous() for name, value in numbers().items()}, EXPECTED)
