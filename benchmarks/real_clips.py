"""Held-out recordings through a decoder that was adapted on a few others, beside the one that ships; prints JSON.

    OMP_NUM_THREADS=1 python benchmarks/real_clips.py CLIPS WORK

CLIPS has MP4s of 112 x 112 pixels, or twice as wide, of which the left half is taken; each is of one patient. The first three by
name are TRAIN, the others are judged: power by octave over that of the recording, and how well a linear classifier tells frames
from recorded ones (folds by patient: with two patients a side, far from exact). WORK shows patients.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from looks import lite0, power, spectra

from echosyn import weights
from echosyn.data import filelist, video
from echosyn.data.clips import resampled
from echosyn.data.records import Record
from echosyn.diffusion.codec import grey
from echosyn.metrics import spectrum
from echosyn.metrics.image import psnr
from echosyn.metrics.two_sample import classifier_auc
from echosyn.nn import efficientnet_lite
from echosyn.pipeline.models import codec
from echosyn.pipeline.train.texture import learned_or_kept
from echosyn.pipeline.train.train import train
from echosyn.pipeline.workers.compute import Compute
from echosyn.settings.training import ResumeSettings, TextureFitSettings
from echosyn.texture import Texture
from echosyn.training import catalog

HERE = Compute("cpu")
TRAIN = 3
FPS = 32.0


def dataset(out: Path, clips: Path) -> Path:
    """The clips as a dataset folder."""
    if not out.exists():
        (out / filelist.VIDEOS).mkdir(parents=True)
        records = []
        for i, path in enumerate(sorted(clips.glob("*.mp4"))):
            found = video.read(path)
            frames = found.grey()[:, :, : found.frames.shape[1]]
            video.write_avi(out / filelist.VIDEOS / f"{path.stem}.avi", frames, found.fps)
            split = "TRAIN" if i < TRAIN else "VAL"
            records.append(Record(path.stem, split=split, fps=found.fps, num_frames=len(frames), height=112, width=112))
        filelist.write(out, records)
    return out


def judged(data: Path, vae: Path) -> dict[str, Any]:
    """Held-out recordings through a VAE and its texture."""
    encoder, texture, index = (
        codec(vae, torch.device("cpu")),
        Texture.load(weights.resolve(vae)),
        filelist.VideoIndex(data),
    )
    lite = efficientnet_lite.load()
    sides: dict[str, list[np.ndarray]] = {"real": [], "through": []}
    ratios, errors = [], []
    for i, record in enumerate(r for r in filelist.read(data) if r.split != "TRAIN"):
        found = video.read(index.path(record))
        frames = found.grey()[resampled(len(found.frames), found.fps, FPS)]
        back = grey(encoder.decode(encoder.encode(torch.from_numpy(frames)))).numpy()
        errors.append(psnr(torch.from_numpy(back), torch.from_numpy(frames)).mean)
        shown = back if texture is None else texture.lay(back, 0, i)
        ratios.append(power([shown]) / power([frames]))
        sides["real"].append(frames)
        sides["through"].append(shown)
    mean = np.mean(ratios, axis=0)
    codes = {name: np.repeat(np.arange(len(x)), [len(f) for f in x]) for name, x in sides.items()}
    features = {
        "efficientnet-lite0": [np.concatenate([lite0(x, lite) for x in side]) for side in sides.values()],
        "spectrum": [spectra(side) for side in sides.values()],
    }
    areas = {
        name: classifier_auc(real, through, codes["real"], codes["through"], seed=0)
        for name, (real, through) in features.items()
    }
    bands = {name: round(float(mean[slice(*ends)].mean()), 3) for name, ends in spectrum.OCTAVES.items()}
    return {"psnr": float(np.mean(errors)), "power_ratio": bands, "auc": areas, "frames": len(codes["real"])}


def main() -> None:
    """Adapt, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("work", type=Path)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    data, started = dataset(args.work / "data", args.clips), time.process_time()
    result: dict[str, Any] = {"shipped": judged(data, weights.shipped() / "vae")}
    for name, frozen in (("adapted", False), ("decoder alone", True)):
        out = args.work / name
        if not (out / "model").is_dir():
            settings = catalog.settings("vae", "adapt", overrides=["start=shipped", f"freeze_encoder={frozen}"])
            train("vae", data, out, settings=settings, resume=ResumeSettings(resume=True), compute=HERE)
            texture = learned_or_kept(data, out / "model", weights.shipped() / "vae", TextureFitSettings(), HERE)
            assert texture is not None
            texture.save(out / "model")
        result[name] = judged(data, out / "model")
    print(json.dumps(result | {"cpu_minutes": round((time.process_time() - started) / 60, 1)}))


if __name__ == "__main__":
    main()
