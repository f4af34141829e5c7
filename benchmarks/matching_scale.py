"""Matching at 1 M references x 100 k candidates through an executor: seconds, memory, growth. Random embeddings.

    python benchmarks/matching_scale.py [--references 1000000] [--candidates 100000] [--dimensions 128] [--workers 2]

Whole, a quarter of the references and a quarter of the candidates, each through `--workers` processes; a sample of the
candidates is compared with the plain formula. Writes --out after each part.
"""

import argparse
import json
import math
import os
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import torch

from echosyn.pipeline.privacy_filter.parallel_matching import Matcher
from echosyn.pipeline.workers.executors import Processes
from echosyn.privacy import vectors
from echosyn.privacy.matching import standardized

CHECKED = 200
COPIES = 50
"""Candidates that are a reference, scaled and shifted: they must be found."""


def tables(folder: Path, num_references: int, num_candidates: int, dimensions: int) -> tuple[Path, Path]:
    """Random vectors, some candidates of which are copies, in files as workers read them."""
    draw = torch.Generator().manual_seed(0)
    references = torch.randn(num_references, dimensions, generator=draw)
    candidates = torch.randn(num_candidates, dimensions, generator=draw)
    copied = torch.linspace(0, num_references - 1, COPIES).long()
    candidates[:COPIES] = references[copied] * 2 + 1
    paths = folder / "candidates.safetensors", folder / "references.safetensors"
    vectors.write(paths[0], candidates)
    vectors.write(paths[1], references)
    return paths


def measured(folder: Path, num_references: int, num_candidates: int, dimensions: int, workers: int) -> dict[str, float]:
    """One matching."""
    candidates, references = tables(folder, num_references, num_candidates, dimensions)
    peak = [0.0]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(1.0):
            for child in psutil.Process().children(recursive=True):
                try:
                    peak[0] = max(peak[0], child.memory_full_info().uss / 1e6)
                except psutil.Error:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    with Processes(workers) as executor:
        started = time.perf_counter()
        found = Matcher(executor, folder).of_files(candidates, references, num_candidates, num_references)
        seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    stored = vectors.read(references)[0].rows
    chosen = torch.cat([torch.arange(COPIES), torch.linspace(COPIES, num_candidates - 1, CHECKED - COPIES).long()])
    queries = standardized(vectors.read(candidates)[0].rows[chosen])
    best, where = torch.full((CHECKED,), -2.0), torch.zeros(CHECKED, dtype=torch.int64)
    for start in range(0, num_references, 50_000):
        value, index = (queries @ standardized(stored[start : start + 50_000]).T).float().max(dim=1)
        where = torch.where(value > best, index + start, where)
        best = torch.maximum(best, value)
    return {
        "references": num_references,
        "candidates": num_candidates,
        "seconds": seconds,
        "pairs_per_second": num_references * num_candidates / seconds,
        "worker_peak_private_mb": peak[0],
        "copies_found": int((found.similarity[:COPIES] > 0.999999).sum()),
        "checked": CHECKED,
        "equal_to_formula": bool(
            torch.equal(found.similarity[chosen], best) and torch.equal(found.index[chosen], where)
        ),
    }


def main() -> None:
    """Measure, and write after each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--references", type=int, default=1_000_000)
    parser.add_argument("--candidates", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, default=128)
    parser.add_argument("--workers", type=int, default=2)
    default = Path(__file__).parent / "results" / "matching_scale.json"
    parser.add_argument("--out", type=Path, default=default, help="file of the figures")
    args = parser.parse_args()
    n, m = args.references, args.candidates
    results: dict[str, object] = {"dimensions": args.dimensions, "workers": args.workers, "cores": os.cpu_count()}
    rows: list[dict[str, float]] = []
    for references, candidates in ((n // 4, m), (n, m // 4), (n, m)):
        with TemporaryDirectory() as folder:
            rows.append(measured(Path(folder), references, candidates, args.dimensions, args.workers))
        results["runs"] = rows
        args.out.write_text(json.dumps(results, indent=2) + "\n")
        print(json.dumps(rows[-1]), flush=True)
    results["growth_exponent"] = {
        "references": math.log(rows[2]["seconds"] / rows[0]["seconds"], 4),
        "candidates": math.log(rows[2]["seconds"] / rows[1]["seconds"], 4),
    }
    args.out.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results["growth_exponent"]))


if __name__ == "__main__":
    main()
