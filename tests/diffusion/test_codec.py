"""Between frames and scaled latents there is one scale, one shift and one pixel convention."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from echosyn import rng
from echosyn.diffusion.codec import LatentCodec, check_frames, grey
from echosyn.errors import ModelError
from echosyn.pixels import CONVENTIONS


class Identity(nn.Module):
    """A VAE that passes its input on, with a posterior of standard deviation 0.5."""

    def __init__(self, scale: float, shift: float | None, channels: int = 1) -> None:
        super().__init__()
        self.config = SimpleNamespace(scaling_factor=scale, shift_factor=shift, in_channels=channels)
        self.weight = nn.Parameter(torch.zeros(1))
        self.largest = 0

    def encode(self, x: Tensor) -> Any:
        self.largest = max(self.largest, len(x))
        return SimpleNamespace(latent_dist=SimpleNamespace(mean=x, std=torch.full_like(x, 0.5)))

    def decode(self, z: Tensor) -> Any:
        self.largest = max(self.largest, len(z))
        return SimpleNamespace(sample=z)


LEVELS = torch.arange(256, dtype=torch.uint8).view(4, 8, 8)


@pytest.mark.parametrize("pixels", CONVENTIONS)
def test_scaled_latents_are_latents_minus_shift_times_scale(pixels: str) -> None:
    codec = LatentCodec(Identity(0.25, 0.5), pixels)
    seen = CONVENTIONS[pixels].to_model(LEVELS).unsqueeze(1)
    assert torch.equal(codec.encode(LEVELS), (seen - 0.5) * 0.25)
    noise = rng.normal((1, 8, 8), 0, "posterior", range(4))
    assert torch.allclose(codec.encode(LEVELS, noise), (seen + 0.5 * noise - 0.5) * 0.25)


@pytest.mark.parametrize("pixels", CONVENTIONS)
@pytest.mark.parametrize(("scale", "shift"), [(1.0, None), (0.25, 0.5), (2.0, -1.0)])
def test_decoding_undoes_encoding_for_every_grey_level(pixels: str, scale: float, shift: float | None) -> None:
    codec = LatentCodec(Identity(scale, shift), pixels)
    assert torch.equal(codec.decode(codec.encode(LEVELS))[..., 0], LEVELS)


def test_grey_is_repeated_for_a_vae_of_three_channels():
    codec = LatentCodec(Identity(1.0, None, channels=3))
    seen = codec.to_input(LEVELS)
    assert seen.shape == (4, 3, 8, 8)
    assert torch.equal(seen[:, 0], seen[:, 2])
    assert torch.equal(grey(codec.decode(codec.encode(LEVELS))), LEVELS)


def test_the_mean_over_channels_is_truncated_as_published():
    frames = torch.tensor([[52, 53, 53], [255, 255, 255], [0, 0, 1]], dtype=torch.uint8)
    assert grey(frames).tolist() == [52, 255, 0]
    assert grey(frames[:, :1]).tolist() == [52, 255, 0]


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_the_batch_size_changes_nothing_but_memory(batch_size: int, build: Any) -> None:
    frames = torch.from_numpy(rng.numpy_generator(0, "frames").integers(0, 256, (7, 32, 32), dtype="uint8"))
    noise = rng.normal((4, 4, 4), 0, "posterior", range(7))
    whole, parts = LatentCodec(build("vae"), "symmetric", 7), LatentCodec(build("vae"), "symmetric", batch_size)
    latents = whole.encode(frames, noise)
    assert torch.allclose(parts.encode(frames, noise), latents, atol=1e-5)
    difference = parts.decode(latents).int() - whole.decode(latents).int()
    assert difference.abs().max() <= 1
    counted = Identity(1.0, None)
    LatentCodec(counted, batch_size=batch_size).encode(frames)
    assert counted.largest == min(batch_size, 7)


def test_videos_are_decoded_frame_by_frame_in_order():
    codec = LatentCodec(Identity(1.0, None), "symmetric")
    latents = codec.encode(LEVELS).reshape(2, 2, 1, 8, 8).transpose(1, 2)
    videos = codec.decode_videos(latents)
    assert videos.shape == (2, 2, 8, 8, 1)
    assert torch.equal(videos.flatten(0, 1)[..., 0], LEVELS)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_a_scale_that_cannot_be_divided_by_is_refused(scale: float) -> None:
    with pytest.raises(ModelError, match=r"scaling_factor is .*, expected a positive number"):
        LatentCodec(Identity(scale, None))


def test_frames_that_do_not_divide_name_the_cure():
    check_frames((112, 112))
    with pytest.raises(
        ModelError, match="frames of 112x113: sides are not divisible by 8; import the videos at 112x112"
    ):
        check_frames((112, 113))
