"""Which video model learns most in a few CPU-minutes: same latents, same hearts, same ruler; prints JSON.

    python benchmarks/designs.py build/models/latents --vae build/models/vae --minutes 5

Every design trains through the project's own loop for as many steps as fit into the CPU time (one thread), then animates
end-diastolic frames of held-out (VAL) hearts with an EF drawn uniformly from 15..80. Adherence is measured by tracking the
ventricle; the Fréchet distance compares videos with the held-out hearts' own, in principal components of mean frame and motion
(standard deviation over time) of thumbnails; real against real is its floor.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from echosyn import rng, weights
from echosyn.data import filelist, latents
from echosyn.data.loading import DIASTOLE
from echosyn.data.records import Record
from echosyn.diffusion.codec import LatentCodec, grey
from echosyn.metrics.area import ef_from_area, track_lv
from echosyn.metrics.frechet import frechet_distance
from echosyn.metrics.moments import moments
from echosyn.metrics.regression import regression_report
from echosyn.pipeline.models import video_pipeline
from echosyn.pipeline.train.train import train
from echosyn.pipeline.workers.compute import Compute
from echosyn.training import catalog

NUM_FRAMES = 64
NUM_COMPONENTS = 16
FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000}
COMMON: dict[str, Any] = {"courses": True, "drop_conditions": 0.1, "detail_time": 0.5}
DESIGNS: dict[str, dict[str, Any]] = {
    "UNetSpatioTemporalConditionModel": {
        "network": {
            "_class_name": "UNetSpatioTemporalConditionModel",
            "in_channels": 8,
            "out_channels": 4,
            "sample_size": 16,
            "num_frames": NUM_FRAMES,
            "block_out_channels": [32, 64],
            "down_block_types": ["DownBlockSpatioTemporal", "CrossAttnDownBlockSpatioTemporal"],
            "up_block_types": ["CrossAttnUpBlockSpatioTemporal", "UpBlockSpatioTemporal"],
            "layers_per_block": 1,
            "num_attention_heads": [2, 4],
            "cross_attention_dim": 1,
            "addition_time_embed_dim": 1,
            "projection_class_embeddings_input_dim": 1,
        },
        "scheduler": FLOW,
        "num_frames": NUM_FRAMES,
        "time_distribution": "logit_normal",
        "num_inference_steps": 32,
        "loop": {"batch_size": 4, "learning_rate": 1.0e-3},
    },
    "VideoTransformer": {
        "network": {
            "_class_name": "VideoTransformer",
            "num_frames": NUM_FRAMES,
            "temporal_patch_size": 8,
            "width": 144,
            "depth": 4,
            "prediction": "residual",
        },
        "scheduler": FLOW,
        "num_frames": NUM_FRAMES,
        "time_distribution": "logit_normal",
        "time_shift": 2.0,
        "num_inference_steps": 10,
        "guidance_scale": 1.5,
        "loop": {"batch_size": 4, "learning_rate": 2.0e-3},
    },
    "ModeUNet": {
        "network": {"_class_name": "ModeUNet"},
        "scheduler": {**FLOW, "shift": 8.0},
        "num_frames": 32,
        "time_shift": 12.0,
        "num_inference_steps": 4,
        "loop": {"batch_size": 12, "learning_rate": 2.0e-3},
    },
}
LOOP = {"betas": [0.9, 0.99], "weight_decay": 0.01, "schedule": "cosine", "warmup_steps": 20, "ema_decay": 0.0}


def settings_of(design: Mapping[str, Any], steps: int) -> Any:
    """Settings of one training."""
    loop = LOOP | design["loop"] | {"steps": steps, "save_every_steps": 10**6, "trackers": ()}
    return catalog.STAGES["lvdm"][1].model_validate(COMMON | dict(design) | {"loop": loop})


def trained(design: Mapping[str, Any], data: Path, minutes: float, folder: Path) -> tuple[Path, dict[str, float]]:
    """A model after about that much CPU time, and what it took."""

    def run(steps: int, name: str) -> float:
        start = time.process_time()
        train("lvdm", data, folder / name, settings=settings_of(design, steps), compute=Compute("cpu"))
        return time.process_time() - start

    few, more = 4, 16
    a_step = max((run(more, "more") - run(few, "few")) / (more - few), 1e-3)
    steps = max(20, int(60 * minutes / a_step))
    seconds = run(steps, "model")
    return folder / "model" / "model", {"steps": steps, "cpu_minutes": seconds / 60, "cpu_s_a_step": a_step}


def features(videos: np.ndarray) -> np.ndarray:
    """Mean and motion of ``(n, T, 112, 112)`` in blocks of 8 x 8: ``(n, 392)``."""
    blocks = videos.reshape(*videos.shape[:2], 14, 8, 14, 8).mean(axis=(3, 5))
    return np.concatenate([blocks.mean(axis=1), 3 * blocks.std(axis=1)], axis=1).reshape(len(videos), -1)


def held_out(data: Path, num: int) -> tuple[list[Record], torch.Tensor, torch.Tensor]:
    """Hearts of split VAL, an end-diastolic still of each and their own first frames."""
    records, stills, own = [], [], []
    for record in filelist.read(data):
        course = latents.read_course(data, record) if record.split == "VAL" else None
        if course is not None and len(records) < num:
            found = latents.read(data, record)
            records.append(record)
            stills.append(found[int(np.flatnonzero(course <= DIASTOLE)[0])])
            own.append(found[:NUM_FRAMES].transpose(0, 1))
    return records, torch.stack(stills), torch.stack(own)


def main() -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("latents", type=Path, help="made with `echosyn encode --courses`")
    parser.add_argument("--vae", type=Path, default=weights.shipped() / "vae")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--num", type=int, default=60)
    parser.add_argument("--designs", nargs="+", default=list(DESIGNS), choices=list(DESIGNS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    records, stills, own = held_out(args.latents, args.num)
    half = len(records) // 2
    efs = rng.numpy_generator(0, "designs").uniform(15, 80, len(records)).round(1).tolist()
    result: dict[str, Any] = {"n": len(records), "frames": NUM_FRAMES, "minutes": args.minutes}
    for name in args.designs:
        with tempfile.TemporaryDirectory() as scratch:
            model, cost = trained(DESIGNS[name], args.latents, args.minutes, Path(scratch))
            facts = weights.load_facts(model)
            pipeline = video_pipeline(model, args.vae, torch.device("cpu"))
        codec = LatentCodec(pipeline.vae, pipeline.config.pixels)
        real = np.stack([grey(codec.decode(v.transpose(0, 1))).numpy() for v in own])
        base = features(real)
        components = np.linalg.svd(base - base.mean(axis=0), full_matrices=False)[2][:NUM_COMPONENTS]
        start, videos = time.process_time(), []
        for first in range(0, len(records), 4):
            part = slice(first, first + 4)
            made = pipeline(
                stills[part],
                efs[part],
                num_frames=NUM_FRAMES,
                num_inference_steps=facts.num_inference_steps,
                guidance_scale=facts.guidance_scale,
                generator=rng.generators(0, "motion", range(len(records))[part]),
            ).latents
            videos += [grey(codec.decode(v.transpose(0, 1))).numpy() for v in made]
        seconds = (time.process_time() - start) / len(records)
        pairs = []
        for video, record, wanted in zip(videos, records, efs, strict=True):
            view: Any = record.cell("View") or "A4C"
            measured = ef_from_area(track_lv(video, view).areas, view)
            if measured is not None:
                pairs.append((measured, wanted))
        measured_efs, wanted_efs = np.array(pairs).T
        of_real, of_made = base @ components.T, features(np.stack(videos)) @ components.T
        result[name] = cost | {
            "parameters": sum(p.numel() for p in pipeline.unet.parameters()),
            "steps_of_sampling": facts.num_inference_steps,
            "cpu_s_a_video": seconds,
            "untracked": len(records) - len(pairs),
            "ef": regression_report(measured_efs, wanted_efs).to_json(),
            "frechet": frechet_distance(moments(of_made), moments(of_real)),
            "frechet_floor": frechet_distance(moments(of_real[:half]), moments(of_real[half:])),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
