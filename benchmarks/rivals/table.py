"""Do the gauges tell bad sets of other software from a perfect one, and say why? Prints a Markdown table.

    OMP_NUM_THREADS=1 python benchmarks/rivals/table.py WORK --json FILE

Phantoms are the recordings; the sets are those of the rivals beside this file and, as the perfect one, phantoms of other
patients. Each goes the way of docs/bring-your-own.md by the command line: evaluate, audit, withdraw what is too close, audit
what is left, publish. Bold is a figure that is worse than the perfect set's, the 95 % intervals apart. WORK keeps everything,
so a stopped run goes on.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from echosyn import weights
from echosyn.privacy.intervals import exact

HERE = Path(__file__).parent
PERFECT = "phantoms of other patients"
RIVALS = {"noisy copies": "noisy_copies", "linear motion": "linear_motion", "zoomed stills": "zoomed_stills"}
Said = dict[str, Any]


class Gauge(NamedTuple):
    """A column: how to read a figure with its interval off what was found, and which direction is worse."""

    title: str
    read: Callable[[Said], Mapping[str, Any]]
    higher_is_worse: bool = True


def fidelity(key: str) -> Callable[[Said], Mapping[str, Any]]:
    """A figure of the evaluation, by number, space and sampling."""
    return lambda found: found["evaluation"]["fidelity"]["numbers"][key]


def membership(found: Said) -> Mapping[str, Any]:
    """The attack that tells training patients from others best."""
    return max((attack["auc"] for attack in found["audit"]["attacks"]), key=lambda auc: auc["value"])


def flagged(found: Said) -> Mapping[str, Any]:
    """Share of videos that fail a check of physiology."""
    shown = found["evaluation"]["physiology"]["synthetic"]
    return share(shown["flagged"], shown["n"])


def copies(found: Said) -> Mapping[str, Any]:
    """Share of videos that are closer to a patient than 95 % of strangers are."""
    return share(found["audit"]["filter"]["videos_rejected"], found["audit"]["num_videos"])


def share(count: int, num: int) -> Mapping[str, Any]:
    """With its exact interval."""
    rate = exact(count, num)
    return {"value": rate.value, "low": rate.low, "high": rate.high}


GAUGES = (
    Gauge("AUC spectrum", fidelity("classifier/spectrum/still2")),
    Gauge("AUC speckle", fidelity("classifier/speckle/still2")),
    Gauge("AUC motion of speckle", fidelity("classifier/speckle-motion/fast")),
    Gauge("Fréchet, radiomics", fidelity("frechet/radiomics/still2")),
    Gauge("Fréchet, motion", fidelity("frechet/motion/second")),
    Gauge("EF by area, MAE", lambda found: found["evaluation"]["ef_by_area"]["synthetic"]["mae"]),
    Gauge("physiology", flagged),
    Gauge(
        "utility R2", lambda found: found["evaluation"]["utility"]["train on synthetic"]["r2"], higher_is_worse=False
    ),
    Gauge("too close", copies),
    Gauge("membership AUC", membership),
)


def echosyn(*words: str | Path) -> str | None:
    """Run a verb; what it says if it refuses. An audit that does not pass is no refusal."""
    command = [sys.executable, "-m", "echosyn", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode in (0, 3):
        return None
    assert done.returncode == 2, done.stderr
    return done.stderr.strip().splitlines()[-1].removeprefix("error: ")


def recordings(work: Path, args: argparse.Namespace) -> Path:
    """Phantoms with TRAIN and held-out patients."""
    real = work / "real"
    if not real.exists():
        new = work / "real.new"
        shutil.rmtree(new, ignore_errors=True)
        phantoms(new, args.train + 2 * args.held_out, args.seed)
        counts = ["--train", args.train, "--val", args.held_out, "--test", args.held_out]
        echosyn("update-split", "--csv", new / "FileList.csv", *map(str, counts))
        new.rename(real)
    return real


def phantoms(out: Path, num: int, seed: int) -> None:
    """A four-chamber view each, two seconds."""
    echosyn("phantom", out, "--num", str(num), "--frames", "64", "--fps", "32", "--seed", str(seed), "--quiet")


def made(name: str, real: Path, work: Path, args: argparse.Namespace) -> Path:
    """The set of a rival, or the perfect one without the record of who made it."""
    out = work / name.replace(" ", "-") / "set"
    if out.exists():
        return out
    new = out.with_name("new")
    shutil.rmtree(new, ignore_errors=True)
    out.parent.mkdir(exist_ok=True)
    if name == PERFECT:
        phantoms(new, args.num, args.seed + 1)
        (new / "provenance.json").unlink()
    else:
        command = [sys.executable, HERE / f"{RIVALS[name]}.py", real, new, "--num", str(args.num)]
        command += ["--minutes", str(args.minutes)] if name == "zoomed stills" else []
        subprocess.run(command, check=True)
    new.rename(out)
    return out


def judged(synthetic: Path, real: Path, args: argparse.Namespace) -> Said:
    """Everything that the verbs say of a set."""
    work = synthetic.parent
    report, first, left, second = (work / name for name in ("report", "audit", "left", "audit-of-left"))
    models = ["--models", str(args.models), "--dataset", "a4c"]
    if not report.exists():
        how = ["--protocol", "echosyn-quick-v3", "--track", str(args.num), "--set", f"loop.steps={args.steps}"]
        refusal = echosyn("evaluate", synthetic, real, report, *how, "--quiet")
        assert refusal is None, refusal
    if not first.exists():
        refusal = echosyn("audit", synthetic, real, first, *models, "--videos-only", "--canaries", "1", "--quiet")
        assert refusal is None, refusal
    found: Said = {
        "evaluation": json.loads((report / "report.json").read_text()),
        "audit": json.loads((first / "public.json").read_text()),
    }
    if not left.exists():
        found["release"] = echosyn("withdraw", synthetic, real, left, "--too-close", *models)
    if left.exists() and not second.exists():
        how = ["--videos-only", "--canaries", str(args.canaries), "--quiet"]
        assert not (refusal := echosyn("audit", left, real, second, *models, *how)), refusal
    if second.exists():
        found["audit of what is left"] = json.loads((second / "public.json").read_text())
        who = ["--origin", work.name, "--stated-by", "benchmarks/rivals"]
        shutil.rmtree(work / "release", ignore_errors=True)
        found["release"] = echosyn(
            "publish", left, work / "release", "--licence", "cc0-1.0", "--audit", second, *who, "--quiet"
        )
    return found


def worse(gauge: Gauge, found: Said, perfect: Said) -> bool:
    """Whether a figure is worse than the perfect set's, the intervals apart."""
    one, other = gauge.read(found), gauge.read(perfect)
    if None in (one.get("low"), other.get("low")):
        return False
    return bool(one["low"] > other["high"] if gauge.higher_is_worse else one["high"] < other["low"])


