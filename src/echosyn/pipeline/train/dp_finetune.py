"""``echosyn finetune``: an image model learns patients with differential privacy (DP-SGD; optional package opacus)."""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from echosyn import device as devices
from echosyn import secret, weights
from echosyn.data import filelist, latents
from echosyn.data.records import Record
from echosyn.diffusion.denoiser import predict
from echosyn.diffusion.objective import noised, times
from echosyn.errors import ConfigError, DataError, ModelError
from echosyn.extras import require
from echosyn.pipeline import trained_on
from echosyn.pipeline.folder import new_folder
from echosyn.pipeline.train import canaries
from echosyn.pipeline.workers.compute import HERE, Compute
from echosyn.settings.training import FinetuneSettings


def finetune(data: Path, out: Path, lidm: Path, asked: FinetuneSettings, compute: Compute = HERE) -> dict[str, Any]:
    """Train a LIDM further on the TRAIN patients of a latents folder, with an (epsilon, delta) guarantee a patient.

    DP-SGD (Abadi et al. 2016): every step takes each patient with the same small probability, one random frame of each, clips
    each patient's gradient and adds Gaussian noise; epsilon is counted by Renyi divergences (Mironov 2017). The guarantee is
    of these weights against these patients only: what the model knew before, and the VAE, are outside of it. Noise
    and the choice of patients come from the operating system, so no two runs are alike and nobody can repeat them. The number
    of patients is taken as known, canaries among them. ``OUT/model`` may leave; ``OUT/private`` has the list of members and
    what was guessed of canaries, and stays.

    Args:
        data: latents folder.
        out: new model folder.
        lidm: model folder to start from, which must not have seen these patients.
        asked: the promise, and the training.
        compute: where.

    Raises:
        DataError: the model was trained on these patients already, or there are none.
        MissingExtraError: opacus is not installed.
    """
    epsilon, steps, batch_size = asked.epsilon, asked.steps, asked.batch_size
    if epsilon <= 0 or steps < 1 or batch_size < 1:
        raise ConfigError(f"--epsilon {epsilon:g} --steps {steps} --batch-size {batch_size}: expected numbers above 0")
    require("opacus", extra="dp")
    folder = weights.resolve(lidm)
    people = _by_patient([r for r in filelist.read(data) if r.split == "TRAIN"])
    if not people:
        raise DataError(
            f"{data}: no TRAIN video; expected a latents folder with TRAIN patients: set Split in FileList.csv and "
            "encode again"
        )
    if not 0 <= asked.canaries <= len(people):
        raise ConfigError(f"--canaries {asked.canaries}: expected 0 to {len(people)}, the TRAIN patients of {data}")
    trained_on.refuse_seen([folder], [r for records in people for r in records])
    delta = 1 / (10 * len(people)) if asked.delta is None else asked.delta
    rate = min(1.0, batch_size / len(people))
    noise = _noise_multiplier(epsilon, delta, rate, steps)
    settings = {"epsilon": epsilon, "delta": delta, "steps": steps, "batch_size": batch_size, "noise": noise}
    settings |= {"learning_rate": asked.learning_rate, "max_grad_norm": asked.max_grad_norm}
    settings |= {"canaries": asked.canaries} if asked.canaries else {}
    chosen, included = canaries.tossed(asked.canaries, len(people))
    bound = None
    with new_folder(out, "finetune", settings, {"latents": data, "lidm": folder}) as partial:
        network = weights.load(folder, "lidm").to(devices.resolve(compute.device)).train().requires_grad_(True)
        scheduler = weights.load_scheduler(folder)
        step = _private_step(network, scheduler, noise, rate * len(people), asked)
        taken, draws = 0, np.random.default_rng()
        for _ in range(steps):
            drawn = ((secret.uniform(len(people)) < rate) & torch.from_numpy(included)).nonzero()[:, 0]
            step([_frame(data, people[k], draws) for k in drawn.tolist()])
            taken += 1
            compute.progress("finetune", taken, steps)
        spent = _epsilon(noise, rate, taken, delta)
        promise = {"epsilon": spent, "delta": delta, "noise_multiplier": noise, "max_grad_norm": asked.max_grad_norm}
        promise |= {"steps": float(taken), "sample_rate": rate, "patients": float(len(people))}
        facts = weights.load_facts(folder).model_copy(
            update={"stage": "lidm", "vae": str(latents.info(data).get("vae")), "differential_privacy": promise}
        )
        weights.save(network.eval(), partial / "model", facts, scheduler)
        (partial / trained_on.PRIVATE).mkdir()
        members = [r for records, is_in in zip(people, included.tolist(), strict=True) if is_in for r in records]
        trained_on.write(partial / trained_on.PRIVATE, members, secrets.token_hex(32))
        if asked.canaries:
            start, tried = weights.load(folder, "lidm").to(devices.resolve(compute.device)), [people[k] for k in chosen]
            scores = canaries.guessed(start, network, scheduler, data, tried)
            bound = canaries.write(partial / trained_on.PRIVATE, tried, scores, included[chosen], delta)
    said = {"model": str(out / "model"), "epsilon": spent, "delta": delta, "patients": len(people), "noise": noise}
    return said | (
        {"epsilon at least": bound.epsilon, "guesses right": f"{bound.correct} of {bound.guesses}"} if bound else {}
    )


