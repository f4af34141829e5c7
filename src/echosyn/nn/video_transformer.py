"""The fast denoiser of latent videos and, with one frame, of latent stills."""

from typing import Literal, cast, get_args

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.embeddings import TimestepEmbedding, get_timestep_embedding
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from torch import Tensor, nn
from torch.nn import functional as F

from echosyn.nn.blocks import ConditionEmbedding, FactorisedBlock, checked_frames, sinusoidal_positions

NUM_TIMESTEPS = 1000
"""Of diffusers' schedulers: flow matching's time 0..1 is given as 0..1000."""

Prediction = Literal["velocity", "residual"]


class VideoTransformer(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """A diffusion transformer with factorised space-time attention, small enough to learn on a CPU.

    DiT's adaptive norm (Peebles & Xie 2023) and Latte's alternation of space and time (Ma et al. 2024) on tubes of
    ``temporal_patch_size x patch_size x patch_size`` latents (ViViT, Arnab et al. 2021). A new network predicts zero.

    Args:
        in_channels: Channels of the input; 8 for noisy latents beside the conditioning frame.
        out_channels: Channels of the prediction.
        sample_size: Height and width of the latents.
        num_frames: The most frames in a window.
        patch_size: Height and width of a token, in latents.
        temporal_patch_size: Frames in a token; 1 for stills.
        width: Features of a token.
        depth: Blocks; each is spatial attention, temporal attention and an MLP.
        num_heads: Attention heads.
        num_conditions: Scalars that the video must obey; EF/100 first.
        prediction: What the last layer says. ``"velocity"``: the target of the objective itself. ``"residual"``: how the
            clean latents differ from the conditioning still (the input's second half), turned into the velocity of flow
            matching, ``(x_t - x0) / t``; a new network then predicts the still, not nothing, which learns much faster.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        *,
        in_channels: int = 8,
        out_channels: int = 4,
        sample_size: int = 14,
        num_frames: int = 64,
        patch_size: int = 2,
        temporal_patch_size: int = 4,
        width: int = 192,
        depth: int = 6,
        num_heads: int = 4,
        num_conditions: int = 1,
        prediction: Prediction = "velocity",
    ) -> None:
        super().__init__()
        if prediction not in get_args(Prediction):
            raise ValueError(f"prediction is {prediction!r}, expected 'velocity' or 'residual'")
        if prediction == "residual" and in_channels != 2 * out_channels:
            raise ValueError(f"in_channels is {in_channels}, expected {2 * out_channels}: latents beside a still")
        if sample_size % patch_size:
            raise ValueError(f"sample_size is {sample_size}, expected a multiple of patch_size ({patch_size})")
        self.patch = (temporal_patch_size, patch_size, patch_size)
        num_places, tube = (sample_size // patch_size) ** 2, temporal_patch_size * patch_size**2
        self.tokens = nn.Linear(in_channels * tube, width)
        self.places = nn.Parameter(0.02 * torch.randn(num_places, width))
        self.register_buffer(
            "times", sinusoidal_positions(-(-num_frames // temporal_patch_size), width), persistent=False
        )
        self.time_embedding = TimestepEmbedding(width, width)
        self.condition_embedding = ConditionEmbedding(num_conditions, width)
        self.blocks = nn.ModuleList(FactorisedBlock(width, num_heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(width, 2 * width)
        self.head = nn.Linear(width, out_channels * tube)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor | float,
        condition: Tensor | None = None,
        condition_mask: Tensor | None = None,
        return_dict: bool = True,
    ) -> Transformer2DModelOutput | tuple[Tensor]:
        """Predict the target of the objective for every latent.

        Args:
            sample: ``(B, in_channels, T, H, W)``, T up to ``num_frames``; a T between two patches is padded inside.
            timestep: ``(B,)`` or one number in 0..1000, as in diffusers' schedulers (flow matching: 1000 t).
            condition: ``(B, num_conditions)``; none of them given if left out.
            condition_mask: ``(B, num_conditions)``, true where the condition is given; default all.
            return_dict: As in diffusers.

        Returns:
            An object whose ``sample`` is ``(B, out_channels, T, H, W)``.
        """
        frames = checked_frames(sample, self.config)
        x = self._patchify(sample)
        x = self.tokens(x) + self.places + self.times[: x.shape[1], None]
        c = self._embed(len(sample), timestep, condition, condition_mask)
        for block in self.blocks:
            x = block(x, c)
        shift, scale = self.modulation(F.silu(c))[:, None, None].chunk(2, dim=-1)
        y = self._unpatchify(self.head(self.norm(x) * (1 + scale) + shift))[:, :, :frames]
        if self.config.prediction == "residual":
            y = self._velocity(sample, y, timestep)
        return Transformer2DModelOutput(sample=y) if return_dict else (y,)

    def _velocity(self, sample: Tensor, residual: Tensor, timestep: Tensor | float) -> Tensor:
        """``(x_t - x0) / t`` with ``x0`` = still + residual; times below one of 1000 steps count as that step."""
        x_t, still = sample.chunk(2, dim=1)
        t = torch.as_tensor(timestep, dtype=torch.float32, device=sample.device).expand(len(sample)) / NUM_TIMESTEPS
        return (x_t - still - residual) / t.clamp(min=1 / NUM_TIMESTEPS).view(-1, 1, 1, 1, 1).to(sample.dtype)

    def _embed(self, batch: int, timestep: Tensor | float, condition: Tensor | None, mask: Tensor | None) -> Tensor:
        """Everything the adaptive norms see: ``(B, width)``."""
        device, dtype = self.device, self.dtype
        t = torch.as_tensor(timestep, dtype=torch.float32, device=device).expand(batch)
        if condition is None:
            condition = torch.zeros(batch, self.config.num_conditions, device=device)
            mask = torch.zeros_like(condition, dtype=torch.bool)
        elif mask is None:
            mask = torch.ones_like(condition, dtype=torch.bool)
        waves = get_timestep_embedding(t, self.config.width, flip_sin_to_cos=True, downscale_freq_shift=0)
        time = self.time_embedding(waves.to(dtype))
        return cast(Tensor, time + self.condition_embedding(condition.to(dtype), mask))

    def _patchify(self, sample: Tensor) -> Tensor:
        """``(B, C, T, H, W)`` -> tubes ``(B, T', places, C * tube)``; the last frame fills a tube that is not full."""
        time, height, width = self.patch
        missing = -sample.shape[2] % time
        if missing:
            sample = torch.cat([sample, sample[:, :, -1:].expand(-1, -1, missing, -1, -1)], dim=2)
        batch, channels, frames = sample.shape[:3]
        side = self.config.sample_size // height
        x = sample.reshape(batch, channels, frames // time, time, side, height, side, width)
        # B C T' t H' h W' w -> B T' H' W' C t h w
        return x.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(batch, frames // time, side**2, -1)

    def _unpatchify(self, tubes: Tensor) -> Tensor:
        """The inverse of `_patchify`, without the crop."""
        batch, times = tubes.shape[:2]
        size, channels = self.config.sample_size, self.config.out_channels
        side = size // self.config.patch_size
        x = tubes.reshape(batch, times, side, side, channels, *self.patch)
        # B T' H' W' C t h w -> B C T' t H' h W' w
        return x.permute(0, 4, 1, 5, 2, 6, 3, 7).reshape(batch, channels, -1, size, size)
