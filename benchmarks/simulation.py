"""One large `generate` on many workers that die now and then, as a discrete event simulation. Prints JSON, can draw it.

    python benchmarks/simulation.py --picture docs/pictures/simulation.png > benchmarks/results/simulation.json

Nothing here ran on a cluster. Item times are drawn from those that `benchmarks/item_times.py` measured, with a log-normal tail;
everything else is an assumption, and all assumptions are in `Faults`, `TAIL`, `SLOW` and `SCENARIOS`.
"""

import argparse
import heapq
import json
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parent
Seconds = NDArray[np.float64]

TAIL = 0.3
"""Standard deviation of the logarithm by which an item's time is multiplied."""
SLOW = (0.01, 3.0)
"""Share of workers that are slow, and how many times as long they take."""
SHARDS = 10
"""Shards for each worker, where there are more shards than workers."""


@dataclass(frozen=True)
class Faults:
    """What goes wrong, at exponential intervals, and what it costs."""

    worker_per_h: float = 0.02
    driver_per_h: float = 0.005
    back_s: float = 300.0
    """Until a dead worker's node, or a dead driver with all its workers, is there again."""
    load_s: float = 20.0
    """Until a worker that begins has its models."""


@dataclass(frozen=True)
class Policy:
    """How work is handed out, and when it is safe."""

    name: str
    unit: int
    """Items that are handed out at a time."""
    durable: int
    """A death costs what was finished since the last multiple of so many items of a unit."""
    bound: bool = False
    """A unit stays with the worker that began it."""
    driven: bool = True
    """One process hands out the work: if it dies everybody stops, else every unit is a job of its own and loads models."""
    resumes: bool = True
    """After the driver's death finished units are kept."""


@dataclass
class Run:
    """What came of it, in seconds; of all workers together, but for ``end_s``."""

    end_s: float = math.inf
    busy_s: float = 0.0
    useful_s: float = 0.0
    loaded_s: float = 0.0
    """Loading that a run without deaths needs too."""
    deaths: int = 0
    driver_deaths: int = 0

    @property
    def wasted_s(self) -> float:
        """Computed in vain, or loaded anew."""
        return self.busy_s - self.useful_s - self.loaded_s


