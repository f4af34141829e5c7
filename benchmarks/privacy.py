"""The tables of docs/privacy.md: calibration, canaries, positive control and pass, on phantoms. Prints one JSON object.

    OMP_NUM_THREADS=2 python benchmarks/privacy.py WORK --train 500 --held-out 200 --strangers 300

Draws phantoms of the apical four-chamber view anew: TRAIN patients are among those that the shipped models learned, held-out
ones are not, strangers are of a seed that nobody saw, neither models nor calibration. Trains an image model that learns 8
patients by heart, generates two small sets, and audits both. What is in WORK already is not made again.
"""

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from echosyn import device as devices
from echosyn import rng, weights
from echosyn.data import filelist, phantom, video
from echosyn.data import latents as latent_files
from echosyn.pipeline.audit import positive_controls
from echosyn.pipeline.audit.audit import audit
from echosyn.pipeline.folder import new_folder
from echosyn.pipeline.generate.animate import write_videos
from echosyn.pipeline.generate.animation import EFDistribution, motion_for
from echosyn.pipeline.generate.generate import generate
from echosyn.pipeline.generate.sample import invent
from echosyn.pipeline.models import codec, image_pipeline, video_pipeline
from echosyn.pipeline.privacy_filter.real_videos import from_videos
from echosyn.pipeline.privacy_filter.reference_frames import CALIBRATION_FRAMES, of_latents
from echosyn.pipeline.privacy_filter.screens import Screens
from echosyn.pipeline.train.encode import encode
from echosyn.pipeline.train.train import train
from echosyn.pipeline.workers.compute import HERE
from echosyn.privacy.calibration import threshold_from_scores
from echosyn.privacy.fingerprints import evenly
from echosyn.privacy.intervals import wilson
from echosyn.settings.judging import AuditSettings
from echosyn.settings.making import AnimationSettings, EncodeSettings, GenerateSettings
from echosyn.training import catalog

MEMORISED = 8
STAGES = ("vae", "reid", "lidm", "lvdm")
VIEW = "A4C"
LEARNT = 1500
"""The shipped models learned videos of `echosyn phantom --num 2000 --seed 1 --view both` before this one."""
STRANGE_SEED = 20
DIVISIONS = 500


def drawn(out: Path, seed: int, indices: Sequence[int], splits: Sequence[str]) -> Path:
    """A dataset of some phantoms of `echosyn phantom --view both --fps 32`, two seconds each."""
    if not (out / filelist.FILE_LIST).is_file():
        (out / filelist.VIDEOS).mkdir(parents=True, exist_ok=True)
        records = []
        for i, split in zip(indices, splits, strict=True):
            patient = phantom.patient(seed, i, view=VIEW, num_frames=64, fps=32.0)
            record = phantom.record(patient, f"phantom_{VIEW.lower()}_{seed}_{i:05d}", split)
            video.write_avi(out / filelist.VIDEOS / f"{record.name}.avi", phantom.render(patient), 32.0)
            records.append(record)
        filelist.write(out, records)
    return out


def subset(source: Path, out: Path, records) -> Path:
    """A dataset of some videos of another; the videos are linked."""
    if not (out / filelist.FILE_LIST).is_file():
        (out / filelist.VIDEOS).mkdir(parents=True, exist_ok=True)
        for record in records:
            name = f"{record.name}.avi"
            (out / filelist.VIDEOS / name).symlink_to((source / filelist.VIDEOS / name).resolve())
        filelist.write(out, records)
    return out


def linked_latents(source: Path, out: Path, records) -> Path:
    """The latents of some videos of another folder, under these records' splits."""
    if not (out / latent_files.INFO).is_file():
        for record in records:
            path = latent_files.path(out, record)
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.symlink_to(latent_files.path(source, record).resolve())
        filelist.write(out, records)
        shutil.copyfile(source / latent_files.INFO, out / latent_files.INFO)
    return out


def strangers_rejected(args, real: Path, fresh: Path, models) -> dict[str, object]:
    """Rejected shares of strangers: our rule on whole videos and on stills, and the published rule on stills."""
    screens = Screens.of(models, args.work / "latents", args.rate)
    archive, of_videos = screens.of_videos(real, None, args.work / "desk", HERE)
    read = from_videos(fresh, codec(models["vae"], devices.resolve("auto")))
    digests = [read(record, True) for record in filelist.read(fresh)]
    judged = of_videos.judge(digests)
    stills = torch.stack([digest.latents[0] for digest in digests])
    screen = screens.of_stills(of_latents(args.work / "latents"), HERE)
    kept = screen.judge(stills).kept
    shown = torch.cat([evenly(digest.latents, CALIBRATION_FRAMES) for digest in digests])
    of_frames = screen.judge(shown).score.numpy().reshape(len(digests), -1)
    rule = positive_controls.published_rule(archive, screens.embed())
    assert rule is not None
    return {
        "videos": asdict(wilson(int((~judged.kept).sum()), len(digests))),
        "videos, divided anew": divided(of_videos, judged.score.numpy()[:, None], args.rate),
        "stills, divided anew": divided(screen, of_frames, args.rate),
        "stills": asdict(wilson(int((~kept).sum()), len(digests))),
        "published": asdict(wilson(int((~rule.judge(stills).kept).sum()), len(digests))),
        "published_predicted": rule.predicted,
        "threshold": of_videos.threshold.to_json(),
    }


