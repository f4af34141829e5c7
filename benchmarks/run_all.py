"""Runs the benchmarks one after the other; what each finds is OUT/NAME.json, with the day, the machine and the command.

    python benchmarks/run_all.py                     all, at the smallest size that goes through: do they still run?
    python benchmarks/run_all.py --list              what would run, with which arguments, and what is left out
    python benchmarks/run_all.py --size full --out benchmarks/results sampling privacy
                                                     as docs/benchmarks.md quotes them (hours); then `make fmt` makes the page

Figures of the small size mean nothing. A stopped run goes on with the benchmarks whose file is not there; --anew begins anew.
"""

import argparse
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import echosyn

HERE = Path(__file__).parent
SHIPPED = Path(echosyn.__file__).parent / "models"
Size = Literal["small", "full"]


class Benchmark(NamedTuple):
    """How a script is called.

    ``WORK`` is a folder of its own, ``FILE`` the file of its figures, if it writes that itself, ``SHIPPED`` the models of the
    package.
    """

    small: str = ""
    full: str | None = ""
    """None: what `docs/benchmarks.md` and the other pages quote was measured in another way."""
    before: Mapping[str, str] = {}
    """What the script needs, and the command line of echosyn that makes it; ``NUM`` is `num` of the size."""
    num: Mapping[Size, int] = {"small": 12}
    section: str = ""
    """Of the file, where that has several."""
    outside: str = ""
    """Material that nobody can make, so that the script is left out."""
    gpu: bool = False
    """Whether the full size needs one."""


PHANTOMS = "phantom WORK/phantoms --num NUM --view both --fps 32 --quiet --seed 1"
TABLE: Mapping[str, Benchmark] = {
    "archive_size": Benchmark(
        "--rows 1000 --files 200 --videos 2 --patients 20 --audited 20 --archives 40 --held-out 10"
    ),
    "area_accuracy": Benchmark("--num 3"),
    "audit_time": Benchmark("WORK --real 20 --synthetic 3 --canaries 1", "WORK"),
    "cpu_paths": Benchmark("--tries 1 --json", "--json"),
    "deidentification": Benchmark("--num 2 --frames 8", "--num 32"),
    "designs": Benchmark(
        "WORK/latents --minutes 0.05 --num 4 --designs ModeUNet",
        None,
        {
            "WORK/phantoms": f"{PHANTOMS} --frames 64",
            "WORK/latents": "encode WORK/phantoms WORK/latents --vae SHIPPED/vae --courses --quiet",
        },
        {"small": 40},
    ),
    "ef_adherence": Benchmark("--num 4 --frames 64", "--num 200 --seed 9100"),
    "exact_tests": Benchmark("--repetitions 5 --power 2 --coverage 5", "--repetitions 10000 --power 1000"),
    "executors": Benchmark("--items 4 --seconds 0.1"),
    "gauges": Benchmark("--patients 8 --protocol echosyn-quick-v3", "--patients 120 --seed 9300"),
    "gpu": Benchmark("--device cpu --quick --check", "--check", gpu=True),
    "item_times": Benchmark("--num 2 --frames 64"),
    "jpeg_effect": Benchmark("--patients 4"),
    "labels": Benchmark("--num 3", "--num 40"),
    "latent_sizes": Benchmark("WORK --train 8 --minutes 0.02 --num 4 --videos 4 --networks '4 x 14 x 14'", "WORK"),
    "matching": Benchmark("--quick"),
    "matching_scale": Benchmark("--references 4000 --candidates 400 --out FILE", "--out FILE"),
    "memorisers": Benchmark(
        "WORK --train 16 --held-out 8 --strangers 110 --repetitions 1 --innocents 1 --sizes 4", "WORK --innocents 40"
    ),
    "near_copies": Benchmark(outside="recordings of patients, and what a generator made of a frame of each"),
    "outlines": Benchmark(
        "WORK/outline --phantoms 2",
        None,
        {
            "WORK/phantoms": f"{PHANTOMS} --frames 64",
            "WORK/outline": "train outline WORK/phantoms WORK/outline --preset phantom --set loop.steps=2 --quiet",
        },
    ),
    "page": Benchmark("--videos 1 --requests 4 --clients 2"),
    "privacy": Benchmark(
        "WORK --train 24 --held-out 20 --strangers 10 --num 4 --canaries 1 --memorise-steps 4",
        "WORK --canaries 73 --train 300 --held-out 100 --strangers 150",
    ),
    "published_quality": Benchmark(
        "WORK --hearts 1 --efs 6 --held-out 4 --steps 2", "WORK --steps 1300 --ways '64 ddpm, cut' '8 dpm++, alternate'"
    ),
    "real_clips": Benchmark(outside="recordings of at least four patients"),
    "rivals": Benchmark(
        "WORK --num 4 --train 6 --held-out 4 --minutes 0.02 --steps 1 --canaries 1 --json FILE", "WORK --json FILE"
    ),
    "sampling": Benchmark("--quick --json", "--json"),
    "scaling": Benchmark("WORK/sets --num 4 --items 0 --out FILE", "WORK/sets --out FILE"),
    "shipped_models": Benchmark("--num 6"),
    "simulation": Benchmark("--runs 2"),
    "small_archive": Benchmark(outside="recordings of some dozens of patients"),
    "streaming": Benchmark("--videos 6 --folder WORK", "--videos 2000 --folder WORK --crash-at 0.5"),
    "texture": Benchmark("--num 4 --frames 16"),
    "utility": Benchmark(
        "WORK/phantoms WORK/sets --num 12 --seeds 1 --arms real synthetic 'synthetic, EF as real' --set loop.steps=2",
        "WORK/phantoms WORK/sets --num 480 --seeds 3 --arms real synthetic 'synthetic, EF as real'",
        {"WORK/phantoms": f"{PHANTOMS} --frames 128"},
        {"small": 60, "full": 2000},
        section="with texture, preset settings",
    ),
}


