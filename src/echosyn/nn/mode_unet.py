"""The fast video denoiser: a video is a still plus a few spatial modes, each with its course over time."""

from typing import cast

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.embeddings import TimestepEmbedding, get_timestep_embedding
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from torch import Tensor, nn
from torch.nn import functional as F

from echosyn.nn.blocks import ConditionEmbedding, SelfAttention, checked_frames

NUM_TIMESTEPS = 1000
"""Of diffusers' schedulers: flow matching's time 0..1 is given as 0..1000."""

NUM_BEAT_ROWS, NUM_BEAT_COLUMNS = 6, 33
"""Shape of ``beats``, what `echosyn.diffusion.rhythm.Rhythm.to_array` makes: where a new video's course is drawn from."""

MOTION_STD = 0.5
"""About the standard deviation of clean latents around their still; only scales the input."""

NUM_FEATURES = 7
"""Of a moment, see `ModeUNet._moments`."""

TIME_KERNEL = 5
"""Frames that a moment sees of its neighbourhood in one convolution: whether the heart fills or empties."""


class ModeUNet(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Flow matching for a heart that beats, at a cost that hardly depends on the number of frames.

    The clean video is predicted as ``still + sum_k maps_k(place) courses_k(time)``. A small UNet draws the maps from the
    still, and a small convolutional network over time turns *when and how far* the heart has contracted into courses: the
    requested ejection fraction times the course of the beat is the part of the cavity's volume that is gone in a frame,
    which says more than either alone. What the noisy video already shows helps both: it is averaged over time with the
    courses as weights before the UNet, and projected on the maps after it, so that little of the noise is left.

    The prediction is the velocity of flow matching, ``(x_t - x0) / t``. Inputs and outputs are those of
    `echosyn.nn.video_transformer.VideoTransformer`, and the course.

    Args:
        in_channels: Channels of the input: noisy latents beside the conditioning still.
        out_channels: Channels of the prediction, half of ``in_channels``.
        sample_size: Height and width of the latents, even.
        num_frames: The most frames in a window.
        num_modes: Maps and courses.
        block_out_channels: Features of the UNet's two levels.
        layers_per_block: Residual blocks in each part of it; the lower level has twice as many.
        num_heads: Attention heads in the lower level.
        condition_width: Features of time and conditions.
        course_width: Features of a moment.
        num_conditions: Scalars that the video must obey; EF/100 first.
    """

    needs_course = True
    """Whether `forward` must be told when the heart contracts."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        *,
        in_channels: int = 8,
        out_channels: int = 4,
        sample_size: int = 14,
        num_frames: int = 192,
        num_modes: int = 16,
        block_out_channels: tuple[int, int] = (64, 128),
        layers_per_block: int = 2,
        num_heads: int = 4,
        condition_width: int = 128,
        course_width: int = 96,
        num_conditions: int = 1,
    ) -> None:
        super().__init__()
        if in_channels != 2 * out_channels:
            raise ValueError(f"in_channels is {in_channels}, expected {2 * out_channels}: latents beside a still")
        if sample_size % 2:
            raise ValueError(f"sample_size is {sample_size}, expected an even number")
        if num_conditions < 1:
            raise ValueError(f"num_conditions is {num_conditions}, expected at least 1: the ejection fraction")
        self.register_buffer("beats", torch.zeros(NUM_BEAT_ROWS, NUM_BEAT_COLUMNS))
        self.time_embedding = TimestepEmbedding(condition_width // 2, condition_width)
        self.condition_embedding = ConditionEmbedding(num_conditions, condition_width)
        self.moments = Moments(NUM_FEATURES, course_width, condition_width)
        self.expected = nn.Conv1d(course_width, num_modes, 1)
        seen = (2 + num_modes) * out_channels
        self.unet = StillUNet(
            seen,
            num_modes * out_channels,
            sample_size,
            tuple(block_out_channels),
            layers_per_block,
            num_heads,
            condition_width,
        )
        self.heart = nn.Linear(block_out_channels[-1], condition_width)
        self.refined = Moments(course_width + num_modes, course_width, condition_width)
        self.courses = nn.Conv1d(course_width, num_modes, 1)
        nn.init.zeros_(self.courses.weight)
        nn.init.zeros_(cast(Tensor, self.courses.bias))

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor | float,
        condition: Tensor | None = None,
        condition_mask: Tensor | None = None,
        course: Tensor | None = None,
        return_dict: bool = True,
    ) -> Transformer2DModelOutput | tuple[Tensor]:
        """Predict the velocity of every latent.

        Args:
            sample: ``(B, in_channels, T, H, W)``: noisy latents, then the still repeated over time.
            timestep: ``(B,)`` or one number in 0..1000, as in diffusers' schedulers (1000 t).
            condition: ``(B, num_conditions)``; none of them given if left out.
            condition_mask: ``(B, num_conditions)``, true where the condition is given; default all.
            course: ``(B, T)``: the part of the stroke volume that has left the ventricle, 0 at end-diastole, 1 at
                end-systole.
            return_dict: As in diffusers.

        Returns:
            An object whose ``sample`` is ``(B, out_channels, T, H, W)``.

        Raises:
            ValueError: a shape does not fit the config, or there is no course.
        """
        frames = checked_frames(sample, self.config)
        if course is None or course.shape != (len(sample), frames):
            found = None if course is None else tuple(course.shape)
            raise ValueError(f"course is {found}, expected ({len(sample)}, {frames})")
        x_t, still = sample[:, : self.config.out_channels], sample[:, self.config.out_channels :, 0]
        t = torch.as_tensor(timestep, dtype=torch.float32, device=sample.device).expand(len(sample)) / NUM_TIMESTEPS
        if condition is None:
            condition = sample.new_zeros(len(sample), self.config.num_conditions)
            condition_mask = torch.zeros_like(condition, dtype=torch.bool)
        given = torch.ones_like(condition, dtype=torch.bool) if condition_mask is None else condition_mask
        condition = torch.where(given, condition, 0.0).to(self.dtype)
        c = self._embed(t, condition, given)
        noisy = (x_t - _like(1 - t, x_t) * still.unsqueeze(2)) / _like((1 - t).mul(MOTION_STD).hypot(t), x_t)
        moments = self._moments(course.to(self.dtype), condition[:, :1], given[:, :1])
        residual = self._residual(still, noisy.transpose(1, 2).flatten(2), moments, c)
        y = (x_t - still.unsqueeze(2) - residual.to(x_t.dtype)) / _like(t.clamp(min=1 / NUM_TIMESTEPS), x_t)
        return Transformer2DModelOutput(sample=y) if return_dict else (y,)

    def _residual(self, still: Tensor, noisy: Tensor, moments: Tensor, c: Tensor) -> Tensor:
        """How the clean latents differ from the still ``(B, C, T, H, W)``; ``noisy`` is ``(B, T, C * H * W)``."""
        moments = self.moments(moments, c)
        weights = orthonormal(self.expected(moments))
        averages = torch.einsum("bkt,btn->bkn", weights, noisy) * MOTION_STD
        pictures = torch.cat([noisy.mean(dim=1, keepdim=True), averages], dim=1).view(len(still), -1, *still.shape[2:])
        maps, heart = self.unet(torch.cat([still, pictures], dim=1), c)
        maps = maps.view(len(still), self.config.num_modes, -1)
        seen = torch.einsum("bkn,btn->bkt", orthonormal(maps), noisy) * MOTION_STD**2
        moments = self.refined(torch.cat([moments, seen], dim=1), c + self.heart(heart))
        residual: Tensor = torch.einsum("bkt,bkn->btn", self.courses(moments), maps)
        return residual.view(*residual.shape[:2], *still.shape[1:]).transpose(1, 2)

    def _moments(self, course: Tensor, ef: Tensor, given: Tensor) -> Tensor:
        """What is known of each frame beforehand, ``(B, NUM_FEATURES, T)``: phase, and volume that is gone."""
        gone = ef * course
        known = given.to(course.dtype).expand_as(course)
        each = (2 * course - 1, course.square(), gone, 2 * gone.square(), torch.sin(6 * gone), ef * known, known)
        return torch.stack(each, dim=1)

    def _embed(self, t: Tensor, condition: Tensor, given: Tensor) -> Tensor:
        """Time and conditions, ``(B, condition_width)``."""
        waves = get_timestep_embedding(
            t * NUM_TIMESTEPS, self.config.condition_width // 2, flip_sin_to_cos=True, downscale_freq_shift=0
        )
        return cast(Tensor, self.time_embedding(waves.to(self.dtype)) + self.condition_embedding(condition, given))


