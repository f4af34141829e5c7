"""``echosyn sample``: the LIDM invents hearts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from echosyn import device as devices
from echosyn import rng, weights
from echosyn.data import stills
from echosyn.diffusion.pipelines import LatentImagePipeline
from echosyn.diffusion.samplers import checked_steps
from echosyn.errors import ConfigError, StoppedError
from echosyn.memory import Fitting
from echosyn.pipeline.finished import Finished
from echosyn.pipeline.folder import new_folder
from echosyn.pipeline.generate.formats import OF_STILLS, files_of_stills, parsed, save_stills
from echosyn.pipeline.models import NO_WEIGHTS, codec, image_pipeline
from echosyn.pipeline.workers.compute import HERE, Compute
from echosyn.pipeline.workers.executors import Lost
from echosyn.settings.making import SampleSettings

PER_FILE = 256
"""Stills in one file."""
BLOCK = 8
"""Neighbouring stills that a CPU invents together, always the same ones: every still is then equal to the bit."""


@dataclass(frozen=True)
class Sample:
    """Work: invents the stills of one file, given by its first number."""

    lidm: Path
    folder: Path
    num: int
    seed: int
    steps: int
    scheduler: str | None
    batch_size: int
    device: str = "auto"
    config: Path | None = None
    formats: tuple[str, ...] = ()
    """Of stills besides latents, see `echosyn.pipeline.generate.formats`."""
    vae: Path | None = None

    def start(self) -> Callable[[int], int]:
        """Load the LIDM."""
        device = devices.resolve(self.device)
        pipeline = image_pipeline(self.lidm, device, self.scheduler, self.config)
        batches = Fitting(self.batch_size, "hearts", fixed=device.type == "cpu")
        decoder = codec(self.vae, device) if self.vae else None

        def some(numbers: Sequence[int]) -> Tensor:
            return invent(pipeline, numbers, self.seed, self.steps, len(numbers))

        def run(first: int) -> int:
            numbers = range(first, min(first + PER_FILE, self.num))
            whole = range(first, -(-numbers.stop // self.batch_size) * self.batch_size)
            made = torch.cat(batches.over(some, whole))
            save_stills(self.folder, numbers, made[: len(numbers)], self.formats, decoder)
            stills.write(self.folder, numbers, made[: len(numbers)])
            return len(numbers)

        return run


def sample(out: Path, lidm: Path, asked: SampleSettings, compute: Compute = HERE) -> dict[str, Any]:
    """Write ``num`` latent stills; still ``i`` depends on (seed, i) alone.

    Args:
        out: new folder of candidates.
        lidm: model folder.
        asked: how many, and how.
        compute: where, by whom, and which part of the files, `PER_FILE` stills each.
    """
    num, seed, scheduler, shard = asked.num, asked.seed, asked.scheduler, compute.shard
    if num < 1 or asked.batch_size < 1:
        raise ConfigError(f"--num {num} --batch-size {asked.batch_size}: expected at least 1")
    folder_of_lidm = weights.resolve(lidm)
    pipeline = image_pipeline(lidm, NO_WEIGHTS, scheduler, asked.config)
    facts = weights.load_facts(folder_of_lidm)
    steps = checked_steps(facts.num_inference_steps if asked.steps is None else asked.steps, pipeline.scheduler)
    formats = parsed(asked.save_as, OF_STILLS, shard)
    if set(formats) - {"pt"} and asked.vae is None:
        raise ConfigError(f"--save-as {asked.save_as}: images are decoded by a VAE: give --vae")
    if asked.vae is not None and not set(formats) - {"pt"}:
        raise ConfigError(f"--vae {asked.vae}: has no effect without images: give --save-as png, or leave it out")
    vae = weights.resolve(asked.vae) if asked.vae else None
    settings: dict[str, Any] = {"num": num, "seed": seed, "steps": steps, "scheduler": scheduler}
    settings |= {"save_as": formats} if formats else {}
    inputs = {"lidm": folder_of_lidm, "config": asked.config, "vae": vae}
    executor = compute.workers()
    firsts = shard.of(range(0, num, PER_FILE))
    if not firsts:
        raise ConfigError(
            f"--shard {shard.number}/{shard.count}: {num} stills are {-(-num // PER_FILE)} file(s) of {PER_FILE}, too few for so "
            "many shards"
        )
    total = sum(min(PER_FILE, num - first) for first in firsts)
    given = {name: path for name, path in inputs.items() if path is not None}
    with new_folder(out, "sample", settings, given, shard=shard) as folder, Finished(folder) as finished:
        size = asked.batch_size if executor.on_gpu(compute.device) else BLOCK

        def files(first: int) -> list[Path]:
            numbers = range(first, min(first + PER_FILE, num))
            return [stills.shard(folder, first), *files_of_stills(folder, numbers, formats)]

        left = [first for first in firsts if not finished.has(*files(first))]
        done = total - sum(min(PER_FILE, num - first) for first in left)
        work = Sample(
            folder_of_lidm, folder, num, seed, steps, scheduler, size, compute.device, asked.config, formats, vae
        )
        for first, made in executor.map([work], left):
            if isinstance(made, Lost):
                raise StoppedError(
                    f"workers died repeatedly on the stills from {first} on, perhaps out of memory; reduce --workers "
                    "or --batch-size and run the same command again"
                )
            finished.add(*files(first))
            done += made
            compute.progress("sample", done, total)
    return {"candidates": str(out), "stills": total}


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
