"""The tables of docs/privacy.md: calibration, canaries, positive control and pass, on phantoms. Prints one JSON object.

    OMP_NUM_THREADS=2 python benchmarks/privacy.py WORK --train 500 --held-out 200 --strangers 300 --models MODELS

Makes phantoms in WORK (or takes ``--phantoms``), trains what ``--models`` lacks of vae, reid, lidm and lvdm on the training
patients, and a memorising LIDM on 8 of them; generates two small sets; audits both. What is in WORK already is not made
again. The strangers' rejection rates are those of patients whom nobody saw: neither models nor calibration.
"""

import argparse
import json
import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch

from echosyn import device as devices
from echosyn import weights
from echosyn.data import filelist
from echosyn.data import latents as latent_files
from echosyn.pipeline import filtering
from echosyn.pipeline.animate import EFDistribution, motion_for, write_videos
from echosyn.pipeline.archive import from_videos
from echosyn.pipeline.audit import audit, prepare
from echosyn.pipeline.auditing import power
from echosyn.pipeline.encode import encode
from echosyn.pipeline.folder import new_folder
from echosyn.pipeline.generate import generate
from echosyn.pipeline.models import image_pipeline, video_pipeline
from echosyn.pipeline.phantom import make_phantom
from echosyn.pipeline.sample import invent
from echosyn.pipeline.train import train
from echosyn.privacy.calibration import published_threshold
from echosyn.privacy.filtering import judge
from echosyn.privacy.intervals import wilson
from echosyn.training import catalog

MEMORISED = 8
STAGES = ("vae", "reid", "lidm", "lvdm")


def subset(source: Path, out: Path, records, splits) -> Path:
    """A dataset of some videos of another, under other splits; the videos are linked."""
    if not (out / filelist.FILE_LIST).is_file():
        (out / filelist.VIDEOS).mkdir(parents=True, exist_ok=True)
        index = filelist.VideoIndex(source)
        for record in records:
            path = index.path(record)
            link = out / filelist.VIDEOS / path.name
            if not link.exists():
                link.symlink_to(path.resolve())
        filelist.write(out, [replace(r, split=s) for r, s in zip(records, splits, strict=True)])
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


def trained(stage: str, data: Path, out: Path, overrides: list[str]) -> Path:
    """The model folder of a training with the phantom preset."""
    if not (out / "model").is_dir():
        train(stage, data, out, settings=catalog.settings(stage, "phantom", None, overrides))
    return out / "model"


def models_of(args, real: Path) -> dict[str, Path]:
    """Given models, and the missing ones trained on the training patients."""
    found = {}
    for stage in STAGES:
        try:
            found[stage] = weights.find(args.models, stage) if args.models else None
        except weights.ModelError:
            found[stage] = None
    found["vae"] = found["vae"] or trained("vae", real, args.work / "vae", [])
    latents = args.work / "latents"
    if not latents.is_dir():
        encode(real, latents, vae=found["vae"], posterior="mean")
    found["reid"] = found["reid"] or trained("reid", real, args.work / "reid", [f"vae={found['vae']}"])
    for stage in ("lidm", "lvdm"):
        found[stage] = found[stage] or trained(stage, latents, args.work / stage, [])
    return found


def strangers_rejected(args, real: Path, fresh: Path, models) -> dict[str, object]:
    """Rejected shares of strangers: our rule on whole videos and on stills, and the published rule on stills."""
    desk = prepare(real, models, false_rejection_rate=args.rate)
    read = from_videos(fresh, desk.codec)
    looks = [read(record) for record in filelist.read(fresh)]
    judged = desk.screen.judge(looks)
    stills = torch.stack([look.latents[0] for look in looks])
    screen = filtering.calibrated(models["reid"], args.work / "latents", false_rejection_rate=args.rate)
    kept = screen.judge(stills).kept
    split = {s: [i for i, r in enumerate(desk.archive.records) if r.split == s] for s in ("TRAIN", "VAL", "TEST")}
    first = {s: desk.embed(torch.stack([desk.archive.looks[i].latents[0] for i in rows])) for s, rows in split.items()}
    threshold = published_threshold(first["TRAIN"], first["TEST"])
    published = judge(desk.embed(stills), first["TRAIN"], threshold).kept
    rule = power.published_rule(desk.archive, desk.embed)
    assert rule is not None
    return {
        "videos": asdict(wilson(int((~judged.kept).sum()), len(looks))),
        "stills": asdict(wilson(int((~kept).sum()), len(looks))),
        "published": asdict(wilson(int((~published).sum()), len(looks))),
        "published_predicted": rule.predicted,
        "threshold": desk.screen.screen.threshold.to_json(),
    }