class Moments(nn.Module):
    """Features of each frame from those of its neighbourhood: ``(B, num_features, T)`` -> ``(B, width, T)``."""

    def __init__(self, num_features: int, width: int, condition_width: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(num_features, width, TIME_KERNEL, padding="same", padding_mode="replicate")
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(condition_width, 2 * width)
        self.second = nn.Conv1d(width, width, TIME_KERNEL, padding="same", padding_mode="replicate")
        self.third = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """``c`` is ``(B, condition_width)``."""
        shift, scale = self.modulation(F.silu(c)).unsqueeze(1).chunk(2, dim=-1)
        x = F.silu(self.norm(self.first(x).mT) * (1 + scale) + shift).mT
        x = x + F.silu(self.second(x))
        return x + F.silu(self.third(x))


class StillUNet(nn.Module):
    """Two levels of residual convolutions, attention in the lower one; also says what it saw on the whole."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        sample_size: int,
        widths: tuple[int, ...],
        depth: int,
        num_heads: int,
        condition_width: int,
    ) -> None:
        super().__init__()
        upper, lower = widths

        def blocks(width: int, count: int) -> nn.ModuleList:
            return nn.ModuleList(ResidualBlock(width, condition_width) for _ in range(count))

        self.first = nn.Conv2d(in_channels, upper, 3, padding=1)
        self.places = nn.Parameter(0.02 * torch.randn(upper, sample_size, sample_size))
        self.down, self.pool = blocks(upper, depth), nn.Conv2d(upper, lower, 3, stride=2, padding=1)
        self.before, self.after = blocks(lower, depth), blocks(lower, depth)
        self.norm, self.attention = nn.LayerNorm(lower), SelfAttention(lower, num_heads)
        self.unpool, self.merge = nn.Conv2d(lower, 4 * upper, 1), nn.Conv2d(2 * upper, upper, 1)
        self.up = blocks(upper, depth)
        self.last_norm, self.last = nn.GroupNorm(8, upper), nn.Conv2d(upper, out_channels, 3, padding=1)

    def forward(self, x: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, in_channels, H, W)`` and conditions -> ``(B, out_channels, H, W)`` and ``(B, lower width)``."""
        x = self.first(x) + self.places
        for block in self.down:
            x = block(x, c)
        y = self.pool(x)
        for block in self.before:
            y = block(y, c)
        tokens = self.attention(self.norm(y.flatten(2).mT))
        y = y + tokens.mT.unflatten(2, y.shape[2:])
        for block in self.after:
            y = block(y, c)
        x = self.merge(torch.cat([x, F.pixel_shuffle(self.unpool(y), 2)], dim=1))
        for block in self.up:
            x = block(x, c)
        return self.last(F.silu(self.last_norm(x))), y.mean(dim=(2, 3))


class ResidualBlock(nn.Module):
    """Two convolutions around a norm that the conditions shift and scale; a new block is the identity."""

    def __init__(self, width: int, condition_width: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(8, width), nn.Conv2d(width, width, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(8, width), nn.Conv2d(width, width, 3, padding=1)
        self.modulation = nn.Linear(condition_width, 2 * width)
        for layer in (self.conv2, self.modulation):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(cast(Tensor, layer.bias))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """``(B, width, H, W)`` and ``(B, condition_width)``."""
        shift, scale = self.modulation(F.silu(c))[:, :, None, None].chunk(2, dim=1)
        y = self.conv1(F.silu(self.norm1(x)))
        return cast(Tensor, x + self.conv2(F.silu(self.norm2(y) * (1 + scale) + shift)))


def orthonormal(rows: Tensor) -> Tensor:
    """Rows ``(B, K, N)`` made orthonormal one after the other (by Cholesky); rows of the span of others stay short.

    In float32 at least, also under autocast: products of bfloat16 need not be positive definite.
    """
    with torch.autocast(rows.device.type, enabled=False):
        rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
        gram = rows @ rows.mT
        ridge = 1e-3 * gram.diagonal(dim1=1, dim2=2).mean(dim=1).clamp(min=1e-6)
        gram = gram + torch.diag_embed(ridge.unsqueeze(1).expand(-1, gram.shape[1]))
        return cast(Tensor, torch.linalg.solve_triangular(torch.linalg.cholesky(gram), rows, upper=False))


def _like(per_item: Tensor, x: Tensor) -> Tensor:
    return per_item.view(-1, *[1] * (x.ndim - 1)).to(x.dtype)
