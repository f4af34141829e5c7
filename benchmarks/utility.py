"""Is a synthetic set as good to learn from as real videos? The utility grid on phantoms; prints JSON.

    python benchmarks/utility.py PHANTOMS FOLDER --num 480 --seeds 3

PHANTOMS is `echosyn phantom PHANTOMS --num 2000 --seed 1 --view both --frames 128 --fps 32`, of whose TRAIN part the shipped
models learned; no video of its VAL or TEST part was seen by any. FOLDER keeps everything, so a stopped run goes on. Beside the
grid of `echosyn evaluate --grid` there are two arms: requested EFs drawn like the real ones (`--ef-from`), and real hearts
that the video model makes beat with their own EF, which tells what is lost by motion and what by invented hearts.
"""

import argparse
import json
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import torch

from echosyn import rng, weights
from echosyn.data import filelist, phantom, video
from echosyn.data.records import Record
from echosyn.diffusion.codec import LatentCodec, grey
from echosyn.pipeline.evaluate.utility import training_sets as arms
from echosyn.pipeline.evaluate.utility.training_sets import Arm
from echosyn.pipeline.evaluate.utility.utility import Test, grid
from echosyn.pipeline.folder import new_folder
from echosyn.pipeline.generate.generate import generate
from echosyn.pipeline.models import codec, video_pipeline
from echosyn.pipeline.workers.compute import Compute
from echosyn.settings.making import GenerateSettings
from echosyn.training import catalog

FPS = 32.0
FRAMES = 64
VIEWS = ("A4C", "PSAX")
EF_AS_REAL, REAL_HEARTS = "synthetic, EF as real", "real hearts, synthetic motion"
ARMS = (
    arms.REAL,
    arms.SYNTHETIC,
    arms.THROUGH_VAE,
    EF_AS_REAL,
    arms.RELABELLED,
    arms.RECALIBRATED,
    arms.BOTH,
    REAL_HEARTS,
)
CPU = torch.device("cpu")


