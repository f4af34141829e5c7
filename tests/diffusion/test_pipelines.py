"""The pipelines through their front door: each video gets its own EF, heart and noise, whatever its company."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, FlowMatchEulerDiscreteScheduler
from torch import Tensor

from echosyn import rng
from echosyn.diffusion.pipelines import LatentImagePipeline, LatentVideoPipeline, sample_size
from echosyn.errors import ConfigError

Build = Callable[..., Any]
FLOW = FlowMatchEulerDiscreteScheduler()
# One step to alpha = 1: the sample is the prediction itself.
READOUT = DDIMScheduler(prediction_type="sample", clip_sample=False, timestep_spacing="trailing")
DDPM = DDPMScheduler(prediction_type="v_prediction", clip_sample_range=4.0)


class Telltale:
    """A video network of 64 frames whose prediction tells what it was given: EF, heart, and whether the EF was there."""

    def __init__(self) -> None:
        self.config = SimpleNamespace(in_channels=8, out_channels=4, num_frames=64, sample_size=2)
        self.batches: list[int] = []
        self.given: list[list[bool]] = []

    def __call__(self, x: Tensor, t: Tensor, condition: Tensor, given: Tensor) -> Tensor:
        assert x.shape[1:] == (8, 64, 2, 2)
        self.batches.append(len(x))
        self.given.append(given[:, 0].tolist())
        heart = x[:, 4:5]
        assert torch.equal(heart, heart[:, :, :1].expand_as(heart))
        ef = torch.where(given, condition, -1.0).view(-1, 1, 1, 1, 1).expand_as(heart)
        return torch.cat([ef, heart, given.float().view(-1, 1, 1, 1, 1).expand_as(heart), ef], dim=1)


def telltale(scheduler: Any = READOUT, guidance: bool = False) -> tuple[LatentVideoPipeline, Telltale]:
    network = Telltale()
    return LatentVideoPipeline(None, network, scheduler, guidance=guidance), network


HEARTS = torch.arange(3.0).view(3, 1, 1, 1).expand(3, 4, 2, 2)
EFS = [23.0, 55.5, 71.0]


# Conditions


@pytest.mark.parametrize("num_frames", [64, 100, 192])
@pytest.mark.parametrize("steps", [1, 3])
def test_every_frame_of_every_video_has_its_own_ef_and_heart(num_frames: int, steps: int) -> None:
    pipeline, _ = telltale()
    videos = pipeline(HEARTS, EFS, num_frames=num_frames, num_inference_steps=steps).latents
    assert videos.shape == (3, 4, num_frames, 2, 2)
    for video, ef, heart in zip(videos, EFS, range(3), strict=True):
        assert torch.allclose(video[0], torch.tensor(ef / 100), atol=1e-6)
        assert torch.allclose(video[1], torch.tensor(float(heart)), atol=1e-6)


def test_the_same_with_a_flow_that_subtracts_noise():
    class Flowing(Telltale):
        def __call__(self, x: Tensor, t: Tensor, condition: Tensor, given: Tensor) -> Tensor:
            target = super().__call__(x, t, condition, given)
            return (x[:, :4] - target) / (t / 1000).view(-1, 1, 1, 1, 1)

    pipeline = LatentVideoPipeline(None, Flowing(), FLOW)
    videos = pipeline(HEARTS, EFS, num_frames=192, num_inference_steps=4).latents
    expected = torch.tensor(EFS).view(3, 1, 1, 1).expand(3, 192, 2, 2) / 100
    assert torch.allclose(videos[:, 0], expected, atol=1e-3)


def test_order_of_the_videos_is_the_order_of_the_results():
    pipeline, _ = telltale()
    noise = rng.normal((4, 128, 2, 2), 0, "test", range(3))
    straight = pipeline(HEARTS, EFS, num_frames=128, num_inference_steps=2, latents=noise).latents
    turned = pipeline(HEARTS.flip(0), EFS[::-1], num_frames=128, num_inference_steps=2, latents=noise.flip(0)).latents
    assert torch.equal(straight, turned.flip(0))


# Guidance


def test_without_guidance_the_network_is_asked_once_with_everything_given():
    pipeline, network = telltale()
    pipeline(HEARTS, EFS, num_frames=192, num_inference_steps=1)
    assert network.given == [[True] * 3] * 5


def test_guidance_asks_again_with_the_ef_dropped_and_the_heart_kept():
    pipeline, network = telltale(guidance=True)
    videos = pipeline(HEARTS, EFS, num_frames=192, num_inference_steps=1, guidance_scale=3.0).latents
    assert sorted(network.given) == [[False] * 3] * 5 + [[True] * 3] * 5
    for video, ef, heart in zip(videos, EFS, range(3), strict=True):
        assert torch.allclose(video[0], torch.tensor(-1 + 3 * (ef / 100 + 1)), atol=1e-5)
        assert torch.allclose(video[1], torch.tensor(float(heart)), atol=1e-5)


def test_guidance_zero_ignores_the_ef():
    pipeline, _ = telltale(guidance=True)
    videos = pipeline(HEARTS, EFS, num_inference_steps=1, guidance_scale=0.0).latents
    assert torch.allclose(videos[:, 0], torch.tensor(-1.0))


@pytest.mark.parametrize("stage", ["lvdm", "unet"])
def test_real_networks_feel_the_ef_and_its_absence(stage: str, build: Build) -> None:
    network = build("lvdm") if stage == "lvdm" else build("lvdm", **UNET)
    pipeline = LatentVideoPipeline(None, network, DDPM, guidance=True)
    noise = rng.normal((4, 8, 4, 4), 0, "test", [0])

    def video(ef: float, scale: float) -> Tensor:
        heart = torch.zeros(1, 4, 4, 4)
        generator = rng.generators(0, "g", [0])
        return pipeline(
            heart, [ef], num_inference_steps=2, guidance_scale=scale, latents=noise, generator=generator
        ).latents

    assert not torch.allclose(video(20, 1), video(80, 1), atol=1e-4)
    assert torch.equal(video(20, 0), video(80, 0))
    assert not torch.allclose(video(20, 0), video(20, 1), atol=1e-4)


UNET = {
    "_class_name": "UNetSpatioTemporalConditionModel",
    "in_channels": 8,
    "out_channels": 4,
    "sample_size": 4,
    "num_frames": 8,
    "block_out_channels": [32, 32],
    "down_block_types": ["CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"],
    "up_block_types": ["UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"],
    "layers_per_block": 1,
    "num_attention_heads": 2,
    "cross_attention_dim": 1,
    "addition_time_embed_dim": 1,
    "projection_class_embeddings_input_dim": 1,
}


@pytest.fixture
def build(build: Build) -> Build:
    """`build`, also for the published kind of video network."""

    def make(stage: str, seed: int = 0, **changed: Any) -> Any:
        if "_class_name" not in changed:
            return build(stage, seed, **changed)
        from echosyn import weights

        with rng.initializing(seed):
            return weights.network(changed).eval().requires_grad_(False)

    return make


# Items and batches


@pytest.mark.parametrize("scheduler", [FLOW, DDPM], ids=["flow", "ddpm"])
@pytest.mark.parametrize("batch", [1, 3, 8])
def test_a_heart_does_not_depend_on_its_batch(scheduler: Any, batch: int, build: Build) -> None:
    pipeline = LatentImagePipeline(None, build("lidm"), scheduler)

    def hearts(indices: range) -> Tensor:
        generators = rng.generators(7, "still", indices)
        return pipeline(batch_size=len(indices), num_inference_steps=4, generator=generators).latents

    parts = [hearts(range(i, min(i + batch, 8))) for i in range(0, 8, batch)]
    assert torch.allclose(torch.cat(parts), hearts(range(8)), atol=1e-5)
    assert parts[0].shape[1:] == (4, 1, 4, 4)


@pytest.mark.parametrize("scheduler", [FLOW, DDPM], ids=["flow", "ddpm"])
@pytest.mark.parametrize("batch", [1, 3, 8])
def test_a_video_does_not_depend_on_its_batch(scheduler: Any, batch: int, build: Build) -> None:
    pipeline = LatentVideoPipeline(None, build("lvdm"), scheduler, guidance=True)
    stills, efs = rng.normal((4, 4, 4), 0, "test", range(8)), [10.0 * i for i in range(8)]

    def videos(first: int, stop: int) -> Tensor:
        generators = rng.generators(7, "motion", range(first, stop))
        return pipeline(
            stills[first:stop],
            efs[first:stop],
            num_frames=14,
            num_inference_steps=3,
            guidance_scale=2.0,
            generator=generators,
        ).latents

    parts = [videos(i, min(i + batch, 8)) for i in range(0, 8, batch)]
    assert torch.allclose(torch.cat(parts), videos(0, 8), atol=1e-5)


def test_items_and_seeds_differ_and_calls_do_not(build: Build) -> None:
    pipeline = LatentImagePipeline(None, build("lidm"), DDPM)

    def hearts(seed: int) -> Tensor:
        return pipeline(num_inference_steps=3, generator=rng.generators(seed, "still", range(2)), batch_size=2).latents

    assert torch.equal(hearts(0), hearts(0))
    assert not torch.allclose(hearts(0), hearts(1), atol=0.1)
    assert not torch.allclose(*hearts(0), atol=0.1)


def test_a_given_noise_counts_as_a_still_or_a_clip_of_one_frame(build: Build) -> None:
    pipeline = LatentImagePipeline(None, build("lidm"), FLOW)
    noise = rng.normal((4, 4, 4), 0, "still", range(2))
    flat, clips = (pipeline(latents=x, num_inference_steps=2).latents for x in (noise, noise.unsqueeze(2)))
    assert torch.equal(flat, clips)


# Pixels and progress


def test_pixels_are_uint8_videos(build: Build) -> None:
    vae = build("vae")
    still = LatentImagePipeline(vae, build("lidm"), FLOW, pixels="symmetric")(
        batch_size=2, num_inference_steps=1, output_type="pixel"
    )
    assert still.videos.shape == (2, 1, 32, 32, 1)
    assert still.videos.dtype == torch.uint8
    moving = LatentVideoPipeline(vae, build("lvdm"), FLOW)(
        still.latents, [50.0, 60.0], num_frames=3, num_inference_steps=1, output_type="pixel"
    )
    assert moving.videos.shape == (2, 3, 32, 32, 1)


def test_the_default_length_is_the_window_and_progress_counts_steps(build: Build) -> None:
    told: list[tuple[int, int]] = []
    pipeline = LatentVideoPipeline(None, build("lvdm"), FLOW)
    out = pipeline(
        torch.zeros(1, 4, 4, 4), [50.0], num_inference_steps=3, on_step=lambda *step: told.append(step)
    ).latents
    assert out.shape[2] == 8
    assert told == [(1, 3), (2, 3), (3, 3)]


# Mistakes


@pytest.mark.parametrize(
    ("efs", "scale", "message"),
    [
        ([50.0, 60.0], 1.0, r"2 value\(s\) of ef for 3 still\(s\); expected one each"),
        ([50.0, 101.0, 3.0], 1.0, r"ef is 101\.0, expected a number in 0\.\.100 percent"),
        ([50.0, float("nan"), 3.0], 1.0, r"ef is nan, expected a number in 0\.\.100 percent"),
        (EFS, 2.0, "not trained without its EF"),
    ],
)
def test_a_wrong_request_is_refused_before_anything_is_computed(efs: list[float], scale: float, message: str) -> None:
    pipeline, network = telltale()
    with pytest.raises(ConfigError, match=message):
        pipeline(HEARTS, efs, guidance_scale=scale)
    assert not network.batches


def test_sample_size_may_be_a_number_or_a_pair():
    assert sample_size(SimpleNamespace(sample_size=14)) == (14, 14)
    assert sample_size(SimpleNamespace(sample_size=(14, 16))) == (14, 16)