def divided(screen, strangers: np.ndarray, rate: float) -> dict[str, float]:
    """Share of strangers rejected over `DIVISIONS` divisions of all people whom no model saw into held-out ones and strangers.

    Args:
        screen: With the scores of held-out people.
        strangers: Scores ``(people, frames)``.
        rate: Asked for.
    """
    names, of = np.unique(np.asarray(screen.held_out_patients), return_inverse=True)
    people = [screen.held_out.numpy()[of == k] for k in range(len(names))] + list(strangers)
    shares = []
    for k in range(DIVISIONS):
        order = rng.numpy_generator(0, "divisions", k).permutation(len(people))
        held, rest = order[: len(names)], order[len(names) :]
        scores, owners = np.concatenate([people[i] for i in held]), [str(i) for i in held for _ in people[i]]
        limit = threshold_from_scores(scores, owners, false_rejection_rate=rate).value
        shares.append(np.mean([people[i][k % len(people[i])] >= limit for i in rest]))
    return {
        "mean": float(np.mean(shares)),
        "p5": float(np.quantile(shares, 0.05)),
        "p95": float(np.quantile(shares, 0.95)),
    }


def memorised(args, real: Path, models) -> tuple[Path, Path, dict[str, Path]]:
    """Patients whom an image model has learned by heart, a set made from it without a filter, and its models."""
    folder = args.work / "memorised"
    records = filelist.read(real)
    few = [*records[:MEMORISED], *records[args.train :]]
    few_real = subset(real, folder / "real", few)
    latents = linked_latents(args.work / "latents", folder / "latents", few)
    lidm = folder / "lidm"
    if not (lidm / "model").is_dir():
        overrides = ["courses=true", f"loop.steps={args.memorise_steps}"]
        train("lidm", latents, lidm, settings=catalog.settings("lidm", "phantom", None, overrides))
    synthetic = folder / "synthetic"
    if not synthetic.is_dir():
        device = devices.resolve("cpu")
        facts = weights.load_facts(lidm)
        hearts = invent(image_pipeline(lidm, device), range(args.num), 0, facts.num_inference_steps)
        with new_folder(synthetic, "generate", {}) as partial:
            motion = motion_for(models["lvdm"], AnimationSettings(num_frames=64))
            pipeline = video_pipeline(models["lvdm"], models["vae"], device)
            write_videos(pipeline, list(range(args.num)), hearts, 0, EFDistribution(), motion, partial)
    return few_real, synthetic, {"vae": models["vae"], "reid": models["reid"], "lidm": lidm}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--train", type=int, default=500)
    parser.add_argument("--held-out", type=int, default=200)
    parser.add_argument("--strangers", type=int, default=300)
    parser.add_argument("--num", type=int, default=100, help="videos of a synthetic set")
    parser.add_argument("--canaries", type=int, default=20)
    parser.add_argument("--memorise-steps", type=int, default=600)
    parser.add_argument("--rate", type=float, default=0.05)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    held = ["VAL"] * (args.held_out // 2) + ["TEST"] * (args.held_out - args.held_out // 2)
    indices = [*range(0, 2 * args.train, 2), *range(LEARNT, LEARNT + 2 * args.held_out, 2)]
    real = drawn(args.work / "real", 1, indices, ["TRAIN"] * args.train + held)
    fresh = drawn(args.work / "fresh", STRANGE_SEED, range(args.strangers), ["TRAIN"] * args.strangers)
    cpu = {}
    started = time.process_time()

    def lap(name: str) -> None:
        nonlocal started
        cpu[name] = round(time.process_time() - started)
        started = time.process_time()

    models = weights.find_all(weights.shipped(), STAGES, VIEW.lower())
    if not (args.work / "latents").is_dir():
        encode(real, args.work / "latents", models["vae"], EncodeSettings(courses=True, mean=True))
    lap("data")
    result = {"strangers": strangers_rejected(args, real, fresh, models)}
    lap("strangers")
    own = args.work / "synthetic"
    if not own.is_dir():
        asked = GenerateSettings(
            num=args.num,
            reference=args.work / "latents",
            real=real,
            num_frames=64,
            false_rejection_rate=args.rate,
        )
        generate(own, models, asked)
    lap("generate")
    control_real, control, control_models = memorised(args, real, models)
    lap("memorise")
    sets = {"own": (own, real, models), "memorised": (control, control_real, control_models)}
    for name, (synthetic, of, by) in sets.items():
        shutil.rmtree(args.work / f"audit-{name}", ignore_errors=True)
        said = audit(
            synthetic,
            of,
            args.work / f"audit-{name}",
            by,
            AuditSettings(canaries=args.canaries if name == "own" else MEMORISED),
        )
        public = json.loads((args.work / f"audit-{name}" / "public.json").read_text())
        result[name] = {key: public[key] for key in ("verdict", "lines", "canaries", "risks", "attacks")}
        result[name]["said"] = {key: value for key, value in said.items() if key != "audit"}
        lap(f"audit {name}")
    print(json.dumps(result | {"cpu_s": cpu}))


if __name__ == "__main__":
    main()
