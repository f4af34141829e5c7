"""What video networks are made of: attention, adaptive norm, embeddings of positions and conditions, the check of shapes."""

from typing import Any, cast

import torch
from diffusers.models.embeddings import get_timestep_embedding
from torch import Tensor, nn
from torch.nn import functional as F


class SelfAttention(nn.Module):
    """Multi-head self-attention over ``(B, N, width)``; queries and keys are normalised (Henry et al. 2020)."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        if width % num_heads:
            raise ValueError(f"width is {width}, expected a multiple of num_heads ({num_heads})")
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.norm_q = nn.LayerNorm(width // num_heads)
        self.norm_k = nn.LayerNorm(width // num_heads)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, N, width)`` -> the same shape; any permutation of N permutes the result."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(self.norm_q(q), self.norm_k(k), v)
        return cast(Tensor, self.out(y.transpose(1, 2).flatten(2)))


class FactorisedBlock(nn.Module):
    """Attention within each frame, attention along time at each place, and an MLP, each behind AdaLN-zero.

    Space and time take turns as in Latte (Ma et al. 2024). Shift, scale and gate come from the conditions and start at
    zero, so that a new block is the identity (DiT, Peebles & Xie 2023, section 3.2).
    """

    def __init__(self, width: int, num_heads: int, mlp_ratio: int = 4) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.spatial = SelfAttention(width, num_heads)
        self.temporal = SelfAttention(width, num_heads)
        self.mlp = nn.Sequential(
            nn.Linear(width, mlp_ratio * width), nn.GELU("tanh"), nn.Linear(mlp_ratio * width, width)
        )
        self.modulation = nn.Linear(width, 9 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Tokens ``(B, T, N, width)`` and their condition ``(B, width)`` -> tokens."""
        frames = x.shape[1]
        shift_s, scale_s, gate_s, shift_t, scale_t, gate_t, shift_m, scale_m, gate_m = self.modulation(
            F.silu(condition)
        )[:, None, None].chunk(9, dim=-1)
        y = self.norm(x) * (1 + scale_s) + shift_s
        x = x + gate_s * self.spatial(y.flatten(0, 1)).unflatten(0, (-1, frames))
        if frames > 1:
            y = (self.norm(x) * (1 + scale_t) + shift_t).transpose(1, 2)
            x = x + gate_t * self.temporal(y.flatten(0, 1)).unflatten(0, (len(x), -1)).transpose(1, 2)
        return cast(Tensor, x + gate_m * self.mlp(self.norm(x) * (1 + scale_m) + shift_m))


class ConditionEmbedding(nn.Module):
    """A sum of one embedding per condition; a condition that is not given has a learned embedding of its own.

    That is how one network learns with and without a condition (classifier-free guidance, Ho & Salimans 2022).
    """

    def __init__(self, num_conditions: int, width: int) -> None:
        super().__init__()
        self.given = nn.ModuleList(
            nn.Sequential(nn.Linear(1, width), nn.SiLU(), nn.Linear(width, width)) for _ in range(num_conditions)
        )
        self.dropped = nn.Parameter(0.02 * torch.randn(num_conditions, width))

    def forward(self, condition: Tensor, mask: Tensor) -> Tensor:
        """Values in about 0..1 ``(B, num_conditions)`` and which are given -> ``(B, width)``."""
        values = 2 * torch.where(mask, condition, 0.0) - 1
        total = values.new_zeros(len(values), self.dropped.shape[1])
        for i, embed in enumerate(self.given):
            total = total + torch.where(mask[:, i, None], embed(values[:, i, None]), self.dropped[i])
        return total


def checked_frames(sample: Tensor, config: Any) -> int:
    """Frames of a sample ``(B, C, T, H, W)``; `ValueError` unless it fits a network's config."""
    channels, frames, *size = sample.shape[1:]
    if channels != config.in_channels or size != [config.sample_size] * 2 or frames > config.num_frames:
        side = config.sample_size
        expected = f"(B, {config.in_channels}, T <= {config.num_frames}, {side}, {side})"
        raise ValueError(f"sample has shape {tuple(sample.shape)}, expected {expected}")
    return int(frames)


def sinusoidal_positions(num_positions: int, width: int) -> Tensor:
    """Fixed positions of Vaswani et al. 2017: ``(num_positions, width)``."""
    return cast(Tensor, get_timestep_embedding(torch.arange(num_positions), width))
