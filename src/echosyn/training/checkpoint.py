"""Resumable state: one folder a checkpoint, without pickles, checked when read, written whole or not at all."""

import json
import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from echosyn.errors import ConfigError
from echosyn.hashing import file_hash
from echosyn.tensors import read_tensors
from echosyn.training.loop import Training

PREFIX = "step-"
STATE = "state.safetensors"
SCALARS = "state.json"
MANIFEST = "manifest.json"


def save(run: Path, training: Training, spare: Collection[int] = ()) -> Path:
    """Write ``RUN/checkpoints/step-N`` and remove those beyond ``keep_checkpoints``, but for the steps in ``spare``."""
    folder = run / "checkpoints" / f"{PREFIX}{training.step:09d}"
    partial = folder.with_name("partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    tensors, scalars = _flatten(_state(training))
    save_file(tensors, partial / STATE)
    (partial / SCALARS).write_text(json.dumps(scalars))
    manifest = {name: file_hash(partial / name) for name in (STATE, SCALARS)}
    (partial / MANIFEST).write_text(json.dumps(manifest))
    for path in (*partial.iterdir(), partial):
        _flush(path)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    past = [other for other in found(run) if step_of(other) <= training.step]
    ahead = [other for other in found(run) if step_of(other) > training.step]  # damaged: `restore` passed them over
    for old in (*ahead, *past[training.settings.keep_checkpoints :]):
        if step_of(old) not in spare:
            shutil.rmtree(old)
    return folder


def restore(run: Path, training: Training, step: int | None = None) -> Path | None:
    """Load the newest undamaged checkpoint of a run, or that of ``step``, into ``training``; which one, None if there is none."""
    for folder in found(run) if step is None else [f for f in found(run) if step_of(f) == step]:
        state = _read(folder)
        if state is None:
            continue
        try:
            _restore(training, state)
        except (KeyError, RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ConfigError(f"{folder}: does not fit these settings ({reason}); choose a new folder") from error
        return folder
    return None


def found(run: Path) -> list[Path]:
    """The checkpoints of a run, newest first."""
    return sorted((run / "checkpoints").glob(f"{PREFIX}*"), reverse=True)


def step_of(folder: Path) -> int:
    """The step of a checkpoint."""
    return int(folder.name.removeprefix(PREFIX))


def _flush(path: Path) -> None:
    """Have the disk hold a file or a folder's entries before it gets its final name."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _state(training: Training) -> dict[str, Any]:
    return {
        "step": training.step,
        "networks": {name: network.state_dict() for name, network in training.stage.networks().items()},
        "optimizers": {name: optimizer.state_dict()["state"] for name, optimizer in training.optimizers.items()},
        "average": {
            "weights": {str(i): p for i, p in enumerate(training.average.shadow_params)},
            "steps": training.average.optimization_step,
        },
        "scaler": {} if training.accelerator.scaler is None else training.accelerator.scaler.state_dict(),
    }


def _restore(training: Training, state: dict[str, Any]) -> None:
    training.step = int(state["step"])
    for name, network in training.stage.networks().items():
        network.load_state_dict(state["networks"][name])
    for name, optimizer in training.optimizers.items():
        groups = optimizer.state_dict()["param_groups"]
        entries = {int(i): entry for i, entry in state["optimizers"].get(name, {}).items()}
        optimizer.load_state_dict({"state": entries, "param_groups": groups})
    average = state["average"]
    training.average.optimization_step = int(average["steps"])
    with torch.no_grad():
        for i, shadow in enumerate(training.average.shadow_params):
            shadow.copy_(average["weights"][str(i)])
    if training.accelerator.scaler is not None and "scaler" in state:
        training.accelerator.scaler.load_state_dict(state["scaler"])


def _read(folder: Path) -> dict[str, Any] | None:
    """The state of a checkpoint, or None if a file is missing or its checksum differs."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        if set(manifest) != {STATE, SCALARS} or any(file_hash(folder / n) != digest for n, digest in manifest.items()):
            return None
        return _unflatten(read_tensors(folder / STATE), json.loads((folder / SCALARS).read_text()))
    except (OSError, ValueError, AttributeError, TypeError, SafetensorError):
        return None


SEPARATOR = "|"


def _flatten(tree: Mapping[Any, Any], path: str = "") -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors: dict[str, Tensor] = {}
    scalars: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{path}{SEPARATOR}{key}" if path else str(key)
        if isinstance(value, Mapping):
            inner_tensors, inner_scalars = _flatten(value, name)
            tensors |= inner_tensors
            scalars |= inner_scalars
        elif isinstance(value, Tensor):
            tensors[name] = value.detach().cpu().contiguous()
        else:
            scalars[name] = value
    return tensors, scalars


def _unflatten(tensors: Mapping[str, Tensor], scalars: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in (*tensors.items(), *scalars.items()):
        *path, last = name.split(SEPARATOR)
        node = tree
        for key in path:
            node = node.setdefault(key, {})
        node[last] = value
    return tree
