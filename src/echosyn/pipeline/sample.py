"""``echosyn sample``: the LIDM invents hearts."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from echosyn import device as devices
from echosyn import rng, weights
from echosyn.data import stills
from echosyn.diffusion.pipelines import LatentImagePipeline
from echosyn.diffusion.solvers import checked_steps
from echosyn.errors import ConfigError
from echosyn.pipeline.folder import new_folder
from echosyn.pipeline.models import image_pipeline
from echosyn.pipeline.progress import Progress, silent

SHARD = 256
"""Stills in one file."""


def sample(
    out: Path,
    *,
    lidm: Path,
    num: int,
    seed: int,
    steps: int | None = None,
    scheduler: str | None = None,
    batch_size: int = 32,
    device: str = "auto",
    progress: Progress = silent,
) -> dict[str, Any]:
    """Write ``num`` latent stills; still ``i`` depends on (seed, i) alone.

    Args:
        out: new folder of candidates.
        lidm: model folder.
        num: how many.
        seed: of their noise.
        steps: sampling steps; default what suits the model.
        scheduler: solver, one of `echosyn.diffusion.solvers.SOLVERS`; default the model's own.
        batch_size: stills at a time; does not change them.
        device: where to compute.
        progress: told how many are done.
    """
    if num < 1 or batch_size < 1:
        raise ConfigError(f"--num {num} --batch-size {batch_size}: expected at least 1")
    pipeline = image_pipeline(lidm, devices.resolve(device), scheduler)
    facts = weights.load_facts(weights.resolve(lidm))
    steps = checked_steps(facts.num_inference_steps if steps is None else steps, pipeline.scheduler)
    settings = {"num": num, "seed": seed, "steps": steps, "scheduler": scheduler}
    with new_folder(out, "sample", settings, {"lidm": weights.resolve(lidm)}) as folder:
        for first in range(0, num, SHARD):
            indices = range(first, min(first + SHARD, num))
            if not stills.shard(folder, first).exists():
                stills.write(folder, indices, invent(pipeline, indices, seed, steps, batch_size))
            progress("sample", indices[-1] + 1, num)
    return {"candidates": str(out), "stills": num}


def invent(
    pipeline: LatentImagePipeline,
    indices: Sequence[int],
    seed: int,
    steps: int,
    batch_size: int = 32,
    on_step: Callable[[int, int], None] | None = None,
) -> Tensor:
    """The latent stills ``(n, C, h, w)`` of the given numbers, on the CPU; ``on_step`` is told ``(done, total)``."""
    parts = []
    for i in range(0, len(indices), batch_size):
        generators = rng.generators(seed, "still", indices[i : i + batch_size])
        output = pipeline(batch_size=len(generators), num_inference_steps=steps, generator=generators, on_step=on_step)
        parts.append(output.latents[:, :, 0].cpu())
    return torch.cat(parts)
