"""``echosyn generate --dry-run``: what many videos would take, from a few that are made here and thrown away."""

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from echosyn import device as devices
from echosyn.data.records import Record
from echosyn.pipeline.generate.animate import Heart, units
from echosyn.pipeline.generate.request import GenerateRequest
from echosyn.pipeline.generate.sample import BLOCK
from echosyn.pipeline.generate.tasks import ScreenVideos, block_of, prepare
from echosyn.pipeline.privacy_filter.real_videos import Reading

GB = 1e9
BATCHES = 2
"""Batches that are measured, after one that is not."""


def estimate(request: GenerateRequest, workers: int) -> dict[str, Any]:
    """Hours, disk and memory of a request on machines like this one.

    Hearts are invented without the filter and videos are read back but not compared: the matching itself is left out, see
    docs/scale.md for its cost. Work is counted as if it were spread evenly; other machines need a dry run of their own.
    """
    device = devices.resolve(request.device)
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if device.type == "cpu" else threads)
    try:
        with TemporaryDirectory() as folder:
            seconds, size = _measured(request, Path(folder), 1 if device.type == "cpu" else request.motion.batch_size)
    finally:
        torch.set_num_threads(threads)
    passing = 1 - request.rate if request.screened else 1.0  # of hearts, and again of videos
    each = seconds["invent"] / passing**2 + (seconds["animate"] + seconds["check"] + seconds["measure"]) / passing
    working = len(request.recordings()) * seconds["check"] + request.num * each
    on_gpu = {} if device.type == "cpu" else {"gpu_hours": (working - request.num * seconds["measure"]) / 3600}
    return {
        "videos": request.num,
        "workers": workers,
        "seconds_per_video": each,
        "of_which": {name: round(value, 4) for name, value in seconds.items()},
        "real_recordings": len(request.recordings()),
        "hours": (seconds["begin"] + working / workers) / 3600,
        "worker_hours": working / 3600,
        **on_gpu,
        "disk_gb": request.num * size / GB,
        "memory_per_worker_gb": _peak_bytes(device) / GB,
        "device": str(device),
    }


def _measured(request: GenerateRequest, folder: Path, batch: int) -> tuple[dict[str, float], float]:
    """Seconds for a video by what is done, and bytes on disk."""
    videos, working = prepare(folder)
    seconds = dict.fromkeys(("begin", "invent", "animate", "check", "measure"), 0.0)

    def timed(name: str, function: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = function()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds[name] += time.perf_counter() - started
        return result

    inventing, beating, _, measuring = request.works(videos, working)
    invent = timed("begin", replace(inventing, screens=None).start)
    beat = timed("begin", beating.start)
    unscreened = ScreenVideos(videos, None).start()
    measure = measuring.start() if measuring else None
    numbers = range(-(-(BATCHES + 1) * batch // BLOCK) * BLOCK)
    blocks = [tuple(numbers[i : i + BLOCK]) for i in range(0, len(numbers), BLOCK)]
    invent(block_of(len(blocks)))  # the first one is slower
    invented = [timed("invent", partial(invent, block)) for block in blocks]
    hearts = [Heart(n, still.file) for block in invented for n, still in block.items()]
    first, *others = units(hearts, min(batch, BLOCK))
    beat(first)
    for unit in others[:BATCHES]:
        done = timed("animate", partial(beat, unit))
        if measure:
            timed("measure", partial(measure, unscreened(done)))
    count = sum(map(len, others[:BATCHES]))
    for name in ("animate", "measure"):
        seconds[name] /= count
    seconds["invent"] /= len(numbers)
    reading, records = request.reading(), request.recordings()
    if request.screened and request.reference is None:  # nothing real is at hand: what was made here takes as long
        reading = Reading(request.folders["vae"], folder, None, request.device)
        records = [Record(path.stem) for path in sorted(videos.glob("*.avi"))]
    if reading is not None:
        read = timed("begin", reading.start)
        records = records[: BATCHES + 1]
        read((0, records[0]))
        for item in enumerate(records[1:], 1):
            timed("check", partial(read, item))
        seconds["check"] /= max(1, len(records) - 1)
    sizes = [path.stat().st_size for path in videos.glob("*.avi")]
    still = sum(path.stat().st_size for path in (working / "stills").iterdir()) / (len(numbers) + BLOCK)
    return seconds, sum(sizes) / len(sizes) + still


def _peak_bytes(device: torch.device) -> float:
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else peak * 1024)
