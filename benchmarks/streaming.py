"""Memory and CPU time of evaluating thousands of videos. Prints JSON.

    python benchmarks/streaming.py --videos 2000 --frames 64 --protocol echosyn-quick-v1 --folder build/streaming

Writes two sets of distinct videos (phantoms, each started at another frame, mirrored or not, brighter or darker), evaluates one
against the other and notes the resident memory at every tenth of the way. ``--crash-at 0.5`` stops half-way and starts again.
"""

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from echosyn import __version__
from echosyn.data import filelist, phantom, video
from echosyn.data.records import Record
from echosyn.pipeline.evaluate.fidelity import protocols
from echosyn.pipeline.evaluate.fidelity.fidelity import fidelity

PHANTOMS = 24
FPS = 32.0


class Stopped(Exception):  # noqa: N818
    """The run was stopped on purpose."""


class Memory:
    """Progress that notes the resident memory, and stops where it is told to."""

    def __init__(self, stop_at: float | None = None) -> None:
        self.process, self.seen, self.stop_at = psutil.Process(), {}, stop_at

    def __call__(self, what: str, done: int, total: int) -> None:
        """Note and perhaps stop."""
        megabytes = round(self.process.memory_info().rss / 2**20)
        tenth = f"{what}, {done * 10 // total * 10} %"
        self.seen[tenth] = max(megabytes, self.seen.get(tenth, 0))
        if self.stop_at is not None and done >= self.stop_at * total:
            raise Stopped


def write(folder: Path, count: int, frames: int, seed: int) -> None:
    """A dataset of held-out videos."""
    (folder / "Videos").mkdir(parents=True)
    base = [phantom.render(phantom.patient(seed, i, num_frames=128, fps=FPS)) for i in range(PHANTOMS)]
    records = []
    for i in range(count):
        draw = np.random.default_rng((seed, i))
        start, gain = draw.integers(128 - frames), draw.uniform(0.8, 1.2)
        levels = np.clip(np.arange(256) * gain, 0, 255).astype(np.uint8)
        clip = levels[base[i % PHANTOMS][start : start + frames, :, :: draw.choice([-1, 1])]]
        video.write_avi(folder / "Videos" / f"v{i:05d}.avi", clip, FPS, verify=False)
        records.append(Record(f"v{i:05d}", ef=50.0, fps=FPS, num_frames=frames, split="TEST"))
    filelist.write(folder, records)


def main() -> None:
    """Write, stream, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=200)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--protocol", default="echosyn-quick-v1")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--crash-at", type=float)
    arguments = parser.parse_args()
    sets = [arguments.folder / name for name in ("real", "synthetic")]
    for seed, folder in enumerate(sets):
        if not folder.exists():
            write(folder, arguments.videos, arguments.frames, seed)
    work, rules = arguments.folder / "features", protocols.load(arguments.protocol)
    shutil.rmtree(work, ignore_errors=True)
    started, memory, resumed = time.process_time(), Memory(arguments.crash_at), {}
    try:
        found = fidelity(sets[0], sets[1], work, rules, progress=memory)
    except Stopped:
        before = len(list(work.rglob("*.safetensors")))
        again = Memory()
        found = fidelity(sets[0], sets[1], work, rules, progress=again)
        resumed = {"chunks found again": before, "chunks in all": len(list(work.rglob("*.safetensors")))}
        memory.seen |= again.seen
    result: dict[str, Any] = {
        "benchmark": "streaming",
        "version": __version__,
        "data": f"{arguments.videos} against {arguments.videos} videos of {arguments.frames} frames, 112x112",
        "protocol": arguments.protocol,
        "cpu_seconds": round(time.process_time() - started, 1),
        "resident_mb": memory.seen,
        "features_mb_on_disk": round(sum(f.stat().st_size for f in work.rglob("*.safetensors")) / 2**20, 1),
        "values": {key: shown["value"] for key, shown in found["numbers"].items()},
    } | ({"resumed": resumed} if resumed else {})
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
