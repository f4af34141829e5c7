"""Time and memory of exact matching beside the published way: prints one JSON object.

    OMP_NUM_THREADS=2 python benchmarks/matching.py --plot growth.png

The published way correlates references and a block of candidates all with all (``corrcoef`` of their union) to read one
corner of the matrix: its cost grows with the square of the references. Times are CPU seconds of the process (all threads),
memory is what the peak resident set rose by; every measurement runs in a process of its own, growth takes the fastest of three.
"""

import argparse
import json
import multiprocessing
import resource
import time
from pathlib import Path

import numpy as np
import torch

from echosyn.privacy.matching import nearest

SIZE = 128
FULL = (10_000, 100_000)
QUERIES = (2000, 4000, 8000, 16_000)
REFERENCES = (25_000, 50_000, 100_000, 200_000)
PUBLISHED = (2000, 4000, 8000, 16_000)
TRIES = 3


def ours(num_queries: int, num_references: int) -> None:
    """Blocked top-1."""
    generator = torch.Generator().manual_seed(0)
    found = nearest(
        torch.randn(num_queries, SIZE, generator=generator), torch.randn(num_references, SIZE, generator=generator)
    )
    assert len(found.index) == num_queries


def published(num_queries: int, num_references: int) -> None:
    """The full correlation matrix of references and candidates, then its corner's maxima."""
    draws = np.random.default_rng(0)
    both = np.concatenate([draws.normal(size=(n, SIZE)).astype(np.float32) for n in (num_references, num_queries)])
    corner = np.corrcoef(both)[num_references:, :num_references]
    assert corner.max(axis=1).shape == (num_queries,)


def _child(way, num_queries, num_references, answer) -> None:
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    cpu = time.process_time()
    way(num_queries, num_references)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer.put(
        {
            "queries": num_queries,
            "references": num_references,
            "cpu_s": round(time.process_time() - cpu, 2),
            "wall_s": round(time.perf_counter() - started, 2),
            "memory_mb": round((peak - before) / 1024),
        }
    )


def fastest(way, num_queries: int, num_references: int) -> dict[str, float]:
    """The least disturbed of a few tries."""
    return min((measured(way, num_queries, num_references) for _ in range(TRIES)), key=lambda row: row["cpu_s"])


def measured(way, num_queries: int, num_references: int) -> dict[str, float]:
    """Cost of one way at one size, in a process of its own."""
    context = multiprocessing.get_context("fork")  # the imports are paid once
    answer = context.Queue()
    process = context.Process(target=_child, args=(way, num_queries, num_references, answer))
    process.start()
    result = answer.get()
    process.join()
    return result


def slope(rows: list[dict[str, float]], side: str) -> float:
    """Exponent of growth: 1 is linear, 2 is square."""
    return float(np.polyfit(np.log([r[side] for r in rows]), np.log([r["cpu_s"] for r in rows]), 1)[0])


def plot(found, path: Path) -> None:
    """CPU seconds over each side, logarithmic."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 3.4), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2)
    shown = (
        (
            "references",
            (("by_references", "blocked top-1, 2,000 queries"), ("published", "full matrix, 1,000 queries")),
        ),
        ("queries", (("by_queries", "blocked top-1, 25,000 references"),)),
    )
    for ax, (side, lines) in zip(axes, shown, strict=True):
        for (name, label), colour in zip(lines, ("#0072B2", "#D55E00"), strict=False):
            rows = found[name]
            ax.loglog([r[side] for r in rows], [r["cpu_s"] for r in rows], "o-", color=colour, label=label)
        ax.set(xlabel=side.capitalize(), ylabel="CPU seconds")
        ax.grid(color="#e6ecef", which="both")
        ax.legend(fontsize=8, edgecolor="none")
    figure.savefig(path, metadata={"Software": None})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", type=Path, help="PNG to write")
    parser.add_argument("--quick", action="store_true", help="without the full size")
    args = parser.parse_args()
    found = {
        "by_references": [fastest(ours, 2000, n) for n in REFERENCES],
        "by_queries": [fastest(ours, n, 25_000) for n in QUERIES],
        "published": [fastest(published, 1000, n) for n in PUBLISHED],
    }
    growth = {
        "by_references": slope(found["by_references"], "references"),
        "by_queries": slope(found["by_queries"], "queries"),
        "published_by_references": slope(found["published"], "references"),
    }
    full = None if args.quick else measured(ours, *FULL)
    print(json.dumps({"dimensions": SIZE, "threads": torch.get_num_threads(), "full": full, "growth": growth, **found}))
    if args.plot:
        plot(found, args.plot)


if __name__ == "__main__":
    main()
