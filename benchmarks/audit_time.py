"""Time and memory of a whole audit, with registration and without. Prints one JSON object.

    OMP_NUM_THREADS=1 python benchmarks/audit_time.py WORK --real 2000 --synthetic 1000

Phantoms of the apical four-chamber view, 64 frames in two seconds: recordings, a tenth each VAL and TEST, and as a synthetic set
phantoms of another seed. Each audit is a process of its own, so that its largest memory is its own; bundled models, videos alone.
Without registration the same audit runs on screens that lack the spaces `registered` and `parts`, all else being equal.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import wraps
from pathlib import Path
from typing import Any
from unittest import mock

from echosyn import weights
from echosyn.data import filelist, phantom, video
from echosyn.pipeline.audit import audit as auditing
from echosyn.pipeline.audit import membership, positive_controls
from echosyn.pipeline.folder import new_folder
from echosyn.privacy import closeness, parts, registration, screen
from echosyn.privacy.fingerprints import VideoPrints, Views
from echosyn.privacy.video_digests import VideoDigest
from echosyn.settings.judging import AuditSettings

VIEW, NUM_FRAMES, FPS = "A4C", 64, 32.0
REAL_SEED, SYNTHETIC_SEED = 41, 42
STAGES: dict[str, tuple[Any, str]] = {
    "read synthetic videos": (auditing, "read_digests"),
    "compare with patients": (auditing, "compared"),
    "positive controls": (positive_controls, "plant"),
    "false rejection": (positive_controls, "false_rejection"),
    "published rule": (positive_controls, "published_rule"),
    "membership": (membership, "on_videos"),
    "linkability": (membership, "linked"),
    "attribute inference": (membership, "inferred"),
    "tails": (membership, "tails"),
}
"""What is timed by itself; the rest is reading the real videos and calibration."""


def drawn(out: Path, seed: int, num: int, split_of: Callable[[int], str]) -> Path:
    """A dataset of phantoms, once."""
    if not out.is_dir():
        with new_folder(out, "phantom", {"seed": seed}) as partial:
            (partial / filelist.VIDEOS).mkdir(exist_ok=True)
            records = []
            for i in range(num):
                patient = phantom.patient(seed, i, view=VIEW, num_frames=NUM_FRAMES, fps=FPS)
                records.append(phantom.record(patient, f"phantom_{seed}_{i:05d}", split_of(i)))
                video.write_avi(partial / filelist.VIDEOS / f"{records[-1].name}.avi", phantom.render(patient), FPS)
            filelist.write(partial, records)
    return out


@contextmanager
def unregistered() -> Iterator[None]:
    """Screens without the spaces that look for disguised copies."""
    reference, picture = VideoPrints.of_reference, registration.query
    left_out = (registration.SPACE, parts.SPACE)

    def without(made: Views) -> Views:
        return {space: rows for space, rows in made.items() if space not in left_out}

    def of_reference(self: VideoPrints, digest: VideoDigest) -> Views:
        return without(reference(self, digest))

    query = VideoPrints.of_query

    def of_query(self: VideoPrints, digest: VideoDigest) -> Views:
        with mock.patch.object(registration, "query", lambda frames, centre: picture(frames[:0], centre)):
            return without(query(self, digest))

    with mock.patch.multiple(VideoPrints, of_reference=of_reference, of_query=of_query):
        yield


def clocked(work: Callable[..., Any], spent: dict[str, float], name_of: Callable[..., str]) -> Callable[..., Any]:
    """The same work, whose processor time is added to ``spent`` under the name that its arguments tell."""

    @wraps(work)
    def run(*args: Any, **kwargs: Any) -> Any:
        started = time.process_time()
        try:
            return work(*args, **kwargs)
        finally:
            name = name_of(*args)
            spent[name] = spent.get(name, 0.0) + time.process_time() - started

    return run


def patch(of: Any, attribute: str, spent: dict[str, float], name_of: Callable[..., str]) -> Any:
    """What clocks a function of a module."""
    return mock.patch.object(of, attribute, clocked(getattr(of, attribute), spent, name_of))


def timed(laps: dict[str, float]) -> list[Any]:
    """Patches that add the processor time of each stage to ``laps``."""
    return [patch(of, name, laps, lambda *args, stage=stage: stage) for stage, (of, name) in STAGES.items()]


def timed_spaces(spent: dict[str, float]) -> list[Any]:
    """Patches that add the processor time of the vectors and comparisons of each space to ``spent``, in whatever stage."""
    compared = {
        space: clocked(find, spent, lambda *args, space=space: space) for space, find in screen.PICTURES_OF_EACH.items()
    }
    return [
        patch(closeness, "closest", spent, lambda items, space, *others: space),
        patch(screen, "closest", spent, lambda items, space, *others: space),
        mock.patch.object(screen, "PICTURES_OF_EACH", compared),
        patch(registration, "query", spent, lambda *args: registration.SPACE),
        patch(registration, "reference", spent, lambda *args: registration.SPACE),
    ]


def one(args: argparse.Namespace) -> dict[str, Any]:
    """One audit in this process: seconds of processor time in all and of each stage, and the largest memory."""
    out = args.work / f"audit-{args.run}"
    models = weights.find_all(weights.shipped(), ("vae", "reid"), VIEW.lower())
    laps: dict[str, float] = {}
    spent: dict[str, float] = {}
    for one_patch in [*timed(laps), *timed_spaces(spent)]:
        one_patch.start()
    wall, started = time.time(), time.process_time()
    asked = AuditSettings(canaries=args.canaries)
    with unregistered() if args.run == "unregistered" else nullcontext():
        said = auditing.audit(args.work / "synthetic", args.work / "real", out, models, asked)
    cpu = time.process_time() - started
    laps["read real videos, calibrate"] = cpu - sum(laps.values())
    return {
        "cpu_s": round(cpu, 1),
        "wall_s": round(time.time() - wall, 1),
        "most_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "stages_cpu_s": {name: round(seconds, 1) for name, seconds in laps.items()},
        "spaces_cpu_s": {name: round(seconds, 1) for name, seconds in spent.items()},
        "said": {key: value for key, value in said.items() if key != "audit"},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--real", type=int, default=2000)
    parser.add_argument("--synthetic", type=int, default=1000)
    parser.add_argument("--canaries", type=int, default=73)
    parser.add_argument("--run", choices=("registered", "unregistered"), help="this audit alone, in this process")
    args = parser.parse_args()
    if args.run:
        print(json.dumps(one(args)))
        return
    args.work.mkdir(parents=True, exist_ok=True)
    splits = {0: "VAL", 1: "TEST"}
    drawn(args.work / "real", REAL_SEED, args.real, lambda i: splits.get(i % 10, "TRAIN"))
    drawn(args.work / "synthetic", SYNTHETIC_SEED, args.synthetic, lambda i: "TRAIN")
    found: dict[str, Any] = {"real": args.real, "synthetic": args.synthetic}
    for run in ("registered", "unregistered"):
        own = [sys.executable, __file__, str(args.work), "--canaries", str(args.canaries), "--run", run]
        found[run] = json.loads(subprocess.run(own, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        print(json.dumps({run: found[run]}), file=sys.stderr, flush=True)
    found["times"] = round(found["registered"]["cpu_s"] / found["unregistered"]["cpu_s"], 2)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
