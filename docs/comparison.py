"""The table of docs/benchmarks.md, from benchmarks/results/*.json and the pages that state figures.

A cell is what one run found; where nothing was run it says so. A page's sentence that no longer reads as it did is an error.
`python docs/comparison.py FOLDER` prints the page of the result files in another folder, such as build/bench; what is not there
is taken from benchmarks/results.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
DOCS_PAGE = ROOT / "docs" / "benchmarks.md"
NOT_RUN = "not run"

PAGE = """\
# Benchmarks

<!-- Made by docs/generate.py from benchmarks/results and the pages named below: do not edit. -->

What was measured of the published procedure, of this package, and of simple rivals, in one table. Everything was measured on
phantoms; no figure says how good a set of a hospital's patients will be. The letter of a cell names its run, below the table;
"not run" means that nobody has run it. In brackets are 95 % intervals. Figures of different runs were measured on different sets:
compare within a letter.

{table}

- **Published procedure**: EchoNet-Synthetic's networks and rules of sampling. No trained model of that size was at hand: its
  speed is that of random weights, extrapolated from one step, and its EF that of a small network of the same class.
- **Same weights, fast settings**: the same networks with `--scheduler dpm++ --steps 8 --blend alternate`
  ([sampling](sampling.md)).
- **Models that ship**: the compact family ([models](models.md)), with texture in runs {textured}, without it in {untextured}.
- **Phantoms of other patients** are the perfect set; *noisy copies*, *linear motion* and *zoomed stills* are three simple
  generators ([bring your own](bring-your-own.md#measured-do-the-gauges-tell-bad-sets-and-why)). With more canaries the perfect
  set's audit passes.

AUC is that of a linear classifier between a set and real videos: at 0.5 it cannot tell them. "Too close" is the share of videos
closer to a TRAIN patient than 95 % of strangers are, so 0.05 is chance.

## Runs

{runs}

`make bench` runs every benchmark at its smallest size, to see that it still runs (`python benchmarks/run_all.py --list` says with
which arguments, and which need material that nobody can make); its figures, in `build/bench`, mean nothing. Those of this page
take hours: `make bench SIZE=full RESULTS=benchmarks/results NAMES="sampling privacy"`, then `make fmt` writes the page. On a
machine with a GPU, `NAMES=gpu` fills the two rows for GPUs.
"""


Results = Callable[[str], Any]
"""By the name of a benchmark, what its file says; nothing without one."""
UTILITY = "with texture, preset settings"
"""Section of the utility's file."""


class Run(NamedTuple):
    """One call of a benchmark."""

    command: str
    date: str
    machine: str
    source: str
    """Path of the result file, or of the page that states it."""


class Cell(NamedTuple):
    """A figure of a run."""

    text: str
    run: str


def result(name: str, folder: Path = RESULTS) -> Any:
    """A result file; nothing if the benchmark was never run."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def page(result: Results = result) -> str:
    """The page of some results."""
    runs = _runs(result)
    letters = {name: chr(ord("a") + i) for i, name in enumerate(runs)}
    lines = [f"| | {' | '.join(COLUMNS)} |", f"|{' --- |' * (len(COLUMNS) + 1)}"]
    for title, cells in _rows(result):
        shown = [f"{c.text} ({letters[c.run]})" if (c := cells.get(column)) else NOT_RUN for column in COLUMNS]
        lines.append(f"| {title} | {' | '.join(shown)} |")
    below = ["| | command | date | machine | figures in |", "| --- | --- | --- | --- | --- |"]
    for name, run in runs.items():
        below.append(f"| {letters[name]} | `{run.command}` | {run.date} | {run.machine} | {run.source} |")
    named = {
        "textured": ", ".join(letters[name] for name in ("utility", "texture", "looks")),
        "untextured": ", ".join(letters[name] for name in ("sampling", "privacy")),
    }
    return PAGE.format(table="\n".join(lines), runs="\n".join(below), **named)


PUBLISHED, SAME, OURS = "published procedure", "same weights, fast settings", "models that ship"
RIVALS = ("phantoms of other patients", "noisy copies", "linear motion", "zoomed stills")
COLUMNS = (PUBLISHED, SAME, OURS, *RIVALS)
Row = tuple[str, Mapping[str, Cell]]


def stated(name: str, pattern: str) -> tuple[str, ...]:
    """What a page states: the groups of a pattern that it has once."""
    text = " ".join((ROOT / "docs" / name).read_text().split())
    found = re.findall(pattern, text)
    if len(found) != 1:
        raise SystemExit(f"docs/{name}: states {len(found)} times what docs/comparison.py looks for: {pattern}")
    return found[0] if isinstance(found[0], tuple) else (found[0],)


def _runs(result: Results) -> dict[str, Run]:
    names = ("sampling", "published_quality", "utility", "privacy", "rivals", "gpu")
    files = {name: found[UTILITY] if name == "utility" else found for name in names if (found := result(name))}
    runs = {
        name: Run(found["command"], found["date"], found["machine"], f"`benchmarks/results/{name}.json`")
        for name, found in files.items()
    }
    two = "2 cores, no GPU"
    adherence = "python benchmarks/ef_adherence.py --num 200 --seed 9100"
    runs["texture"] = Run(adherence, "2026-11-28", two, "[models](models.md#ef-adherence-without-a-network)")
    runs["looks"] = Run("echosyn evaluate SYNTHETIC REAL OUT", "2026-11-28", two, "[models](models.md)")
    runs["sizes"] = Run(
        "python docs/generate.py", "with this page", "any", "[concepts](concepts.md), [models](models.md)"
    )
    return runs


def _rows(result: Results) -> Sequence[Row]:
    parts = (_speed, _adherence, _utility, _realism, _privacy)
    return [*_size(), *(row for part in parts for row in part(result))]


def _size() -> list[Row]:
    (theirs,) = stated("concepts.md", r"`UNetSpatioTemporalConditionModel`, (\d+ M) \|")
    (ours,) = stated("models.md", r"\| `lvdm` \| animates a still, both views \| ([\d.]+ M) \|")
    sizes = {PUBLISHED: Cell(theirs, "sizes"), SAME: Cell(theirs, "sizes"), OURS: Cell(ours, "sizes")}
    return [("size: parameters of the video network", sizes)]


def _speed(result: Results) -> list[Row]:
    cpu, gpu = result("sampling"), result("gpu")
    seconds = {PUBLISHED: "published_s", SAME: "same_weights_s", OURS: "fast_s"}
    peak = cpu["peak_mb"] | {"fast": max(cpu["peak_mb"]["fast"].values())}
    memory = {PUBLISHED: "published", SAME: "same_weights", OURS: "fast"}
    rows: list[Row] = [
        (
            "speed: seconds a video of 192 frames, 2 CPU cores",
            {
                column: Cell(f"{cpu[key]:.3g}" if cpu[key] < 100 else f"{cpu[key]:.0f}", "sampling")
                for column, key in seconds.items()
            },
        ),
        (
            "speed: most memory, 2 CPU cores",
            {column: Cell(f"{peak[key] / 1024:.1f} GiB", "sampling") for column, key in memory.items()},
        ),
    ]
    for title, part, precision in (
        ("a video of 192 frames, float32", "video", "fp32"),
        ("a training step, bfloat16", "training step", "bf16"),
    ):
        families = {PUBLISHED: "published", OURS: "fast"} if gpu else {}
        cells = {
            column: Cell(f"{gpu[family][precision][part]['seconds']:.3g}", "gpu") for column, family in families.items()
        }
        rows.append((f"speed: seconds {title}, one GPU", cells))
    return rows


def _adherence(result: Results) -> list[Row]:
    small, rivals = result("published_quality"), result("rivals")["gauges"]
    ways = {PUBLISHED: "64 ddpm, cut", SAME: "8 dpm++, alternate"}
    number = r"(-?[\d.]+) \[(-?[\d.]+), (-?[\d.]+)\]"
    pattern = rf"\*\*generated, with texture, 64 frames\*\*: all \| 200 \| {number} \| {number} \|"
    said = stated("models.md", pattern)
    ours = {"r2": said[:3], "mae": said[3:]}
    r2, mae = (
        {column: Cell(_interval(small[way]["ef"][key], digits), "published_quality") for column, way in ways.items()}
        | {OURS: Cell("{} [{}, {}]".format(*ours[key]), "texture")}
        for key, digits in (("r2", 3), ("mae", 1))
    )
    mae |= {name: Cell(_interval(rivals[name]["EF by area, MAE"], 1), "rivals") for name in RIVALS}
    return [("EF adherence, by tracking: R2", r2), ("EF adherence, by tracking: MAE, points", mae)]


def _utility(result: Results) -> list[Row]:
    rows = {row["name"]: row for row in result("utility")[UTILITY]["rows"]}
    both = {OURS: Cell(_interval(rows["synthetic"]["ratio"], 3), "utility")}
    drawn = {OURS: Cell(_interval(rows["synthetic, EF as real"]["ratio"], 3), "utility")}
    return [
        ("utility: R2 over that of real videos, 400 videos", both),
        ("the same, EFs drawn as in the real set", drawn),
        ("utility: R2, 40 videos", _rivals(result, "utility R2", 2)),
    ]


def _realism(result: Results) -> list[Row]:
    number = r"([\d.]+) \(([\d.]+) to ([\d.]+)\)"
    said = stated(
        "models.md",
        rf"AUC {number} by spectrum, {number} by speckle, {number} by EfficientNet-Lite0, {number} by speckle in time",
    )
    ours = {"spectrum": said[0:3], "speckle": said[3:6], "motion of speckle": said[9:12]}
    rows: list[Row] = [
        (
            f"realism: AUC, {name}",
            {OURS: Cell("{} [{}, {}]".format(*ours[name]), "looks")} | _rivals(result, f"AUC {name}", 2),
        )
        for name in ours
    ]
    rows += [(f"realism: {name}", _rivals(result, name, None)) for name in ("Fréchet, radiomics", "Fréchet, motion")]
    return [*rows, ("realism: videos that fail a check of physiology", _rivals(result, "physiology", 2))]


def _privacy(result: Results) -> list[Row]:
    found = result("privacy")
    said, strangers = found["own"]["said"], found["strangers"]
    close = {OURS: Cell(f"{said['videos too close']} of {said['videos']}", "privacy")} | _rivals(
        result, "too close", None
    )
    rejected = {
        PUBLISHED: Cell(_interval(strangers["published"], 2), "privacy"),
        OURS: Cell(_interval(strangers["videos"], 2), "privacy"),
    }
    best = {
        side: {OURS: Cell(_interval(max(aucs, key=lambda auc: auc["value"]), 2), "privacy")}
        for side in ("videos", "weights")
        if (aucs := [attack["auc"] for attack in found["own"]["attacks"] if attack["needs"] == side])
    }
    release = {
        name: Cell(each["left"].partition(":")[0], "rivals") for name, each in result("rivals")["release"].items()
    }
    return [
        ("privacy: too close to a patient", close),
        ("privacy: strangers that the filter rejects, 5 % asked for", rejected),
        (
            "privacy: AUC of the best membership attack on the videos",
            best["videos"] | _rivals(result, "membership AUC", 2),
        ),
        ("privacy: AUC of the best membership attack on the weights", best["weights"]),
        ("privacy: audit, after `withdraw`", {OURS: Cell(found["own"]["verdict"], "privacy")} | release),
    ]


def _rivals(result: Results, gauge: str, digits: int | None) -> dict[str, Cell]:
    found = result("rivals")["gauges"]
    return {name: Cell(_interval(found[name][gauge], digits), "rivals") for name in RIVALS}


def _interval(found: Mapping[str, Any], digits: int | None) -> str:
    """Value and interval with so many digits after the point, or with three in all."""
    if None in (found["value"], found["low"], found["high"]):
        return "too few to say"
    value, low, high = (
        f"{found[k]:.3g}" if digits is None else f"{found[k]:.{digits}f}" for k in ("value", "low", "high")
    )
    return f"{value} [{low}, {high}]"


if __name__ == "__main__":
    chosen = Path(sys.argv[1])
    there = partial(result, folder=chosen)
    text = page(lambda name: there(name) or result(name))
    for file in chosen.glob("*.json"):
        text = text.replace(f"benchmarks/results/{file.name}", file.as_posix())
    sys.stdout.write(text)
