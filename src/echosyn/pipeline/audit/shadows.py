"""Shadow models: small image models, each trained on a random half of all patients, TRAIN or not."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from echosyn import rng, weights
from echosyn.diffusion.denoiser import predict
from echosyn.diffusion.objective import noised, times
from echosyn.privacy.patient_matches import Array, Counts
from echosyn.privacy.permutation import Mask
from echosyn.progress import Progress, silent

NETWORK = {
    "_class_name": "UNet2DModel",
    "block_out_channels": (32, 64),
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    "layers_per_block": 1,
    "attention_head_dim": 16,
    "norm_num_groups": 8,
}
"""0.7 million parameters, whatever the model under attack is."""
PASSES, STEPS, BATCH = 40, (200, 1000), 32
"""How often a still is shown; the fewest and most steps; stills of a step."""
LEARNING_RATE = 2e-3


def losses(
    items: Tensor,
    owner: Counts,
    inside: Mask,
    scheduler: Any,
    loss: Callable[[Any], Array],
    device: torch.device,
    seed: int = 0,
    progress: Progress = silent,
) -> Array:
    """The losses of m models on each patient ``(m, patients)``.

    Args:
        items: Latent stills ``(n, C, 1, h, w)`` of all patients.
        owner: The patient 0, 1, ... of each.
        inside: Which patients train which model ``(m, patients)``.
        scheduler: Of the model under attack.
        loss: ``network -> (patients,)``.
        device: Where.
        seed: Of initialization and training.
        progress: Told how many models are trained.
    """
    found = []
    for k, members in enumerate(inside):
        found.append(loss(trained(items[members[owner]], scheduler, device, rng.key(seed, "shadow model", k))))
        progress("train shadow models", k + 1, len(inside))
    return np.stack(found)


def trained(items: Tensor, scheduler: Any, device: torch.device, seed: int) -> Any:
    """A network that learned some stills with the loss of image models."""
    with rng.initializing(seed):
        shape = {"in_channels": items.shape[1], "out_channels": items.shape[1], "sample_size": items.shape[-1]}
        network = weights.network(NETWORK | shape).to(device).train()
    steps = min(max(PASSES * len(items) // BATCH, STEPS[0]), STEPS[1])
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    draws = rng.generator(seed, "shadow training")
    for _ in range(steps):
        x0 = items[torch.randint(len(items), (BATCH,), generator=draws)].to(device)
        eps = torch.randn(x0.shape, generator=draws).to(device)
        t = times(torch.rand(len(x0), generator=draws), torch.zeros(len(x0)), scheduler).to(device)
        x_t, target = noised(x0, eps, t, scheduler)
        loss = (predict(network, x_t, t, None, None, None) - target).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        decay.step()
    return network.eval().requires_grad_(False)