def _private_step(network: Any, scheduler: Any, noise: float, expected: float, asked: FinetuneSettings) -> Any:
    """``(frames of its patients)``: one step of DP-SGD."""
    try:
        wrapped = require("opacus.grad_sample", extra="dp").GradSampleModule(network)
    except NotImplementedError as error:
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"{type(network).__name__}: has layers that DP-SGD cannot clip ({reason}); use a UNet2DModel"
        ) from error
    base = require("opacus.optimizers", extra="dp").DPOptimizer

    class Private(base):  # type: ignore[misc, valid-type]
        """With noise that nobody can repeat."""

        def add_noise(self) -> None:
            for parameter in self.params:
                parameter.grad = secret.noised(parameter.summed_grad, self.noise_multiplier * self.max_grad_norm)

    optimizer = Private(
        torch.optim.AdamW(wrapped.parameters(), asked.learning_rate, weight_decay=0.0),
        noise_multiplier=noise,
        max_grad_norm=asked.max_grad_norm,
        expected_batch_size=expected,
    )
    device = next(network.parameters()).device
    draws = torch.Generator().manual_seed(secrets.randbits(63))

    def step(frames: Sequence[Tensor]) -> None:
        optimizer.zero_grad(set_to_none=True)
        if frames:
            x0 = torch.stack(list(frames))[:, :, None].to(device)
            eps = torch.randn(x0.shape, generator=draws).to(device)
            t = times(torch.rand(len(x0), generator=draws), torch.zeros(len(x0)), scheduler).to(device)
            x_t, target = noised(x0, eps, t, scheduler)
            error = predict(network, x_t, t, None, None, None) - target
            error.square().flatten(1).mean(dim=1).mean().backward()
        else:
            for parameter in wrapped.parameters():
                parameter.grad_sample = parameter.new_zeros(0, *parameter.shape)
        optimizer.step()

    return step


def _by_patient(records: Sequence[Record]) -> list[list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.patient, []).append(record)
    return list(found.values())


def _frame(data: Path, records: Sequence[Record], draws: np.random.Generator) -> Tensor:
    """A random frame of a random video of a patient."""
    record = records[int(draws.integers(len(records)))]
    return latents.drawn(data, record, draws)


def _noise_multiplier(epsilon: float, delta: float, rate: float, steps: int) -> float:
    utilities = require("opacus.accountants.utils", extra="dp")
    return float(
        utilities.get_noise_multiplier(
            target_epsilon=epsilon, target_delta=delta, sample_rate=rate, steps=steps, accountant="rdp"
        )
    )


def _epsilon(noise: float, rate: float, steps: int, delta: float) -> float:
    accountant = require("opacus.accountants", extra="dp").RDPAccountant()
    accountant.history = [(noise, rate, steps)]
    return float(accountant.get_epsilon(delta))