def synthetic(out: Path, num: int, seed: int, ef_from: Path | None) -> None:
    """Both views, each with its own image model, as one dataset."""
    parts = {}
    for view in VIEWS:
        part = out.with_name(f"{out.name}-{view.lower()}")
        parts[view.lower()] = part
        if not part.exists():
            models = weights.find_all(weights.shipped(), ("vae", "lidm", "lvdm"), view.lower())
            asked = GenerateSettings(num=num // 2, seed=seed, num_frames=FRAMES, ef_from=ef_from)
            generate(part, models, asked, Compute("cpu"))
    if not out.exists():
        records = {view: halved(filelist.read(part), num // 12) for view, part in parts.items()}
        arms.join(out, parts, records)


def halved(records: list[Record], num_val: int) -> list[Record]:
    """All for training and validation: the last are VAL."""
    return [replace(r, split="VAL" if i >= len(records) - num_val else "TRAIN") for i, r in enumerate(records)]


def real_hearts(out: Path, phantoms: Path, records: list[Record], patient_seed: int) -> None:
    """End-diastolic frames of real videos, made to beat by the video model with the EF of their own hearts."""
    pipeline = video_pipeline(weights.find(weights.shipped(), "lvdm"), weights.find(weights.shipped(), "vae"),
                              torch.device("cpu"))  # fmt: skip
    autoencoder = LatentCodec(pipeline.vae, pipeline.config.pixels)
    facts = weights.load_facts(weights.find(weights.shipped(), "lvdm"))
    index = filelist.VideoIndex(phantoms)
    with new_folder(out, "real hearts", {"num": len(records), "frames": FRAMES}) as folder:
        (folder / "Videos").mkdir(exist_ok=True)
        for i, record in enumerate(records):
            path = folder / "Videos" / f"{record.name}.avi"
            if path.exists():
                continue
            number, view = int(record.name[-5:]), record.extra["View"]
            heart = phantom.patient(patient_seed, number, view=view, num_frames=record.num_frames, fps=FPS)
            diastole = int(phantom.volumes(heart).argmax())
            frame = video.read(index.path(record)).grey()[diastole : diastole + 1]
            made = pipeline(
                autoencoder.encode(torch.from_numpy(frame)),
                [record.ef],
                num_frames=FRAMES,
                num_inference_steps=facts.num_inference_steps,
                guidance_scale=facts.guidance_scale,
                generator=rng.generators(patient_seed, "motion of real hearts", [i]),
                output_type="pixel",
            )
            video.write_avi(path, grey(made.videos[0]).numpy(), FPS)
        filelist.write(folder, [replace(r, num_frames=FRAMES) for r in records])


def main() -> None:
    """Make the sets, train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("phantoms", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--num", type=int, default=480, help="synthetic videos of each set")
    parser.add_argument("--seed", type=int, default=9600)
    parser.add_argument("--phantom-seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each arm")
    parser.add_argument("--test", choices=("VAL", "TEST"), default="TEST", help="VAL for choices, TEST for the figure")
    parser.add_argument("--arms", nargs="+", default=ARMS, choices=ARMS)
    parser.add_argument("--set", action="append", default=[], help="NAME=VALUE of the EF stage")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    training_sets = folders(args)
    records = [r for r in filelist.read(args.phantoms) if r.split == args.test]
    preset = catalog.settings("ef", "phantom-full", overrides=args.set)

    def told(arm: str, seed: int, r2: float) -> None:
        print(
            f"{time.process_time() / 60:.1f} CPU-minutes: {arm}, seed {seed}: R2 {r2:.4f}", file=sys.stderr, flush=True
        )

    found = grid(training_sets, Test(args.phantoms, records), args.folder / "grid", settings=preset,
                 seeds=range(args.seeds), compute=Compute("cpu", side_by_side=True), told=told)  # fmt: skip
    counts = {arm.name: Counter(r.split for r in filelist.read(arm.dataset)) for arm in training_sets}
    print(json.dumps(found | {"test": args.test, "videos": counts, "steps": preset.loop.steps}))


def folders(args: argparse.Namespace) -> list[Arm]:
    """The training sets, equal in number, made if they are not there."""
    num_val = 2 * (args.num // 12)
    real = arms.equal(filelist.read(args.phantoms), args.num - num_val, num_val, args.seed, num_frames=FRAMES)
    sets = {name: args.folder / arms.slug(name) for name in (arms.REAL, arms.SYNTHETIC, EF_AS_REAL, REAL_HEARTS)}
    make = {
        arms.REAL: lambda out: cut(out, args.phantoms, real),
        arms.SYNTHETIC: lambda out: synthetic(out, args.num, args.seed, None),
        EF_AS_REAL: lambda out: synthetic(out, args.num, args.seed, args.phantoms),
        REAL_HEARTS: lambda out: real_hearts(out, args.phantoms, real, args.phantom_seed),
    }
    sets = {name: out for name, out in sets.items() if name in args.arms}
    for name, out in sets.items():
        if not out.exists():
            make[name](out)
    vae = codec(weights.shipped() / "vae", CPU) if arms.THROUGH_VAE in args.arms else None
    found = arms.standard(args.folder / "arms", sets, codec=vae, seed=args.seed)
    return [arm for arm in found if arm.name in args.arms]


def cut(out: Path, dataset: Path, records: list[Record]) -> None:
    """The given videos, as long as the synthetic ones."""
    index = filelist.VideoIndex(dataset)
    with new_folder(out, "cut", {"frames": FRAMES, "videos": [r.name for r in records]}) as folder:
        (folder / "Videos").mkdir(exist_ok=True)
        for record in records:
            frames = video.read(index.path(record)).grey()[:FRAMES]
            video.write_avi(folder / "Videos" / f"{record.name}.avi", frames, FPS)
        filelist.write(folder, records)


if __name__ == "__main__":
    main()