def script(name: str) -> Path:
    """Where it lies."""
    return HERE / "rivals" / "table.py" if name == "rivals" else HERE / f"{name}.py"


def called(benchmark: Benchmark, size: Size) -> str:
    """The script's arguments, with placeholders."""
    arguments = benchmark.small if size == "small" else benchmark.full
    assert arguments is not None
    return arguments


def left_out(benchmark: Benchmark, size: Size) -> str:
    """Why it does not run; empty if it does."""
    if benchmark.outside:
        return f"needs {benchmark.outside}"
    if size == "small":
        return ""
    if benchmark.full is None:
        return "was measured on the way of making the models: docs/models.md says how"
    if benchmark.gpu:
        import torch

        return "" if torch.cuda.is_available() else "needs a GPU"
    return ""


def words(line: str, places: Mapping[str, object]) -> list[str]:
    """A line as arguments, its placeholders filled in."""
    found = []
    for word in shlex.split(line):
        first, slash, rest = word.partition("/")
        found.append(f"{places.get(first, first)}{slash}{rest}")
    return found


def figures(printed: str, file: Path) -> Any:
    """What a script found: its own file, or what it printed, or the last line of that."""
    if file.is_file():
        return json.loads(file.read_text())
    try:
        return json.loads(printed)
    except json.JSONDecodeError:
        return json.loads(printed.strip().splitlines()[-1])


def measured(name: str, size: Size, work: Path) -> dict[str, Any]:
    """Run one; its figures, with the day, the machine and the command.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    benchmark, arguments, file = TABLE[name], called(TABLE[name], size), work / "figures.json"
    work.mkdir(parents=True, exist_ok=True)
    places = {"WORK": work, "FILE": file, "NUM": benchmark.num.get(size, ""), "SHIPPED": SHIPPED}
    for made, line in benchmark.before.items():
        if not Path(*words(made, places)).exists():
            subprocess.run(
                [sys.executable, "-m", "echosyn", *words(line, places)], check=True, stdout=subprocess.DEVNULL
            )
    command = [sys.executable, str(script(name)), *words(arguments, places)]
    found = figures(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout, file)
    where = script(name).relative_to(HERE.parent)
    said = {
        "command": f"python {where} {arguments}".strip(),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}",
    }
    return said | found


def write(name: str, found: Mapping[str, Any], file: Path) -> None:
    """Write the file, or the section of it that this is."""
    section = TABLE[name].section
    if section:
        whole = json.loads(file.read_text()) if file.is_file() else {}
        found = {**whole, section: found}
    file.write_text(json.dumps(found, indent=1) + "\n")


def main(given: Sequence[str] | None = None) -> None:
    """Run them, and say of each how long it took or why it did not run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    parser.add_argument("--size", choices=("small", "full"), default="small")
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    parser.add_argument("--anew", action="store_true", help="run also what has a file")
    parser.add_argument("--list", action="store_true", help="run nothing")
    asked = parser.parse_args(given)
    if unknown := set(asked.names) - TABLE.keys():
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(TABLE)}")
    size: Size = asked.size
    failed = []
    for name in asked.names or TABLE:
        why, file = left_out(TABLE[name], size), asked.out / f"{name}.json"
        if why:
            print(f"{name}: left out, {why}", flush=True)
            continue
        if asked.list:
            print(f"{name}: {called(TABLE[name], size)}".rstrip())
            continue
        if size == "small" and file.is_file() and not asked.anew:
            print(f"{name}: there already, {file}", flush=True)
            continue
        asked.out.mkdir(parents=True, exist_ok=True)
        work = Path("build/bench-work") / size / name
        if size == "small":
            shutil.rmtree(work, ignore_errors=True)
        started = time.monotonic()
        try:
            write(name, measured(name, size, work), file)
        except (subprocess.CalledProcessError, ValueError, IndexError) as error:
            failed.append(name)
            print(f"{name}: failed, {error}", flush=True)
            continue
        print(f"{name}: {time.monotonic() - started:.0f} s, {file}", flush=True)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
