"""What does a cluster cost against threads of this process, with as many workers? Prints JSON.

An item takes a second, most of which the worker sleeps, so that neither the other worker nor whatever else runs on the machine
counts: what is measured is the handing out. The seconds until a first item is back (Ray starts, workers import torch and load)
are told apart from the rest, as they do not grow with the work.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from echosyn import __version__
from echosyn.apps.ray.executor import Ray
from echosyn.pipeline.workers.executors import Executor, InProcess


@dataclass(frozen=True)
class Second:
    """Noise of an item, a second later; as large as a latent video."""

    seconds: float
    device: str = "cpu"

    def start(self) -> Callable[[int], bytes]:
        """See `echosyn.pipeline.workers.executors.Work`."""
        from echosyn import rng

        def run(item: int) -> bytes:
            end = time.monotonic() + self.seconds
            noise = rng.normal((4, 64, 14, 14), 0, "benchmark", range(item, item + 1)).numpy().tobytes()
            time.sleep(max(0.0, end - time.monotonic()))
            return noise

        return run


def measured(executor: Executor, items: int, seconds: float) -> dict[str, Any]:
    """Seconds to the first result and of the rest, and a hash of all."""
    began = time.monotonic()
    found, first = {}, None
    for item, result in executor.map([Second(seconds)], range(items)):
        first = first or time.monotonic() - began
        found[item] = result
    assert first
    content = hashlib.sha256(b"".join(found[i] for i in range(items))).hexdigest()
    return {"first_s": first, "rest_s": time.monotonic() - began - first, "results": content}


def main() -> None:
    """Print both and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    here = measured(InProcess(chosen.workers), chosen.items, chosen.seconds)
    began = time.monotonic()
    with Ray("local", workers=chosen.workers) as executor:
        joined = time.monotonic() - began
        there = measured(executor, chosen.items, chosen.seconds)
    found = {"echosyn": __version__, **vars(chosen), "in_process": here, "ray": {"join_s": joined, **there}}
    found |= {"overhead": there["rest_s"] / here["rest_s"] - 1, "equal": here["results"] == there["results"]}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
