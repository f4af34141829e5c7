"""Our own golden numbers: tiny models from fixed seeds, and what they sampled, encoded and learned when this was written.

A refactoring leaves them as they are. If they are meant to change (another formula, another default), regenerate them and
say so in the commit message:

    python tests/golden/own/regenerate.py
"""

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
    found = {}
    for stage_name, config, frames in (("lidm", LIDM, 1), ("lvdm", LVDM, 8)):
        values = {"network": config, "scheduler": FLOW, "num_frames": frames, "noise_offset": 0.1}
        values |= {"time_distribution": "logit_normal", "loop": {"steps": 4, "warmup_steps": 2, "schedule": "cosine"}}
        stage = catalog.create(stage_name, catalog.STAGES[stage_name][1].model_validate(values))
        training = Training(stage, stage.settings.loop)
        found[f"losses_{stage_name}"] = torch.tensor(
            [training.advance(_batch(range(4 * step, 4 * step + 4), frames))[f"{stage_name}/loss"] for step in range(4)]
        )
    return found


def _batch(indices: range, frames: int) -> dict[str, Any]:
    mask = torch.ones(4, frames)
    mask[0, frames // 2 + 1 :] = 0
    return {
        "latents": rng.normal((4, frames, 6, 6), 1, "clips", indices),
        "still": rng.normal((4, 6, 6), 1, "stills", indices),
        "ef": torch.tensor([20.0, 40.0, 60.0, 80.0]),
        "mask": mask,
        "index": torch.tensor(list(indices)),
    }


if __name__ == "__main__":
    save_file({name: value.contiguous() for name, value in numbers().items()}, EXPECTED)
