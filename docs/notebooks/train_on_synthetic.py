# %% [markdown]
# # Train on synthetic, test on real
#
# The question behind a synthetic set: does what was learned on it hold for real patients? Here both sides are phantoms, of
# other patients each; put your own folders in their place.

# %%
import subprocess

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

import echosyn

subprocess.run("echosyn phantom synthetic --num 48 --frames 64 --fps 32 --seed 21 --quiet", shell=True, check=True)
subprocess.run("echosyn phantom real --num 24 --frames 64 --fps 32 --seed 22 --quiet", shell=True, check=True)

# %% [markdown]
# `clips` is a `torch.utils.data.Dataset` of (clip, EF in percent).


# %%
def smaller(clip: torch.Tensor) -> torch.Tensor:
    """A quarter of the pixels."""
    return nn.functional.avg_pool3d(clip, (1, 2, 2))


clips = echosyn.load_dataset("synthetic").clips(num_frames=16, period=2, transform=smaller)
train = DataLoader([clips[i] for i in range(len(clips))], batch_size=8, shuffle=True)
clips = echosyn.load_dataset("real").clips(num_frames=16, period=2, transform=smaller)
test = DataLoader([clips[i] for i in range(len(clips))], batch_size=8)

# %% [markdown]
# A regressor of the amount of change: convolutions see each frame, what varies over time decides.


# %%
class Regressor(nn.Module):
    """EF from a clip ``(n, 1, T, H, W)`` in 0..1."""

    def __init__(self) -> None:
        super().__init__()
        self.frames = nn.Sequential(
            *(nn.Conv3d(1, 16, (1, 5, 5), (1, 2, 2)), nn.ReLU(), nn.Conv3d(16, 32, (1, 5, 5), (1, 2, 2)), nn.ReLU())
        )
        self.head = nn.Linear(64, 1)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        seen = self.frames(clips).mean(dim=(3, 4))
        return 50 + 10 * self.head(torch.cat([seen.mean(dim=2), 5 * seen.std(dim=2)], dim=1))[:, 0]


torch.manual_seed(0)
regressor = Regressor()
optimizer = torch.optim.AdamW(regressor.parameters(), 3e-3)
for _ in range(15):
    for videos, efs in train:
        loss = (regressor(videos) - efs.float()).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

# %% [markdown]
# Tested on patients of the other side, against the error of always answering with the mean.

# %%
with torch.no_grad():
    read = np.concatenate([regressor(videos).numpy() for videos, _ in test])
known = np.concatenate([efs.numpy() for _, efs in test])
error, of_mean = np.abs(read - known).mean(), np.abs(known.mean() - known).mean()
print(f"MAE {error:.1f} points, of the mean {of_mean:.1f}")
assert error < of_mean

# %% [markdown]
# `echosyn evaluate` does this with a larger network, trains on real videos as well, and gives intervals over patients.