@dataclass
class Simulation:
    """Workers, units and events.

    A worker that waits for work does not die, as nothing would be lost with it.

    Args:
        items: seconds that each takes on an ordinary worker.
        slowness: of each worker, 1 is ordinary.
        policy: how work is handed out.
        faults: what goes wrong.
        rng: when it does.
    """

    items: Seconds
    slowness: Sequence[float]
    policy: Policy
    faults: Faults
    rng: np.random.Generator
    run: Run = field(default_factory=Run)

    def __post_init__(self) -> None:
        workers, count = len(self.slowness), len(self.items)
        self.cuts = [*range(0, count, self.policy.unit), count]
        self.sums = np.concatenate([[0.0], np.cumsum(self.items)])
        self._open_all()
        self.rngs = self.rng.spawn(workers + 1)  # a worker's fate does not depend on the policy
        self.dies_at = [self._life(w, self.faults.worker_per_h) for w in range(workers)]
        self.unit = [-1] * workers
        self.began = [0.0] * workers
        self.loads = [True] * workers
        self.epoch = [0] * workers
        """Events of an earlier epoch were overtaken by the driver's death."""
        self.idle: list[int] = []
        self.events: list[tuple[float, int, int, str]] = []

    def __call__(self) -> Run:
        """Until all is finished."""
        workers = range(len(self.slowness))
        self.run.loaded_s = self.faults.load_s * (len(workers) if self.policy.driven else len(self.queue))
        for w in workers:
            self._give(w, 0.0)
        if self.policy.driven:
            self._push(self._life(-1, self.faults.driver_per_h), -1, "driver")
        happens = {"end": self._ends, "death": self._dies, "back": self._returns, "driver": self._driver_dies}
        while self.left:
            time, w, epoch, what = heapq.heappop(self.events)
            if w < 0 or epoch == self.epoch[w]:
                happens[what](w, time)
        self.run.end_s = time
        return self.run

    def _open_all(self) -> None:
        self.left = len(self.cuts) - 1
        self.queue = deque(range(self.left))
        self.at = self.cuts[:-1].copy()
        """The first item of each unit that is not safe."""

    def _life(self, w: int, per_h: float) -> float:
        return float(self.rngs[w].exponential(3600 / per_h)) if per_h else math.inf

    def _push(self, time: float, w: int, what: str) -> None:
        if time < math.inf:
            heapq.heappush(self.events, (time, w, self.epoch[w] if w >= 0 else 0, what))

    def _give(self, w: int, time: float) -> None:
        """The next unit, or the one that it died of if that is bound to it."""
        if not (self.policy.bound and self.unit[w] >= 0):
            if not self.queue:
                self.unit[w] = -1
                self.idle.append(w)
                return
            self.unit[w] = self.queue.popleft()
        unit = self.unit[w]
        self.began[w] = time
        load = self.faults.load_s if self.loads[w] else 0.0
        end = time + load + float(self.sums[self.cuts[unit + 1]] - self.sums[self.at[unit]]) * self.slowness[w]
        self._push(*((end, w, "end") if end <= self.dies_at[w] else (self.dies_at[w], w, "death")))

    def _ends(self, w: int, time: float) -> None:
        unit = self.unit[w]
        self._count(w, time, self.cuts[unit + 1])
        self.loads[w] = not self.policy.driven
        self.unit[w] = -1
        self.left -= 1
        self._give(w, time)

    def _count(self, w: int, time: float, safe: int) -> None:
        """A worker's stretch of computing is over; its unit is safe up to an item."""
        unit = self.unit[w]
        self.run.busy_s += time - self.began[w]
        self.run.useful_s += float(self.sums[safe] - self.sums[self.at[unit]]) * self.slowness[w]
        self.at[unit] = safe

    def _stop(self, w: int, time: float) -> None:
        """A worker stops within its unit."""
        unit, load = self.unit[w], self.faults.load_s if self.loads[w] else 0.0
        computed = max(0.0, time - self.began[w] - load) / self.slowness[w]
        reached = int(np.searchsorted(self.sums, self.sums[self.at[unit]] + computed, side="right")) - 1
        safe = self.cuts[unit] + (reached - self.cuts[unit]) // self.policy.durable * self.policy.durable
        self._count(w, time, max(self.at[unit], min(safe, self.cuts[unit + 1])))
        self.loads[w] = True
        if not self.policy.bound:
            self.queue.appendleft(unit)
            self.unit[w] = -1

    def _dies(self, w: int, time: float) -> None:
        self.run.deaths += 1
        self._stop(w, time)
        self._push(time + self.faults.back_s, w, "back")
        if self.idle and self.queue:
            self._awake(time)

    def _awake(self, time: float) -> None:
        w = self.idle.pop()
        self.dies_at[w] = time + self._life(w, self.faults.worker_per_h)
        self._give(w, time)

    def _returns(self, w: int, time: float) -> None:
        self.dies_at[w] = time + self._life(w, self.faults.worker_per_h)
        self._give(w, time)

    def _driver_dies(self, _: int, time: float) -> None:
        self.run.driver_deaths += 1
        for w, unit in enumerate(self.unit):
            if unit >= 0:
                self._stop(w, time)
            self.epoch[w] += 1
            self.loads[w] = True
        if not self.policy.resumes:
            self._open_all()
            self.run.useful_s = 0.0
        self.idle.clear()
        for w in range(len(self.unit)):
            self._push(time + self.faults.back_s, w, "back")
        self._push(time + self.faults.back_s + self._life(-1, self.faults.driver_per_h), -1, "driver")


def policies(items: int, workers: int, batch: int) -> list[Policy]:
    """All that are compared.

    Args:
        items: of the job.
        workers: that do it.
        batch: items that a worker does at a time.
    """
    share = math.ceil(items / workers)
    whole = {"unit": share, "bound": True, "driven": False}
    found = [Policy("pull, every item durable (--ray)", batch, batch)]
    found += [Policy(f"pull, every {n:,} items", n, n) for n in (10, 100, 1000) if n > batch]
    found += [Policy("pull, every item durable, driver begins anew", batch, batch, resumes=False)]
    found += [Policy("static, every item durable (--shard)", durable=batch, **whole)]
    found += [Policy(f"static, every {n:,} items", durable=n, **whole) for n in (10, 100, 1000) if n > batch]
    found += [Policy("static, a shard begins anew", durable=share, **whole)]
    part = math.ceil(items / (workers * SHARDS))
    return [*found, Policy(f"{SHARDS} shards a worker, every item durable", part, batch, driven=False)]


@dataclass(frozen=True)
class Scenario:
    """A machine park and what it makes."""

    name: str
    workers: int
    batch: int
    seconds: Callable[[dict[str, Any]], Seconds]
    """Of an item, from the measured ones."""
    assumed: str
    items: int = 300_000


def _shipped(measured: dict[str, Any]) -> Seconds:
    return np.array(measured["animate_s"]) + float(np.mean(measured["invent_s_per_heart"]))


GPU_FACTOR = 20
"""ASSUMED: how many threads of the measured CPU one GPU is worth with the small models that ship. Not measured."""
GPU_FACTOR_PUBLISHED = 100
"""ASSUMED: the same with the published video model, which fills a GPU. Not measured."""


def _published(measured: dict[str, Any]) -> Seconds:
    one = json.loads((ROOT / "results" / "sampling.json").read_text())
    shape = np.array(measured["animate_s"]) / np.mean(measured["animate_s"])
    return shape * one["published_s"] * one["threads"] / GPU_FACTOR_PUBLISHED


