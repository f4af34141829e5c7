"""What sharing out `generate` costs and brings: this process, processes, Ray, one and two nodes; memory over many items.

    python benchmarks/scaling.py WORK [--num 300] [--items 1000]

``--items 0`` leaves the memory out and keeps what an earlier run found of it.

Every run is a command of its own, timed from outside, so beginning is counted; the machine should be idle. A node of one core
is held to it by its affinity. WORK is a new folder. Writes --out after each part.
"""

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import cluster as clusters

SAMPLE_S = 2.0


def digest(folder: Path) -> str:
    """SHA-256 over the names and bytes of all files."""
    found = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        found.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return found.hexdigest()


def command(out: Path, num: int, frames: int, how: Sequence[str]) -> list[str]:
    """A `generate` that says nothing."""
    words = ["generate", str(out), "--num", str(num), "--frames", str(frames), "--quiet"]
    return [sys.executable, "-m", "echosyn", *words, *how]


def generate(out: Path, num: int, frames: int, how: Sequence[str], cores: Sequence[int] | None = None) -> float:
    """Seconds of a whole command."""
    started = time.perf_counter()
    process = subprocess.Popen(command(out, num, frames, how), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if cores is not None:
        os.sched_setaffinity(process.pid, cores)
    if process.wait():
        raise RuntimeError(f"{how}: exit code {process.returncode}")
    return time.perf_counter() - started


@contextmanager
def nodes(cores: Sequence[Sequence[int]]) -> Iterator[clusters.Cluster]:
    """A cluster whose nodes are held to some cores each."""
    with clusters.cluster(0) as made:
        before = os.sched_getaffinity(0)
        for own in cores:
            os.sched_setaffinity(0, own)  # children inherit it
            made.join(cpus=len(own))
            os.sched_setaffinity(0, before)
        yield made


def memory(out: Path, num: int, how: Sequence[str], is_worker: str) -> list[dict[str, float]]:
    """Resident memory of the workers, in MB, by how many videos were there."""
    process = psutil.Popen(command(out, num, 32, how), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found: list[dict[str, float]] = []

    def watch() -> None:
        videos = out.with_name(out.name + ".partial") / "Videos"
        while process.poll() is None:
            count = len(list(videos.iterdir())) if videos.is_dir() else 0
            sizes = []
            for child in psutil.process_iter(["cmdline", "memory_info"]):
                if child.info["cmdline"] and is_worker in " ".join(child.info["cmdline"]):
                    sizes.append(child.info["memory_info"].rss / 1e6)
            if count and sizes:
                found.append({"videos": count, "largest_mb": max(sizes), "workers": len(sizes)})
            time.sleep(SAMPLE_S)

    watcher = threading.Thread(target=watch)
    watcher.start()
    watcher.join()
    if process.wait():
        raise RuntimeError(f"{how}: exit code {process.returncode}")
    return found


def flatness(samples: Sequence[dict[str, float]]) -> dict[str, float]:
    """Largest worker after a tenth, a half and all of the items."""
    last = samples[-1]["videos"]
    at = {part: next(s for s in samples if s["videos"] >= part * last) for part in (0.1, 0.5, 0.98)}
    found = {f"mb_at_{part:.0%}": round(sample["largest_mb"]) for part, sample in at.items()}
    return found | {"growth": at[0.98]["largest_mb"] / at[0.1]["largest_mb"] - 1, "samples": len(samples)}


def main() -> None:
    """Run everything and write the results after each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--num", type=int, default=300)
    parser.add_argument("--items", type=int, default=1000)
    default = Path(__file__).parent / "results" / "scaling.json"
    parser.add_argument("--out", type=Path, default=default, help="file of the figures")
    args = parser.parse_args()
    args.work.mkdir(parents=True)
    results: dict[str, object] = {"machine": f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}"}
    results |= {"videos": args.num, "frames": 192, "load_before": os.getloadavg()[0]}
    earlier = json.loads(args.out.read_text()) if args.out.exists() else {}
    results["memory"] = earlier.get("memory", {})
    seconds: dict[str, float] = {}
    hashes: dict[str, str] = {}

    def timed(name: str, how: Sequence[str]) -> None:
        out = args.work / name.replace(" ", "-")
        seconds[name] = generate(out, args.num, 192, how)
        hashes[name] = digest(out)
        results.update(seconds=seconds, equal=len(set(hashes.values())) == 1)
        args.out.write_text(json.dumps(results, indent=2) + "\n")
        sys.stdout.write(f"{name}: {seconds[name]:.1f} s\n")
        sys.stdout.flush()

    timed("in process", [])
    timed("two processes", ["--workers", "2"])
    timed("ray local", ["--ray", "local"])
    with nodes([[0]]) as one:
        timed("one node of one core", ["--ray", one.address])
    with nodes([[0], [1]]) as two:
        timed("two nodes of one core", ["--ray", two.address])
        if args.items:
            ray = memory(args.work / "memory-ray", args.items, ["--ray", two.address], "ray::Worker")
    if args.items:
        processes = memory(args.work / "memory-processes", args.items, ["--workers", "2"], "spawn_main")
        results["memory"] = {"ray": flatness(ray), "processes": flatness(processes)}
    base = seconds["in process"]
    results["overhead"] = {name: seconds[name] / base - 1 for name in ("two processes", "ray local")}
    results["two_nodes_over_one"] = seconds["one node of one core"] / seconds["two nodes of one core"]
    args.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
