"""Does a generated video have the EF that was asked for? Measured by tracking the ventricle, no network; prints JSON.

    python benchmarks/ef_adherence.py --num 200 --seed 9100

Hearts are phantoms that no model has seen; each gives its end-diastolic frame, and is asked to beat with an EF drawn
uniformly from 15..80. The written pixels are measured by `echosyn.metrics.area`. The same ruler is laid on the hearts' own
videos, whose EF is known, sharp and after a round trip through the VAE: what it misses there it misses everywhere.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from echosyn import rng, weights
from echosyn.data import phantom
from echosyn.diffusion.codec import LatentCodec, grey
from echosyn.metrics.area import ef_from_area, track_lv
from echosyn.metrics.physiology import flags, rhythm
from echosyn.metrics.regression import regression_report
from echosyn.pipeline.models import video_pipeline

FPS = 32.0
VIEWS = ("A4C", "PSAX")
REAL_FRAMES = 64
LOW, HIGH = 15.0, 80.0


def measured(frames: np.ndarray, view: str) -> dict[str, Any]:
    """EF and rhythm of one video."""
    areas = track_lv(frames, view).areas
    ef = ef_from_area(areas, view)
    found: dict[str, Any] = {"ef": ef, "flags": flags(frames, areas, view)}
    if ef is not None:
        beats = rhythm(areas, FPS, view)
        found |= {"heart_rate": beats.heart_rate, "beats": beats.num_beats, "irregularity": beats.irregularity}
    return found


def summary(rows: Sequence[dict[str, Any]], wanted: Sequence[float]) -> dict[str, Any]:
    """Adherence over the videos in which a ventricle was found, and how many those are."""
    pairs = [(row["ef"], ef) for row, ef in zip(rows, wanted, strict=True) if row["ef"] is not None]
    report: dict[str, Any] = {"n": len(rows), "untracked": len(rows) - len(pairs)}
    if len(pairs) > 2:
        report |= regression_report(*(np.array(values) for values in zip(*pairs, strict=True))).to_json()
    for name in ("heart_rate", "beats"):
        values = [row[name] for row in rows if row.get(name) is not None]
        if values:
            low, middle, high, most = np.quantile(values, [0.05, 0.5, 0.95, 1])
            report[name] = {"mean": float(np.mean(values)), "p5": low, "median": middle, "p95": high, "max": most}
    report["flagged"] = sum(bool(row["flags"]) for row in rows)
    return report


def by_view(rows: Sequence[dict[str, Any]], wanted: Sequence[float]) -> dict[str, Any]:
    """All, and each view alone."""
    parts = {"all": summary(rows, wanted)}
    for k, view in enumerate(VIEWS):
        parts[view] = summary(rows[k::2], wanted[k::2])
    return parts


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=weights.shipped(), help="folder with vae/ and lvdm/")
    parser.add_argument("--num", type=int, default=200)
    parser.add_argument("--seed", type=int, default=9100)
    parser.add_argument("--frames", type=int, nargs="+", default=[64, 192])
    parser.add_argument("--steps", type=int, help="default: what suits the model")
    parser.add_argument("--guidance", type=float, help="default: what suits the model")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--no-real", action="store_true", help="leave the hearts' own videos out")
    args = parser.parse_args()
    device = torch.device("cpu")
    vae, lvdm = (weights.find(args.models, stage) for stage in ("vae", "lvdm"))
    pipeline = video_pipeline(lvdm, vae, device)
    codec = LatentCodec(pipeline.vae, pipeline.config.pixels)
    facts = weights.load_facts(lvdm)
    steps = args.steps or facts.num_inference_steps
    guidance = facts.guidance_scale if args.guidance is None else args.guidance
    efs = rng.numpy_generator(args.seed, "requested ef").uniform(LOW, HIGH, args.num).round(1).tolist()
    views = [VIEWS[i % 2] for i in range(args.num)]

    stills, truth = [], []
    real: dict[str, list[dict[str, Any]]] = {"sharp": [], "through the VAE": []}
    for i, view in enumerate(views):
        patient = phantom.patient(args.seed, i, view=view, num_frames=REAL_FRAMES, fps=FPS)
        frames = phantom.render(patient)
        latents = codec.encode(torch.from_numpy(frames)) if not args.no_real else None
        diastole = int(phantom.volumes(patient).argmax())
        stills.append(codec.encode(torch.from_numpy(frames[diastole : diastole + 1]))[0])
        truth.append(patient.ef)
        if latents is not None:
            real["sharp"].append(measured(frames, view))
            real["through the VAE"].append(measured(grey(codec.decode(latents)).numpy(), view))

    result: dict[str, Any] = {
        "n": args.num,
        "seed": args.seed,
        "steps": steps,
        "guidance": guidance,
        "requested": [LOW, HIGH],
    }
    result["real"] = {name: by_view(rows, truth) for name, rows in real.items() if rows}
    for length in args.frames:
        rows: dict[str, list[dict[str, Any]]] = {"with texture": [], "without": []}
        seconds = {"generate": 0.0, "texture": 0.0, "measure": 0.0}
        for first in range(0, args.num, args.batch_size):
            part = slice(first, first + args.batch_size)
            start = time.process_time()
            made = pipeline(
                torch.stack(stills[part]),
                efs[part],
                num_frames=length,
                num_inference_steps=steps,
                guidance_scale=guidance,
                generator=rng.generators(args.seed, "motion", range(args.num)[part]),
                output_type="pixel",
            )
            seconds["generate"] += time.process_time() - start
            start = time.process_time()
            plain = [grey(video).numpy() for video in made.videos]
            laid = [
                pipeline.texture.lay(v, args.seed, i) if pipeline.texture else v for i, v in enumerate(plain, first)
            ]
            seconds["texture"] += time.process_time() - start
            start = time.process_time()
            for name, videos in (("with texture", laid), ("without", plain)):
                rows[name] += [measured(v, view) for v, view in zip(videos, views[part], strict=True)]
            seconds["measure"] += time.process_time() - start
        result[f"{length} frames"] = {name: by_view(found, efs) for name, found in rows.items()} | {
            "cpu_s_a_video": {name: value / args.num for name, value in seconds.items()}
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
