"""What sharper latents would give: VAEs of other latents, or larger ones, at equal CPU time; prints JSON.

    python benchmarks/latent_sizes.py FOLDER --minutes 9

Each learns for the same CPU time from the TRAIN phantoms of the VAE that ships, gets a texture fitted on them, and is judged on
phantoms of another seed: PSNR of decoded frames, and how well classifiers tell decoded videos from recorded ones of other
patients, without and with texture. FOLDER keeps everything, so a stopped run goes on.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from echosyn import __version__, weights
from echosyn.diffusion.codec import LatentCodec
from echosyn.metrics.image import psnr
from echosyn.pipeline.ingest.phantom import make_phantom
from echosyn.pipeline.models import codec
from echosyn.pipeline.train.texture import learned
from echosyn.pipeline.train.train import train
from echosyn.pipeline.workers.compute import Compute
from echosyn.settings.training import ResumeSettings, TextureFitSettings
from echosyn.training import catalog
from texture import Judge, phantoms

NETWORKS = {
    "4 x 14 x 14": {},
    "8 x 14 x 14": {"latent_channels": 8},
    "16 x 14 x 14": {"latent_channels": 16},
    "4 x 28 x 28": {"block_out_channels": [96]},
    "4 x 14 x 14, larger": {"block_out_channels": [96, 144], "layers_per_block": 2},
}
"""What differs from the network of the preset."""
TRIAL_STEPS = 12
CPU = Compute("cpu")


def learn(data: Path, out: Path, network: dict[str, Any], steps: int) -> float:
    """Train, or go on; CPU seconds."""
    overrides = [f"network.{name}={json.dumps(value)}" for name, value in network.items()]
    settings = catalog.settings("vae", "phantom-full", overrides=[*overrides, f"loop.steps={steps}"])
    start = time.process_time()
    train("vae", data, out, settings=settings, resume=ResumeSettings(resume=True), compute=CPU)
    return time.process_time() - start


def steps_in(data: Path, scratch: Path, network: dict[str, Any], minutes: float) -> int:
    """How many steps fit into so much CPU time, from two short trainings."""
    short, long = (learn(data, scratch / str(n), network, n) for n in (2, 2 + TRIAL_STEPS))
    return max(50, int(minutes * 60 * TRIAL_STEPS / (long - short)) // 10 * 10)


def judged(vae: Path, data: Path, judge: Judge, recorded: list[np.ndarray], videos: int) -> dict[str, Any]:
    """PSNR, and the classifiers without and with texture."""
    autoencoder = codec(vae, torch.device("cpu"))
    decoded = [autoencoder.reconstruct(torch.from_numpy(video)).numpy() for video in recorded]
    texture, *_ = learned(data, vae, TextureFitSettings(videos=videos, seed=1), CPU)
    laid = [texture.lay(video, 1, i) for i, video in enumerate(decoded)]
    error = psnr(*(torch.from_numpy(np.concatenate(videos)) for videos in (decoded, recorded))).mean
    return {"psnr": error, "decode, CPU ms a frame": speed(autoencoder, recorded[0]), "decoded": judge(decoded),
            "with texture": judge(laid)}  # fmt: skip


def speed(autoencoder: LatentCodec, video: np.ndarray) -> float:
    """Of decoding alone."""
    latents = autoencoder.encode(torch.from_numpy(video))
    start = time.process_time()
    autoencoder.decode(latents)
    return round((time.process_time() - start) / len(video) * 1000, 2)


def main() -> None:
    """Train, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=480, help="phantoms to learn from, held-out ones included")
    parser.add_argument("--minutes", type=float, default=9.0, help="CPU minutes of each training")
    parser.add_argument("--num", type=int, default=60, help="phantoms a side to judge on")
    parser.add_argument("--videos", type=int, default=160, help="of the texture's fit")
    parser.add_argument("--seed", type=int, default=4300)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    asked = parser.parse_args()
    data = asked.folder / "phantoms"
    if not data.exists():
        make_phantom(data, num=asked.train, seed=1, view="both", num_frames=64, fps=32.0)
    recorded, others = (phantoms(asked.seed + i, asked.num, 40) for i in (0, 1))
    judge = Judge(others)
    result: dict[str, Any] = {"version": __version__, "asked": {**vars(asked), "folder": None}, "networks": {}}
    for name in asked.networks:
        folder = asked.folder / name.replace(" ", "").replace(",", "-")
        folder.mkdir(exist_ok=True)
        done = folder / "figures.json"
        if not done.exists():
            network = NETWORKS[name]
            steps = steps_in(data, folder / "trial", network, asked.minutes)
            spent = learn(data, folder / "vae", network, steps)
            found = judged(weights.resolve(folder / "vae"), data, judge, recorded, asked.videos)
            done.write_text(json.dumps({"steps": steps, "CPU minutes": round(spent / 60, 1)} | found))
        result["networks"][name] = json.loads(done.read_text())
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
