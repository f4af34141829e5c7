"""The reference's own numbers, where its golden vectors are at hand: the same models give the same pictures."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from echosyn import weights
from echosyn.diffusion.codec import LatentCodec
from echosyn.diffusion.pipelines import LatentImagePipeline, LatentVideoPipeline

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"
pytestmark = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the reference's golden vectors are not here")


@pytest.fixture(scope="module")
def inputs() -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / "inputs.safetensors")


@pytest.fixture(scope="module")
def expected() -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / "expected.safetensors")


@pytest.fixture(scope="module")
def scheduler() -> object:
    return weights.scheduler(json.loads((GOLDEN / "scheduler_config.json").read_text()))


def test_stills_are_the_references(
    inputs: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], scheduler: object
) -> None:
    pipeline = LatentImagePipeline(None, weights.load(GOLDEN / "models" / "lidm", "lidm"), scheduler)
    found = pipeline(latents=inputs["lidm_noise"], num_inference_steps=8).latents[:, :, 0]
    assert (found - expected["lidm_latents"]).abs().max() <= 1e-4


def test_stitched_videos_are_the_references(
    inputs: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], scheduler: object
) -> None:
    vae, lvdm = (weights.load(GOLDEN / "models" / stage, stage) for stage in ("vae", "lvdm"))
    pipeline = LatentVideoPipeline(vae, lvdm, scheduler, weights.load_facts(GOLDEN / "models" / "vae").pixels)
    latents = pipeline(
        inputs["conditioning"],
        inputs["ef_percent"],
        num_frames=128,
        num_inference_steps=4,
        latents=inputs["lvdm_noise"],
    ).latents
    shown = latents[:, :, expected["frame_indices"].long()]
    frames = LatentCodec(vae, pipeline.config.pixels).decode_videos(shown)[0]
    difference = frames.int() - expected["video_frames"].int()
    assert frames.shape == (16, 112, 112, 3)
    assert difference.abs().max() <= 1


def test_the_model_folders_are_the_references() -> None:
    for stage in ("vae", "lidm", "lvdm"):
        assert weights.find(GOLDEN / "models", stage).name == stage
    assert weights.load_facts(GOLDEN / "models" / "vae").pixels == "published"
