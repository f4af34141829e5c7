"""How well textures stand for the grain of recordings: phantoms through the VAE that ships, without and with its texture.

Reconstructions of phantoms that nothing was fitted to, judged by `echosyn.metrics`: classifiers against the recorded
files of other phantoms, power by octave, persistence. Prints JSON; takes some minutes.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from echosyn import __version__, weights
from echosyn.data import phantom
from echosyn.data.background import background
from echosyn.metrics import speckle, spectrum
from echosyn.metrics.two_sample import classifier_auc_with_interval
from echosyn.nn import efficientnet_lite
from echosyn.pipeline.models import codec
from echosyn.texture import Texture

Frames = NDArray[np.uint8]


def phantoms(seed: int, num: int, num_frames: int) -> list[Frames]:
    """Of both views, as recorded."""
    return [
        phantom.render(phantom.patient(seed, i, view=("A4C", "PSAX")[i % 2], num_frames=64, fps=32.0))[:num_frames]
        for i in range(num)
    ]


class Judge:
    """Classifiers and powers against recorded videos."""

    def __init__(self, recorded: Sequence[Frames]) -> None:
        self.network = efficientnet_lite.load()
        self.recorded = self.features(recorded)

    @torch.no_grad()
    def features(self, videos: Sequence[Frames]) -> dict[str, NDArray[np.float64]]:
        """By space: ``(videos, rows, numbers)``."""
        rows: dict[str, list[NDArray[np.float64]]] = {}
        for video in videos:
            inside, few = ~background(video), video[:: len(video) // 3][:3]
            image = torch.from_numpy(few).float()[:, None].expand(-1, 3, -1, -1) / 127.5 - 1.0
            found = {
                "efficientnet-lite0": self.network.pooled(image).numpy(),
                "spectrum": spectrum.spectrum(few, inside),
                "speckle": speckle.speckle(few, inside),
                "speckle-motion": speckle.speckle_motion(video, inside)[None],
            }
            for name, values in found.items():
                rows.setdefault(name, []).append(values)
        return {name: np.stack(values) for name, values in rows.items()}

    def __call__(self, videos: Sequence[Frames]) -> dict[str, object]:
        """AUC of each space with its interval, power over recorded by octave in space, persistence."""
        found = self.features(videos)
        figures: dict[str, object] = {}
        for name, values in found.items():
            mine = self.recorded[name]
            a, b = (x.reshape(-1, x.shape[-1]) for x in (mine, values))
            p, q = (np.repeat(np.arange(len(x)), x.shape[1]) for x in (mine, values))
            figures[f"AUC {name}"] = classifier_auc_with_interval(a, b, p, q, 0).to_json()
        power = [np.exp(x["spectrum"][..., : spectrum.RINGS]).mean((0, 1)) for x in (found, self.recorded)]
        figures["power over recorded"] = {
            name: round(float(power[0][low:high].mean() / power[1][low:high].mean()), 3)
            for name, (low, high) in spectrum.OCTAVES.items()
        }
        lags = len(speckle.TIMES)
        figures["persistence, recorded and here"] = [
            x["speckle-motion"][:, 0, -lags:].mean(0).round(3).tolist() for x in (self.recorded, found)
        ]
        return figures


def main() -> None:
    """Lay, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vae", type=Path, default=weights.shipped() / "vae", help="model folder with a texture")
    parser.add_argument("--num", type=int, default=100, help="phantoms a side")
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--seed", type=int, default=4100)
    asked = parser.parse_args()
    texture, vae = Texture.load(asked.vae), codec(asked.vae, torch.device("cpu"))
    if texture is None:
        parser.error(f"{asked.vae} has no texture")
    recorded, others = (phantoms(asked.seed + i, asked.num, asked.frames) for i in (0, 1))
    decoded = [vae.reconstruct(torch.from_numpy(video)).numpy() for video in recorded]
    before = time.process_time()
    laid = [texture.lay(video, asked.seed, i) for i, video in enumerate(decoded)]
    spent = (time.process_time() - before) / (asked.num * asked.frames)
    judge = Judge(others)
    result = {
        "version": __version__,
        "asked": {"num": asked.num, "frames": asked.frames, "seed": asked.seed},
        "lay, CPU ms a frame": round(spent * 1000, 2),
        "other patients": judge(recorded),
        "through the VAE": judge(decoded),
        "with texture": judge(laid),
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
