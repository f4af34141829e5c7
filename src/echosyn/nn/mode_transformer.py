"""The fast video denoiser: a video is a still plus a few spatial modes, each with its course over time."""

from typing import cast

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.embeddings import TimestepEmbedding, get_timestep_embedding
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from torch import Tensor, nn
from torch.nn import functional as F

from echosyn.nn.blocks import ConditionEmbedding, SelfAttention, rotations

NUM_TIMESTEPS = 1000
"""Of diffusers' schedulers: flow matching's time 0..1 is given as 0..1000."""

NUM_BEAT_ROWS, NUM_BEAT_COLUMNS = 6, 33
"""Shape of ``beats``, what `echosyn.diffusion.rhythm.Rhythm.to_array` makes: where a new video's course is drawn from."""

MOTION_STD = 0.5
"""About the standard deviation of clean latents around their still; only scales the input."""


class ModeTransformer(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Flow matching for videos that are one picture in motion; for a heart that beats, most of the cost is gone.

    The clean video is predicted as ``still + sum_k maps_k(place) courses_k(time)``. Two streams of tokens work it out
    together: places of the still, and times of the video. In each round the places say what to look for (modes), the
    noisy video is projected on them, the times read these courses; then the noisy video is averaged over time with
    weights that the times choose, and the places read these maps. A projection on a mode sums over the whole picture,
    so the noise is gone from a course where no single latent shows anything yet. Cost is linear in places plus times,
    not in their product.

    Same inputs and outputs as `echosyn.nn.video_transformer.VideoTransformer` with ``prediction="residual"``; the
    prediction is the velocity of flow matching, ``(x_t - x0) / t``.

    Args:
        in_channels: Channels of the input: noisy latents beside the conditioning still.
        out_channels: Channels of the prediction, half of ``in_channels``.
        sample_size: Height and width of the latents.
        num_frames: The most frames in a window.
        patch_size: Height and width of a place, in latents.
        temporal_patch_size: Frames in a time.
        num_modes: Maps and courses, in each round and in the prediction.
        width: Features of a token.
        depth: Rounds; each has one block for the places and one for the times.
        num_heads: Attention heads.
        num_conditions: Scalars that the video must obey; EF/100 first.
        course: Whether the network is told *when* the heart moves: one number a frame, the part of the stroke volume that
            has left the ventricle. Phase and rate are then no secret of the noise, and the motion keeps its size.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        *,
        in_channels: int = 8,
        out_channels: int = 4,
        sample_size: int = 14,
        num_frames: int = 192,
        patch_size: int = 2,
        temporal_patch_size: int = 4,
        num_modes: int = 16,
        width: int = 192,
        depth: int = 6,
        num_heads: int = 4,
        num_conditions: int = 1,
        course: bool = False,
    ) -> None:
        super().__init__()
        if in_channels != 2 * out_channels:
            raise ValueError(f"in_channels is {in_channels}, expected {2 * out_channels}: latents beside a still")
        if sample_size % patch_size:
            raise ValueError(f"sample_size is {sample_size}, expected a multiple of patch_size ({patch_size})")
        num_places, inner = (sample_size // patch_size) ** 2, num_modes * patch_size**2 * out_channels
        self.stills = nn.Linear(2 * patch_size**2 * out_channels, width)
        self.places = nn.Parameter(0.02 * torch.randn(num_places, width))
        self.times = nn.Parameter(0.02 * torch.randn(width))
        if course:
            self.course_embedding = nn.Linear(temporal_patch_size, width)
            self.register_buffer("beats", torch.zeros(NUM_BEAT_ROWS, NUM_BEAT_COLUMNS))
        self.time_embedding = TimestepEmbedding(width, width)
        self.condition_embedding = ConditionEmbedding(num_conditions, width)
        self.modulation = nn.Linear(width, 6 * width)
        rounds = [Round(width, num_heads, inner, num_modes * temporal_patch_size) for _ in range(depth)]
        self.rounds = nn.ModuleList(rounds)
        self.gates = nn.Linear(width, 2 * num_modes * depth)
        self.maps = nn.Linear(width, inner)
        for layer in (self.modulation, self.gates, rounds[-1].courses):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

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
            course: ``(B, T)`` in 0..1, from end-diastole to end-systole; only, and always, with ``course`` in the config.
            return_dict: As in diffusers.

        Returns:
            An object whose ``sample`` is ``(B, out_channels, T, H, W)``.
        """
        frames = self._check(sample, course)
        x_t, still = sample[:, : self.config.out_channels], sample[:, self.config.out_channels :, 0]
        t = torch.as_tensor(timestep, dtype=torch.float32, device=sample.device).expand(len(sample)) / NUM_TIMESTEPS
        residual = self._residual(x_t, still, t, self._embed(t, condition, condition_mask), course)
        y = (x_t - still.unsqueeze(2) - residual[:, :, :frames]) / _like(t.clamp(min=1 / NUM_TIMESTEPS), x_t)
        return Transformer2DModelOutput(sample=y) if return_dict else (y,)

    def _residual(self, x_t: Tensor, still: Tensor, t: Tensor, c: Tensor, course: Tensor | None) -> Tensor:
        """How the clean latents differ from the still: ``(B, C, T padded to whole times, H, W)``."""
        noisy = (x_t - _like(1 - t, x_t) * still.unsqueeze(2)) / _like((1 - t).mul(MOTION_STD).hypot(t), x_t)
        noisy = self._patchify(noisy)
        still = self._patchify(still.unsqueeze(2))[:, 0]
        places = self.stills(torch.cat([still, noisy.mean(dim=1)], dim=-1)) + self.places
        num_times = noisy.shape[1] // self.config.temporal_patch_size
        times = self.times.expand(len(noisy), num_times, -1)
        if course is not None:
            missing = noisy.shape[1] - course.shape[1]
            filled = torch.cat([course, course[:, -1:].expand(-1, missing)], dim=1)
            times = times + self.course_embedding(2 * filled.unflatten(1, (num_times, -1)).to(times.dtype) - 1)
        rotation = rotations(num_times, self.config.width // self.config.num_heads, self.device)
        modulation, gates = self.modulation(F.silu(c)), self.gates(F.silu(c)).unflatten(-1, (len(self.rounds), 2, -1))
        maps = self.maps(places).unflatten(-1, (-1, noisy.shape[-1]))
        for i, block in enumerate(self.rounds):
            places, times, maps, courses = block(places, times, maps, noisy, modulation, gates[:, i], rotation)
        return self._unpatchify(torch.einsum("btk,bpkc->btpc", courses, maps))

    def _check(self, sample: Tensor, course: Tensor | None) -> int:
        """Frames of the sample, which must fit the config."""
        c = self.config
        if (course is not None) != c.course or (course is not None and course.shape != sample.shape[::2][:2]):
            expected = f"({len(sample)}, {sample.shape[2]})" if c.course else "none"
            raise ValueError(f"course is {None if course is None else tuple(course.shape)}, expected {expected}")
        channels, frames, *size = sample.shape[1:]
        if channels != c.in_channels or size != [c.sample_size] * 2 or frames > c.num_frames:
            expected = f"(B, {c.in_channels}, T <= {c.num_frames}, {c.sample_size}, {c.sample_size})"
            raise ValueError(f"sample has shape {tuple(sample.shape)}, expected {expected}")
        return frames

    def _embed(self, t: Tensor, condition: Tensor | None, mask: Tensor | None) -> Tensor:
        """Everything the adaptive norms see: ``(B, width)``."""
        if condition is None:
            condition = t.new_zeros(len(t), self.config.num_conditions)
            mask = torch.zeros_like(condition, dtype=torch.bool)
        elif mask is None:
            mask = torch.ones_like(condition, dtype=torch.bool)
        waves = get_timestep_embedding(
            t * NUM_TIMESTEPS, self.config.width, flip_sin_to_cos=True, downscale_freq_shift=0
        )
        time = self.time_embedding(waves.to(self.dtype))
        return cast(Tensor, time + self.condition_embedding(condition.to(self.dtype), mask))

    def _patchify(self, video: Tensor) -> Tensor:
        """``(B, C, T, H, W)`` -> ``(B, T', places, C * patch * patch)``; the last frame fills a time that is not full."""
        missing = -video.shape[2] % self.config.temporal_patch_size
        if missing:
            video = torch.cat([video, video[:, :, -1:].expand(-1, -1, missing, -1, -1)], dim=2)
        batch, channels, frames, height, _ = video.shape
        patch = self.config.patch_size
        x = video.reshape(batch, channels, frames, height // patch, patch, -1, patch)
        # B C T H' h W' w -> B T H' W' C h w
        return x.permute(0, 2, 3, 5, 1, 4, 6).reshape(batch, frames, (height // patch) ** 2, -1)

    def _unpatchify(self, tokens: Tensor) -> Tensor:
        """The inverse of `_patchify`, without the crop."""
        batch, frames = tokens.shape[:2]
        size, patch = self.config.sample_size, self.config.patch_size
        x = tokens.reshape(batch, frames, size // patch, size // patch, self.config.out_channels, patch, patch)
        # B T H' W' C h w -> B C T H' h W' w
        return x.permute(0, 4, 1, 2, 5, 3, 6).reshape(batch, self.config.out_channels, frames, size, size)


class Round(nn.Module):
    """Places and times look at the noisy video through one another, then each among themselves.

    With open gates and silent linear layers, rounds are subspace iterations: the modes tend to the principal components of
    the noisy video. What the layers add is what can be known of them beforehand.
    """

    def __init__(self, width: int, num_heads: int, num_map_values: int, num_course_values: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.places, self.times = PlaceBlock(width, num_heads), Block(width, num_heads)
        self.read_maps = nn.Linear(num_map_values, width)
        self.maps = nn.Linear(width, num_map_values)
        self.read_courses = nn.Linear(num_course_values, width)
        self.courses = nn.Linear(width, num_course_values)

    def forward(
        self,
        places: Tensor,
        times: Tensor,
        maps: Tensor,
        noisy: Tensor,
        modulation: Tensor,
        gates: Tensor,
        rotation: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Tokens ``(B, N, width)`` and maps ``(B, places, K, values)`` one round on, and their courses ``(B, T, K)``.

        ``noisy`` is ``(B, T, places, values)``, ``gates`` ``(B, 2, K)``: how far noisy courses and maps are believed.
        """
        places = self.places(places + self.read_maps(maps.flatten(2)), modulation)
        maps = maps + self.maps(self.norm(places)).unflatten(-1, maps.shape[2:])
        size = maps[0, :, 0].numel() ** 0.5
        modes = orthonormal(maps.transpose(1, 2).flatten(2)).unflatten(-1, (maps.shape[1], -1)).transpose(1, 2)
        seen = torch.einsum("btpc,bpkc->btk", noisy, modes)
        times = self.times(times + self.read_courses(fold(seen, times.shape[1])), modulation, rotation)
        known = unfold(self.courses(self.norm(times)), seen.shape[2])
        weights = orthonormal((seen / size + known).mT)
        back = torch.einsum("bkt,btpc->bpkc", weights, noisy)
        trust_course, trust_map = gates.unsqueeze(1).unbind(dim=2)
        return places, times, size * modes + trust_map.unsqueeze(-1) * back, trust_course * seen / size + known


def orthonormal(rows: Tensor) -> Tensor:
    """Rows ``(B, K, N)`` made orthonormal one after the other (by Cholesky); rows of the span of others stay short."""
    gram = rows @ rows.mT
    ridge = 1e-3 * gram.diagonal(dim1=1, dim2=2).mean(dim=1).clamp(min=1e-6)
    gram = gram + torch.diag_embed(ridge.unsqueeze(1).expand(-1, gram.shape[1]))
    return cast(Tensor, torch.linalg.solve_triangular(torch.linalg.cholesky(gram), rows, upper=False))


class Block(nn.Module):
    """Attention and MLP behind AdaLN-zero whose modulation all blocks share but for an offset (PixArt, Chen et al. 2023)."""

    def __init__(self, width: int, num_heads: int, mlp_ratio: int = 4) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.attention = SelfAttention(width, num_heads)
        self.mlp = nn.Sequential(
            nn.Linear(width, mlp_ratio * width), nn.GELU("tanh"), nn.Linear(mlp_ratio * width, width)
        )
        self.offset = nn.Parameter(torch.zeros(6 * width))

    def forward(self, x: Tensor, modulation: Tensor, rotation: Tensor | None = None) -> Tensor:
        """Tokens ``(B, N, width)`` and the shared modulation ``(B, 6 width)`` -> tokens."""
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = (modulation + self.offset).unsqueeze(1).chunk(6, dim=-1)
        x = x + gate_a * self.attention(self.norm(x) * (1 + scale_a) + shift_a, rotation)
        return cast(Tensor, x + gate_m * self.mlp(self.norm(x) * (1 + scale_m) + shift_m))


class PlaceBlock(Block):
    """A block that also sees each place's neighbours in the picture."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__(width, num_heads)
        self.neighbours = nn.Conv2d(width, width, 3, padding=1, groups=width)
        nn.init.zeros_(self.neighbours.weight)

    def forward(self, x: Tensor, modulation: Tensor, rotation: Tensor | None = None) -> Tensor:
        """As `Block.forward`; the places fill a square, row by row."""
        side = round(x.shape[1] ** 0.5)
        picture = self.norm(x).mT.unflatten(-1, (side, side))
        return super().forward(x + self.neighbours(picture).flatten(2).mT, modulation, rotation)


def fold(courses: Tensor, num_times: int) -> Tensor:
    """Courses of frames ``(B, T, K)`` -> of times ``(B, num_times, frames * K)``."""
    return courses.reshape(len(courses), num_times, -1)


def unfold(courses: Tensor, num_modes: int) -> Tensor:
    """The inverse of `fold`: ``(B, T, K)``."""
    return courses.reshape(len(courses), -1, num_modes)


def _like(per_item: Tensor, x: Tensor) -> Tensor:
    return per_item.view(-1, *[1] * (x.ndim - 1)).to(x.dtype)
