"""What a decoded frame says of the recorded one: its mean and its spread at each pixel, in square roots of grey."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from echosyn import rng
from echosyn.texture.sector import Array, Frames, Sector

_BATCH = 16
"""Frames through the network at once; always cut from the first on, so that the bytes are those of any caller."""
SPREAD = (0.011, 1.6)
"""Smallest and largest spread."""


class LevelNetwork(nn.Module):
    """Two scales of convolutions at a half and a quarter of the resolution; starts as "the mean is what was decoded"."""

    def __init__(self, channels: int = 12, coarse: int = 24) -> None:
        super().__init__()
        self.first = nn.Conv2d(12, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.down = nn.Conv2d(channels, coarse, 3, stride=2, padding=1)
        self.middle = nn.Conv2d(coarse, coarse, 3, padding=1)
        self.up = nn.Conv2d(coarse, channels, 3, padding=1)
        self.third = nn.Conv2d(channels, channels, 3, padding=1)
        self.last = nn.Conv2d(channels, 8, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, decoded: Tensor, coordinates: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and spread, ``(B, 1, H, W)`` each.

        Args:
            decoded: square root of grey, 0 to 1, ``(B, 1, H, W)``; even height and width.
            coordinates: of `Sector.coordinates`, ``(B, 2, H, W)``.
        """
        h = F.silu(self.first(F.pixel_unshuffle(torch.cat([decoded, coordinates], 1), 2)))
        h = F.silu(self.second(h))
        low = F.silu(self.middle(F.silu(self.down(h))))
        h = h + F.silu(self.up(F.interpolate(low, size=h.shape[-2:])))
        out = F.pixel_shuffle(self.last(F.silu(self.third(h))), 2)
        return decoded + 0.2 * out[:, :1], (out[:, 1:] - 2.3).exp().clamp(*SPREAD)


@torch.no_grad()
def predict(network: LevelNetwork, decoded: Frames, sector: Sector) -> tuple[Array, Array]:
    """Mean and spread at the pixels inside of a decoded video ``(T, H, W)``: ``(T, P)`` each."""
    root, place = _root(decoded), torch.from_numpy(sector.coordinates)[None]
    inside = torch.from_numpy(sector.inside)
    parts = [network(part, place.expand(len(part), -1, -1, -1)) for part in root.split(_BATCH)]
    mean, spread = (torch.cat([part[k][:, 0][:, inside] for part in parts]) for k in (0, 1))
    return mean.clamp(0.001, 1).numpy(), spread.numpy()


def train(
    recorded: Sequence[Frames], decoded: Sequence[Frames], sectors: Sequence[Sector], steps: int, seed: int
) -> LevelNetwork:
    """A network by the likelihood of recorded frames under a Gaussian of its mean and spread.

    Args:
        recorded: videos ``(T, H, W)``.
        decoded: the same, through the VAE.
        sectors: theirs.
        steps: of Adam, six frames each.
        seed: of weights and of the order.
    """
    draws = rng.numpy_generator(seed, "texture network", 0)
    with rng.initializing(rng.key(seed, "texture network")):
        network = LevelNetwork()
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 2e-3 * min(1, (step + 1) / 50) * (0.5 + 0.5 * np.cos(np.pi * step / steps))
        chosen = [(i, int(draws.integers(len(recorded[i])))) for i in draws.integers(len(recorded), size=6)]
        x, y = (_root(np.stack([videos[i][t] for i, t in chosen])) for videos in (recorded, decoded))
        place = torch.from_numpy(np.stack([sectors[i].coordinates for i, _ in chosen]))
        inside = torch.from_numpy(np.stack([sectors[i].inside for i, _ in chosen]))[:, None]
        if draws.random() < 0.5:  # mirrored
            x, y, inside, place = x.flip(3), y.flip(3), inside.flip(3), place.flip(3)
            place = place * torch.tensor([1.0, -1.0]).view(1, 2, 1, 1)
        mean, spread = network(y, place)
        loss = (((x - mean) / spread).square() / 2 + spread.log())[inside].mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    return ready(network)


def ready(network: LevelNetwork) -> LevelNetwork:
    """For inference, in the order of memory that is fastest on CPUs."""
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def _root(frames: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.sqrt(frames.astype(np.float32) / 255))[:, None]