SCENARIOS = (
    Scenario("64 CPU workers, models that ship", 64, 1, _shipped, "nothing: a worker is one thread as measured"),
    Scenario("16 GPUs, models that ship", 16, 8, lambda m: _shipped(m) / GPU_FACTOR, f"a GPU is {GPU_FACTOR} threads"),
    Scenario("16 GPUs, published model", 16, 8, _published, f"a GPU is {GPU_FACTOR_PUBLISHED} threads"),
)


def drawn(scenario: Scenario, measured: dict[str, Any], rng: np.random.Generator) -> tuple[Seconds, list[float]]:
    """Seconds of all items, and how slow each worker is."""
    times = rng.choice(scenario.seconds(measured), scenario.items) * rng.lognormal(0.0, TAIL, scenario.items)
    share, factor = SLOW
    return times, np.where(rng.random(scenario.workers) < share, factor, 1.0).tolist()


def simulated(scenario: Scenario, measured: dict[str, Any], runs: int, seed: int) -> dict[str, Any]:
    """All policies, each with the same items, workers and lives."""
    found: dict[str, list[Run]] = {}
    ideal = []
    for run in range(runs):
        items, slowness = drawn(scenario, measured, np.random.default_rng([seed, run, 0]))
        ideal.append(items.sum() / sum(1 / s for s in slowness))
        for policy in policies(scenario.items, scenario.workers, scenario.batch):
            lives = np.random.default_rng([seed, run, 1])
            found.setdefault(policy.name, []).append(Simulation(items, slowness, policy, Faults(), lives)())
    said = {"workers": scenario.workers, "items": scenario.items, "assumed": scenario.assumed, "runs": runs}
    said |= {"s_per_item": float(items.mean()), "ideal_h": float(np.mean(ideal)) / 3600}
    return said | {"policies": {name: summary(of) for name, of in found.items()}}


def summary(runs: Sequence[Run]) -> dict[str, float]:
    """Hours until the end, and shares."""
    ends = np.array([run.end_s for run in runs]) / 3600
    found = {"hours": ends.mean(), "hours_5": np.quantile(ends, 0.05), "hours_95": np.quantile(ends, 0.95)}
    found |= {"standard_error_h": ends.std(ddof=1) / math.sqrt(len(ends))}
    found |= {"wasted_worker_hours": np.mean([run.wasted_s for run in runs]) / 3600}
    found |= {"wasted_share": np.sum([run.wasted_s for run in runs]) / np.sum([run.busy_s for run in runs])}
    found |= {"deaths": np.mean([run.deaths for run in runs])}
    found |= {"driver_died_share": np.mean([run.driver_deaths > 0 for run in runs])}
    return {name: float(value) for name, value in found.items()}


def draw(found: dict[str, Any], path: Path) -> None:
    """Hours by policy, mean with 5..95 %."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(found), 1, figsize=(9, 8.4), layout="constrained")
    for axis, (name, said) in zip(axes, found.items(), strict=True):
        rows = list(said["policies"].items())[::-1]
        mean = np.array([row["hours"] for _, row in rows])
        spread = np.abs(np.array([[row["hours_5"], row["hours_95"]] for _, row in rows]).T - mean)
        for i, (policy, _) in enumerate(rows):
            colour = (
                "tab:blue" if policy.startswith("pull") else "tab:orange" if policy.startswith("st") else "tab:green"
            )
            axis.errorbar(mean[i], i, xerr=spread[:, i : i + 1], fmt="o", color=colour, capsize=3)
        axis.axvline(said["ideal_h"], color="grey", linestyle=":")
        axis.set_yticks(range(len(rows)), [policy for policy, _ in rows], fontsize=8)
        axis.set_title(f"{name} (dotted: nobody dies, none waits)", fontsize=10, loc="left")
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter("{x:,g}")
        axis.xaxis.set_minor_formatter("{x:,g}" if mean.max() < 10 * mean.min() else "")
        axis.tick_params(which="both", labelsize=8)
        axis.set_xlabel("hours until 300,000 videos: mean, 5 to 95 %", fontsize=9)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=Path, default=ROOT / "results" / "item_times.json", help="measured item times")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", type=Path, help="PNG to draw")
    chosen = parser.parse_args()
    measured = json.loads(chosen.times.read_text())
    found = {s.name: simulated(s, measured, chosen.runs, chosen.seed) for s in SCENARIOS}
    if chosen.picture:
        draw(found, chosen.picture)
    said = {"faults": asdict(Faults()), "tail": TAIL, "slow": SLOW, "seed": chosen.seed}
    print(json.dumps(said | {"scenarios": found}, indent=2))


if __name__ == "__main__":
    main()
