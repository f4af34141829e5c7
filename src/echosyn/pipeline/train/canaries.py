"""Training patients whom coins leave out of a training, so that guessing the coins bounds epsilon from below."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from echosyn import secret
from echosyn.data import latents
from echosyn.data.records import Record
from echosyn.diffusion.denoiser import predict
from echosyn.diffusion.objective import errors_of
from echosyn.pipeline.folder import write_json
from echosyn.privacy.attacks import loss_scores
from echosyn.privacy.fingerprints import evenly
from echosyn.privacy.one_run import Bound, bound
from echosyn.privacy.patient_matches import Array, Counts
from echosyn.privacy.permutation import Mask

CANARIES = "canaries.json"
STILLS = 8
"""Frames of a patient by which the coin is guessed."""


def tossed(num: int, patients: int) -> tuple[Counts, Mask]:
    """Positions of canaries, drawn by the operating system, and who takes part: all others, and canaries by a fair coin each."""
    chosen: Counts = np.sort(secret.uniform(patients).argsort()[:num].numpy())
    included = np.ones(patients, bool)
    included[chosen] = (secret.uniform(patients) < 0.5).numpy()[chosen]
    return chosen, included


def guessed(before: Any, after: Any, scheduler: Any, data: Path, people: Sequence[Sequence[Record]]) -> Array:
    """By how much the training lowered the logarithm of each patient's loss: ``(patients,)``."""
    stills = [_stills(data, records[0]) for records in people]
    items, owner = torch.cat(stills)[:, :, None], np.repeat(np.arange(len(people)), [len(s) for s in stills])

    def log_loss(network: Any) -> Array:
        device = next(network.parameters()).device
        errors = errors_of(lambda x_t, t, rows: predict(network, x_t, t, None, None, None), scheduler, device)
        losses = -np.bincount(owner, loss_scores(items, errors)) / np.bincount(owner)
        result: Array = np.log(losses)
        return result

    return log_loss(before) - log_loss(after)


def write(folder: Path, people: Sequence[Sequence[Record]], scores: Array, included: Mask, delta: float) -> Bound:
    """The bound, and in a private folder also the coins and what was guessed by."""
    found = bound(scores, included, delta)
    rows = zip(people, scores.tolist(), included.tolist(), strict=True)
    each = [{"patient": records[0].patient, "included": coin, "score": score} for records, score, coin in rows]
    write_json(folder / CANARIES, {"bound": vars(found), "canaries": each})
    return found


def _stills(data: Path, record: Record) -> torch.Tensor:
    rows = evenly(torch.arange(latents.count(data, record)), STILLS).tolist()
    return latents.read(data, record, rows)