def memorised(args, phantoms: Path, records, models) -> tuple[Path, Path, dict[str, Path]]:
    """Patients whom an image model has learned by heart, a set made from it without a filter, and its models."""
    folder = args.work / "memorised"
    few = [*records[:MEMORISED], *records[args.train : args.train + args.held_out]]
    real = subset(phantoms, folder / "real", few, ["TRAIN"] * MEMORISED + _held_out(args.held_out))
    latents = linked_latents(args.work / "latents", folder / "latents", filelist.read(real))
    lidm = trained("lidm", latents, folder / "lidm", [f"loop.steps={args.memorise_steps}"])
    synthetic = folder / "synthetic"
    if not synthetic.is_dir():
        device = devices.resolve("cpu")
        facts = weights.load_facts(lidm)
        hearts = invent(image_pipeline(lidm, device), range(args.num), 0, facts.num_inference_steps)
        with new_folder(synthetic, "generate", {}) as partial:
            motion = motion_for(models["lvdm"], 64)
            pipeline = video_pipeline(models["lvdm"], models["vae"], device)
            write_videos(pipeline, list(range(args.num)), hearts, 0, EFDistribution(), motion, partial)
    return real, synthetic, {"vae": models["vae"], "reid": models["reid"], "lidm": lidm}


def _held_out(num: int) -> list[str]:
    return ["VAL"] * (num // 2) + ["TEST"] * (num - num // 2)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--models", type=Path, help="folder of models; missing ones are trained")
    parser.add_argument("--phantoms", type=Path, help="dataset of phantoms, at least as many as are asked for")
    parser.add_argument("--train", type=int, default=500)
    parser.add_argument("--held-out", type=int, default=200)
    parser.add_argument("--strangers", type=int, default=300)
    parser.add_argument("--num", type=int, default=100, help="videos of a synthetic set")
    parser.add_argument("--canaries", type=int, default=20)
    parser.add_argument("--memorise-steps", type=int, default=600)
    parser.add_argument("--rate", type=float, default=0.05)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    total = args.train + args.held_out + args.strangers
    phantoms = args.phantoms or args.work / "phantoms"
    if not phantoms.is_dir():
        make_phantom(phantoms, num=total, seed=1, view="both", num_frames=64, fps=32.0)
    records = filelist.read(phantoms)[:total]
    known = args.train + args.held_out
    real = subset(phantoms, args.work / "real", records[:known], ["TRAIN"] * args.train + _held_out(args.held_out))
    fresh = subset(phantoms, args.work / "fresh", records[known:], ["TRAIN"] * args.strangers)
    cpu = {}
    started = time.process_time()

    def lap(name: str) -> None:
        nonlocal started
        cpu[name] = round(time.process_time() - started)
        started = time.process_time()

    models = models_of(args, real)
    lap("models")
    result = {"strangers": strangers_rejected(args, real, fresh, models)}
    lap("strangers")
    own = args.work / "synthetic"
    if not own.is_dir():
        generate(
            own, models=models, num=args.num, seed=0, reference=args.work / "latents", real=real, num_frames=64,
            false_rejection_rate=args.rate,
        )  # fmt: skip
    lap("generate")
    control_real, control, control_models = memorised(args, phantoms, records, models)
    lap("memorise")
    sets = {"own": (own, real, models), "memorised": (control, control_real, control_models)}
    for name, (synthetic, of, by) in sets.items():
        shutil.rmtree(args.work / f"audit-{name}", ignore_errors=True)
        said = audit(
            synthetic,
            of,
            args.work / f"audit-{name}",
            models=by,
            num_canaries=args.canaries if name == "own" else MEMORISED,
        )
        public = json.loads((args.work / f"audit-{name}" / "public.json").read_text())
        result[name] = {key: public[key] for key in ("verdict", "lines", "canaries", "risks", "attacks")}
        result[name]["said"] = {key: value for key, value in said.items() if key != "audit"}
        lap(f"audit {name}")
    print(json.dumps(result | {"cpu_s": cpu}))


if __name__ == "__main__":
    main()
