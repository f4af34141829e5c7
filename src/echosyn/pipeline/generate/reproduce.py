"""``echosyn reproduce``: a real video beside the one that the LVDM makes of its first frame and its EF."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from echosyn import device as devices
from echosyn import rng, weights
from echosyn.data import clips, filelist, video
from echosyn.data.frames import Frames
from echosyn.data.records import Record
from echosyn.diffusion.codec import LatentCodec, check_frames
from echosyn.diffusion.pipelines import LatentVideoPipeline
from echosyn.errors import ConfigError, DataError
from echosyn.files import whole
from echosyn.pipeline.folder import new_folder
from echosyn.pipeline.generate.animation import Motion, beat, motion_for, textured
from echosyn.pipeline.given_stills import encoded
from echosyn.pipeline.models import codec, video_pipeline
from echosyn.pipeline.workers.compute import HERE, Compute
from echosyn.settings.making import AnimationSettings, ReproduceSettings

TABLE = "pairs.csv"


def reproduce(
    dataset: Path, out: Path, models: Mapping[str, Path], asked: ReproduceSettings, compute: Compute = HERE
) -> dict[str, Any]:
    """Write ``OUT/NAME.gif`` and ``OUT/NAME.mp4``, the real video left of its reproduction, and `TABLE`; for the house only.

    Both play at the LVDM's rate; where the real video ends first, its last frame stands.

    Args:
        dataset: dataset folder, whose videos have an EF.
        out: new folder.
        models: model folders: ``lvdm``, and the ``vae`` that encodes the frame.
        asked: which videos, and how they are animated; a reproduction's noise depends on (seed, its place in the list).
        compute: where.

    Raises:
        DataError: no video of the split has an EF, or a frame is asked for that a video does not have.
    """
    if asked.num < 1 or asked.frame < 0:
        raise ConfigError(f"--num {asked.num} --frame {asked.frame}: expected at least 1, and a frame from 0 on")
    records = [r for r in filelist.read(dataset) if r.split == asked.split and r.ef is not None]
    if not records:
        raise DataError(f"{dataset}: no {asked.split} video has an EF, which the reproduction is asked to have")
    by_ef = sorted(records, key=lambda record: (record.ef, record.name))
    chosen = [by_ef[i] for i in clips.spaced(len(by_ef), asked.num)]
    device = devices.resolve(compute.device)
    pipeline = video_pipeline(models["lvdm"], models["vae"], device, asked.scheduler, asked.config)
    encoder = codec(models["vae"], device)
    names = ("num_frames", "steps", "scheduler", "hop", "blend", "guidance_scale", "no_texture")
    motion = motion_for(models["lvdm"], AnimationSettings(**{name: getattr(asked, name) for name in names}))
    motion.check(pipeline)
    settings = {"num": asked.num, "split": asked.split, "frame": asked.frame, "seed": asked.seed} | motion.described()
    inputs = {"dataset": dataset} | {stage: weights.resolve(models[stage]) for stage in ("lvdm", "vae")}
    inputs |= {"config": asked.config} if asked.config else {}
    with new_folder(out, "reproduce", settings, inputs) as folder:
        index = filelist.VideoIndex(dataset)
        for done, record in enumerate(chosen, 1):
            if not (folder / f"{record.name}.mp4").exists():
                real = video.read(index.path(record))
                made = _reproduced(real.grey(), record, done - 1, pipeline, encoder, motion, asked)
                frames = side_by_side(real.grey(), real.fps, made, pipeline.config.fps)
                video.write_gif(folder / f"{record.name}.gif", frames, pipeline.config.fps)
                video.write_mp4(folder / f"{record.name}.mp4", frames, pipeline.config.fps)
            compute.progress("reproduce", done, len(chosen))
        with whole(folder / TABLE) as path, path.open("w", newline="") as file:
            csv.writer(file).writerows([["FileName", "EF", "Frame"], *([r.name, r.ef, asked.frame] for r in chosen)])
    return {"pairs": str(out), "videos": len(chosen), "note": "shows real videos: keep it in the house"}


def side_by_side(real: Frames, real_fps: float, made: Frames, fps: float) -> Frames:
    """Two videos ``(T, H, W)`` of one height as one ``(T, H, 2 W)`` of the length and rate of the second."""
    places = clips.resampled(len(real), real_fps, fps)
    shown = real[places[np.minimum(np.arange(len(made)), len(places) - 1)]]
    return np.concatenate([shown, made], axis=2)


def _reproduced(
    real: Frames,
    record: Record,
    place: int,
    pipeline: LatentVideoPipeline,
    encoder: LatentCodec,
    motion: Motion,
    asked: ReproduceSettings,
) -> Frames:
    """The video ``(T, H, W)`` that begins with a frame of a real one and has its EF."""
    if asked.frame >= len(real):
        raise DataError(f"{record.name}: has {len(real)} frames, --frame {asked.frame} is none of 0..{len(real) - 1}")
    check_frames(real.shape[1:])
    still = torch.from_numpy(real[asked.frame : asked.frame + 1])
    heart = encoded(encoder, still, [place], asked.seed)
    ef = float(record.ef or 0.0)
    made: Frames = beat(pipeline, heart, [ef], rng.generators(asked.seed, "motion", [place]), motion)[0]
    return textured(pipeline, made, asked.seed, place, motion)
