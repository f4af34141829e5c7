"""``echosyn train --dry-run``: what a training would take, from a few real steps on this machine; writes nothing."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from echosyn.data.loading import Items, Recent
from echosyn.training.loop import Training, to_device

BUDGET_S = 60.0
"""No larger part of a batch is tried once the measurements have taken this long."""
SAFE_SHARE = 0.8
"""No part of a batch is tried that would need more than this share of the free memory."""
SAMPLE_EVERY_S = 0.002
GB = 1e9


@dataclass(frozen=True)
class Measured:
    """One part of a batch, forth and back, and the optimizers' update."""

    num_items: int
    seconds: float
    peak_bytes: float


def estimate(training: Training, items: Dataset[dict[str, Any]]) -> dict[str, Any]:
    """What the training would take: parameters, peak memory, step time, hours and disk.

    Parts of a batch of 1, 2, 4, ... items are trained on until the real size (``micro_batch_size``, or what a process gets
    of ``batch_size``) is reached, or time or memory forbid more; from there the last two are continued in a straight line.
    Objectives that begin late are measured as if they had begun. Memory is that of the process on a CPU, of torch's
    allocator on a GPU; validation and the loading of data by workers are not in it.
    """
    settings = training.settings
    per_process = settings.batch_size // training.accelerator.num_processes
    part = min(settings.micro_batch_size or per_process, per_process)
    training.step = max(objective.start for objective in training.objectives.values())
    for network in training.stage.networks().values():
        network.train()
    measured = _measure(training, items, part)
    last = measured[-1]
    seconds = _line([(m.num_items, m.seconds) for m in measured], part) * -(-per_process // part)
    state = _state_bytes(training)
    peak = _line([(m.num_items, m.peak_bytes) for m in measured], part)
    peak += sum(
        _cache_growth(each, settings.steps * settings.batch_size) for each in getattr(items, "streams", [items])
    )
    model = _bytes(training.stage.network.state_dict())
    result = {
        "network": type(training.stage.network).__name__,
        "parameters": sum(p.numel() for p in training.stage.network.parameters()),
        "device": str(training.accelerator.device),
        "batch_size": settings.batch_size,
        "part_of_batch": part,
        "measured_part": last.num_items,
        "peak_memory_gb": peak / GB,
        "free_memory_gb": _free(training) / GB,
        "step_s": seconds,
        "steps": settings.steps,
        "hours": seconds * settings.steps / 3600,
        "checkpoint_gb": state / GB,
        # while one is written, the oldest is still there
        "disk_gb": (state * (settings.keep_checkpoints + 1) + model) / GB,
    }
    if (fitting := _fitting(measured, part, _free(training))) is not None:
        result["micro_batch_size_that_fits"] = fitting
    return result


def _measure(training: Training, items: Dataset[dict[str, Any]], part: int) -> list[Measured]:
    """Parts of growing size up to ``part``; the first one goes twice, because the first step makes the optimizers' state."""
    started, first = time.perf_counter(), min(2, part)
    _step(training, items, first)
    found = [_step(training, items, first)]
    while found[-1].num_items < part:
        size = min(2 * found[-1].num_items, part)
        took = time.perf_counter() - started
        points = [(m.num_items, m.peak_bytes) for m in found]
        # one point says nothing about the slope: twice the items cost at most twice the memory
        needed = _line(points, size) if len(points) > 1 else 2 * found[-1].peak_bytes
        if took > BUDGET_S or needed - found[-1].peak_bytes > SAFE_SHARE * _free(training):
            break
        found.append(_step(training, items, size))
    return found


def _step(training: Training, items: Dataset[dict[str, Any]], size: int) -> Measured:
    first = training.step * size
    with _peak(training) as peak:
        started = time.perf_counter()
        batch = default_collate([items[g] for g in range(first, first + size)])
        if training.settings.num_workers:
            started = time.perf_counter()
        device = training.accelerator.device
        training.advance(to_device(batch, device))
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds = time.perf_counter() - started
    return Measured(size, seconds, peak())


@contextmanager
def _peak(training: Training) -> Iterator[Any]:
    """The largest memory within the block, in bytes; read it by calling what is yielded, after the block."""
    device = training.accelerator.device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        yield lambda: float(torch.cuda.max_memory_allocated(device))
        return
    highest, done = [_memory(training)], threading.Event()

    def watch() -> None:
        while not done.wait(SAMPLE_EVERY_S):
            highest.append(max(highest.pop(), _memory(training)))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda: highest[0]
    finally:
        done.set()
        watcher.join()


def _memory(training: Training) -> float:
    device = training.accelerator.device
    if device.type == "cuda":
        return float(torch.cuda.memory_allocated(device))
    if device.type == "mps":
        return float(torch.mps.driver_allocated_memory())
    return float(psutil.Process().memory_info().rss)


def _free(training: Training) -> float:
    device = training.accelerator.device
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return float(psutil.virtual_memory().available)


def _line(points: list[tuple[int, float]], at: int) -> float:
    """The straight line through the last two points; one point is all there is to one size."""
    (x, y) = points[-1]
    if x == at:
        return y
    if len(points) == 1:
        return y * at / x
    (x0, y0) = points[-2]
    return y + max(0.0, y - y0) / (x - x0) * (at - x)


def _fitting(measured: list[Measured], part: int, free: float) -> int | None:
    """The largest power of two whose part of a batch fits into the free memory, if ``part`` does not fit."""
    points = [(m.num_items, m.peak_bytes) for m in measured]
    base = points[-1][1]
    if _line(points, part) - base <= free:
        return None
    size = points[-1][0]
    while 2 * size < part and _line(points, 2 * size) - base <= free:
        size *= 2
    return size


def _state_bytes(training: Training) -> float:
    """What a checkpoint holds: networks, optimizers, averaged weights."""
    networks = sum(_bytes(network.state_dict()) for network in training.stage.networks().values())
    states = [s for o in training.optimizers.values() for s in o.state_dict()["state"].values()]
    return networks + sum(map(_bytes, states)) + _bytes(dict(enumerate(training.average.shadow_params)))


def _bytes(tensors: dict[Any, Any]) -> float:
    return float(sum(t.numel() * t.element_size() for t in tensors.values() if isinstance(t, Tensor)))


def _cache_growth(items: Dataset[dict[str, Any]], num_draws: int) -> float:
    """How much decoded videos will still fill, where the items keep recent ones."""
    recent = getattr(items, "read", None)
    if not isinstance(recent, Recent) or not isinstance(items, Items):
        return 0.0
    sizes = [(r.num_frames or 0) * (r.height or 0) * (r.width or 0) for r in items.records]
    share = min(1.0, num_draws / len(sizes))
    return max(0.0, min(float(recent.max_bytes), share * sum(sizes)) - recent.num_bytes)
