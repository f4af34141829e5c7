"""What a sampler needs of a network: a callable ``(x_t, t) -> prediction`` with the conditions bound.

Latents are ``(B, C, T, H, W)`` here, whatever the network wants: stills have ``T == 1``. Networks that halve their input
several times get it padded by replication to a multiple of 8 and the result cropped (14 becomes 16, as published).
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import UNet2DModel, UNetSpatioTemporalConditionModel
from torch import Tensor

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""``(x_t (B, C, T, H, W), t scalar or (B,)) -> prediction (B, C, T, H, W)``, conditions bound."""

MULTIPLE = 8
"""UNets of four levels halve three times."""


def predict(
    network: Any,
    x_t: Tensor,
    t: Tensor,
    conditioning: Tensor | None,
    conditions: Tensor | None,
    given: Tensor | None,
    course: Tensor | None = None,
) -> Tensor:
    """Call a denoising network by its own signature.

    Args:
        network: ``UNet2DModel``, ``UNetSpatioTemporalConditionModel`` or a network with the signature of
            `echosyn.nn.video_transformer.VideoTransformer`.
        x_t: noisy latents ``(B, C, T, H, W)``.
        t: timestep(s) in 0..1000, scalar or ``(B,)``.
        conditioning: latent stills ``(B, C, H, W)`` that are shown to the network in every frame, or none.
        conditions: numbers ``(B, K)`` such as EF/100, or none.
        given: ``(B, K)`` bool, False where a condition is dropped, or none if all are given.
        course: ``(B, T)``, when the heart contracts, for a network that `needs_course`; others are not told.

    Returns:
        The network's prediction, ``(B, C, T, H, W)``.
    """
    t = torch.as_tensor(t, device=x_t.device).expand(x_t.shape[0])
    x = x_t if conditioning is None else torch.cat([x_t, repeat_over_time(conditioning, x_t.shape[2])], dim=1)
    if isinstance(network, UNet2DModel):
        stills, size = pad(_frames(x))
        out = network(stills, t.repeat_interleave(x.shape[2])).sample
        return _unframes(crop(out, size), x.shape[0])
    if isinstance(network, UNetSpatioTemporalConditionModel):
        frames, size = pad(_frames(x))
        videos = frames.unflatten(0, (x.shape[0], x.shape[2]))
        tokens = text_tokens(conditions, given, x)
        zeros = x.new_zeros(x.shape[0], network.config.projection_class_embeddings_input_dim)
        out = network(videos, t, tokens, added_time_ids=zeros).sample
        return crop(out, size).transpose(1, 2)
    told = {"course": course} if needs_course(network) else {}
    out = network(x, t, conditions, given, **told)
    return out if isinstance(out, Tensor) else out.sample


def needs_course(network: Any) -> bool:
    """Whether a network must be told when the heart contracts (`echosyn.nn.mode_unet.ModeUNet`)."""
    return bool(getattr(network, "needs_course", False))


def text_tokens(conditions: Tensor | None, given: Tensor | None, like: Tensor) -> Tensor:
    """Conditions as the "text" of a UNet: one token ``(B, 1, K)``, EF/100 in the published models.

    A dropped condition is -1, which no ejection fraction is (0 is one: an arrested heart).
    """
    if conditions is None:
        return like.new_zeros(like.shape[0], 1, 1)
    values = conditions if given is None else torch.where(given, conditions, -1.0)
    return values.to(like.dtype).unsqueeze(1)


def repeat_over_time(stills: Tensor, num_frames: int) -> Tensor:
    """``(B, C, H, W)`` -> ``(B, C, num_frames, H, W)``."""
    return stills.unsqueeze(2).expand(-1, -1, num_frames, -1, -1)


def pad(stills: Tensor, multiple: int = MULTIPLE) -> tuple[Tensor, tuple[slice, slice]]:
    """Pad ``(N, C, H, W)`` by replication, evenly, to a multiple; also the slices that undo it."""
    (top, bottom), (left, right) = (_margins(n, multiple) for n in stills.shape[-2:])
    inner = (slice(top, top + stills.shape[-2]), slice(left, left + stills.shape[-1]))
    if top == bottom == left == right == 0:
        return stills, inner
    return F.pad(stills, (left, right, top, bottom), mode="replicate"), inner


def crop(padded: Tensor, inner: tuple[slice, slice]) -> Tensor:
    """Undo `pad`."""
    return padded[..., inner[0], inner[1]]


def _margins(size: int, multiple: int) -> tuple[int, int]:
    missing = -size % multiple
    return missing // 2, missing - missing // 2


def _frames(videos: Tensor) -> Tensor:
    return videos.transpose(1, 2).flatten(0, 1)


def _unframes(frames: Tensor, batch: int) -> Tensor:
    return frames.reshape(batch, -1, *frames.shape[1:]).transpose(1, 2)