def concluded(found: Said) -> str:
    """Of the audit of what is left, and its lines that do not hold."""
    said = found.get("audit of what is left")
    if said is None:
        return "nothing left"
    crossed = [line["name"] for line in said["lines"] if not line["holds"] and line["of"] == "videos"]
    conclusion = said["conclusions"]["videos"].split(",")[0]
    return f"{conclusion} ({said['num_videos']} left)" + (f": {', '.join(crossed)}" if crossed else "")


def as_table(found: Mapping[str, Said]) -> str:
    """Markdown, a set a row."""
    titles = ["set", *(gauge.title for gauge in GAUGES), "audit of what is left", "publish"]
    lines = ["| " + " | ".join(titles) + " |", "|" + " --- |" * len(titles)]
    for name, said in found.items():
        cells = []
        for gauge in GAUGES:
            value = gauge.read(said)["value"]
            text = "-" if value is None else f"{value:.3g}"
            cells.append(f"**{text}**" if worse(gauge, said, found[PERFECT]) else text)
        lines.append(
            "| " + " | ".join([name, *cells, concluded(said), "refused" if said["release"] else "sealed"]) + " |"
        )
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> None:
    """Make, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--num", type=int, default=40, help="videos of each set")
    parser.add_argument("--train", type=int, default=40, help="TRAIN phantoms")
    parser.add_argument("--held-out", type=int, default=50, help="phantoms each of VAL and TEST")
    parser.add_argument("--seed", type=int, default=8800)
    parser.add_argument("--minutes", type=float, default=2.0, help="processor time of the diffusion model's training")
    parser.add_argument("--steps", type=int, default=60, help="of the EF regressors")
    parser.add_argument("--canaries", type=int, default=8, help="of each kind; a release asks for 20, a pass for 36")
    parser.add_argument("--models", type=Path, default=weights.shipped(), help="with vae and reid")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    args = parser.parse_args(words)
    args.work.mkdir(parents=True, exist_ok=True)
    real = recordings(args.work, args)
    found = {name: judged(made(name, real, args.work, args), real, args) for name in (PERFECT, *RIVALS)}
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    if args.json:
        kept = ("value", "low", "high")
        gauges = {n: {g.title: {k: g.read(said).get(k) for k in kept} for g in GAUGES} for n, said in found.items()}
        rest = {name: {"left": concluded(said), "publish": said["release"] or "sealed"} for name, said in found.items()}
        cpu = round(used.ru_utime + used.ru_stime)
        args.json.write_text(json.dumps({"gauges": gauges, "release": rest, "cpu_s": cpu}, indent=1) + "\n")
    print(as_table(found))


if __name__ == "__main__":
    main()
