"""What the published architecture loses by sampling it faster: prints one JSON object.

    python benchmarks/published_quality.py WORK --steps 400

A UNetSpatioTemporalConditionModel as published (DDPM, v-prediction, EF as the text token), but small and with windows of 32
frames at 16 fps, learns a small world: a few phantom hearts, each seen with many EFs. It then animates end-diastolic frames
of held-out videos over two windows, with the same noise and requested EFs, as published (64 DDPM steps, windows at a hop of
half a window) and with the fast settings. EF is measured by tracking the ventricle, no network; the Fréchet distance is between
thumbnails' principal components and those of the held-out videos. DDPM with another seed shows what is chance.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from designs import DESIGNS, NUM_COMPONENTS, features
from designs import LOOP as COMMON_LOOP

from echosyn import rng, weights
from echosyn.data import filelist, latents, phantom, video
from echosyn.data.loading import DIASTOLE
from echosyn.diffusion.codec import LatentCodec, grey
from echosyn.diffusion.windows import borders
from echosyn.metrics.area import ef_from_area, track_lv
from echosyn.metrics.frechet import frechet_distance
from echosyn.metrics.moments import moments
from echosyn.metrics.physiology import seam_score
from echosyn.metrics.regression import regression_report
from echosyn.pipeline.models import video_pipeline
from echosyn.pipeline.train.encode import encode
from echosyn.pipeline.train.train import train
from echosyn.pipeline.workers.compute import Compute
from echosyn.settings.making import EncodeSettings
from echosyn.settings.training import ResumeSettings
from echosyn.training import catalog

VIEW, FPS, WINDOW = "PSAX", 16.0, 32
NUM_FRAMES = 2 * WINDOW
LOW, HIGH = 15.0, 80.0
SETTINGS: dict[str, Any] = {
    "network": DESIGNS["UNetSpatioTemporalConditionModel"]["network"]
    | {"num_frames": WINDOW, "block_out_channels": [32, 32], "num_attention_heads": [2, 2]},
    "scheduler": {
        "_class_name": "DDPMScheduler",
        "beta_schedule": "linear",
        "beta_start": 1.0e-4,
        "beta_end": 0.02,
        "prediction_type": "v_prediction",
        "clip_sample": True,
        "clip_sample_range": 4.0,
    },
    "fps": FPS,
    "num_frames": WINDOW,
    "courses": True,
    "num_inference_steps": 64,
}
LOOP = COMMON_LOOP | {
    "batch_size": 4,
    "learning_rate": 1.5e-3,
    "warmup_steps": 30,
    "save_every_steps": 200,
    "trackers": (),
}
WAYS: dict[str, dict[str, Any]] = {
    "64 ddpm, cut": {},
    "8 dpm++, cut": {"scheduler": "dpm++", "steps": 8},
    "8 dpm++, alternate": {"scheduler": "dpm++", "steps": 8, "blend": "alternate"},
    "16 dpm++, alternate": {"scheduler": "dpm++", "steps": 16, "blend": "alternate"},
    "64 ddpm, cut, other seed": {"seed": 1},
}


def world(out: Path, hearts: int, efs: int, held_out: int) -> Path:
    """Videos of a few hearts with many EFs; of each heart the last ``held_out`` are of split VAL."""
    if not (out / filelist.FILE_LIST).is_file():
        (out / filelist.VIDEOS).mkdir(parents=True, exist_ok=True)
        records = []
        for heart in range(hearts):
            draws = rng.numpy_generator(0, "small world", heart)
            drawn = phantom.patient(77, heart, view=VIEW, num_frames=NUM_FRAMES, fps=2 * FPS)
            for k in range(efs):
                patient = replace(
                    drawn,
                    fps=FPS,
                    ef=float(draws.uniform(LOW, HIGH)),
                    heart_rate=float(draws.uniform(60, 75)),
                    start=float(draws.uniform(0, 1)),
                    irregularity=0.0,
                    drift=0.0,
                )
                split = "VAL" if k >= efs - held_out else "TRAIN"
                record = phantom.record(patient, f"heart_{heart:02d}_{k:03d}", split)
                video.write_avi(out / filelist.VIDEOS / f"{record.name}.avi", phantom.render(patient), FPS)
                records.append(record)
        filelist.write(out, records)
    return out


def measured(videos: np.ndarray, wanted: list[float]) -> dict[str, Any]:
    """Agreement of requested and tracked EF."""
    pairs = []
    for frames, ef in zip(videos, wanted, strict=True):
        found = ef_from_area(track_lv(frames, VIEW).areas, VIEW)
        if found is not None:
            pairs.append((found, ef))
    if len(pairs) < 2:
        nothing = dict.fromkeys(("value", "low", "high"), float("nan"))
        return {"untracked": len(videos) - len(pairs), **dict.fromkeys(("r2", "mae", "pearson"), nothing)}
    report = regression_report(*np.array(pairs).T).to_json()
    return {"untracked": len(videos) - len(pairs), **{name: report[name] for name in ("r2", "mae", "pearson")}}


def main() -> None:
    """Make, train, sample, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--hearts", type=int, default=4)
    parser.add_argument("--efs", type=int, default=48)
    parser.add_argument("--held-out", type=int, default=8)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.work.mkdir(parents=True, exist_ok=True)
    vae = weights.find(weights.shipped(), "vae")
    data = world(args.work / "world", args.hearts, args.efs, args.held_out)
    stored = args.work / "latents"
    if not stored.is_dir():
        encode(data, stored, vae, EncodeSettings(courses=True, mean=True))
    run = args.work / "lvdm"
    if not (run / "model").is_dir():
        settings = catalog.STAGES["lvdm"][1].model_validate(SETTINGS | {"loop": LOOP | {"steps": args.steps}})
        train("lvdm", stored, run, settings=settings, resume=ResumeSettings(resume=True), compute=Compute("cpu"))
    stills, wanted, own = [], [], []
    for record in filelist.read(stored):
        course = latents.read_course(stored, record) if record.split == "VAL" else None
        if course is not None and record.ef is not None:
            found = latents.read(stored, record)
            stills.append(found[int(np.flatnonzero(course <= DIASTOLE)[0])])
            own.append(found)
            wanted.append(record.ef)
    wanted = rng.numpy_generator(0, "requests").permutation(wanted).round(1).tolist()  # not the EF that the still had
    result: dict[str, Any] = {"n": len(stills), "frames": NUM_FRAMES, "window": WINDOW, "training_steps": args.steps}
    first: np.ndarray | None = None
    axes: np.ndarray | None = None
    for name in args.ways:
        way = WAYS[name]
        pipeline = video_pipeline(run, vae, torch.device("cpu"), way.get("scheduler"))
        codec = LatentCodec(pipeline.vae, pipeline.config.pixels)
        if axes is None:
            real = np.stack([grey(codec.decode(x)).numpy() for x in own])
            base = features(real)
            axes = np.linalg.svd(base - base.mean(axis=0), full_matrices=False)[2][:NUM_COMPONENTS]
            result["own videos"] = measured(real, [r.ef for r in filelist.read(stored) if r.split == "VAL"])
            half = len(base) // 2
            result["frechet_floor"] = frechet_distance(moments(base[::2] @ axes.T), moments(base[1::2][:half] @ axes.T))
        started, videos = time.process_time(), []
        blend = way.get("blend", "cut")
        for at in range(0, len(stills), 8):
            part = slice(at, at + 8)
            made = pipeline(
                torch.stack(stills[part]),
                wanted[part],
                num_frames=NUM_FRAMES,
                num_inference_steps=way.get("steps", 64),
                generator=rng.generators(way.get("seed", 0), "motion", range(len(stills))[part]),
                blend=blend,
            ).latents
            videos += [grey(codec.decode(x.transpose(0, 1))).numpy() for x in made]
        shown = np.stack(videos)
        first = shown if first is None else first
        at = borders(NUM_FRAMES, WINDOW, WINDOW // 2, blend)
        result[name] = {
            "cpu_s_a_video": (time.process_time() - started) / len(stills),
            "ef": measured(shown, wanted),
            "frechet": frechet_distance(moments(features(shown) @ axes.T), moments(base @ axes.T)),
            "seam": float(np.mean([seam_score(frames, at) for frames in shown])),
            "pixels": float(np.abs(shown.astype(np.float32) - first).mean()),
        }
        print(json.dumps({name: result[name]}), flush=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
