"""How far apart are frames and the very same frames after JPEG? Prints JSON.

The reference scored image samples of JPEG quality 75 against real frames of quality 100. Here both sides hold the *same* phantom
frames, so a perfect score would be 0: what is measured is the encoding alone, in two feature spaces, beside the distance of real
frames to other real frames (disjoint patients, half of the frames on each side).
"""

import argparse
import io
import json
import time

import numpy as np
from PIL import Image

from echosyn import __version__
from echosyn.data import phantom
from echosyn.metrics.floor import halves
from echosyn.metrics.frechet import frechet_distance
from echosyn.metrics.moments import moments
from echosyn.pipeline.evaluate.fidelity.feature_spaces import Places, Space, spaces

SPACES = ("efficientnet-lite0", "radiomics")
QUALITIES = (75, 100)
PER_PATIENT = 20


def frames_of(patients: int, seed: int) -> np.ndarray:
    """Frames of phantoms, spread over two seconds, ``(patients, PER_PATIENT, H, W)``."""
    chosen = np.linspace(0, 63, PER_PATIENT).round().astype(int)
    return np.stack(
        [phantom.render(phantom.patient(seed, i, num_frames=64, fps=32.0))[chosen] for i in range(patients)]
    )


def compressed(frame: np.ndarray, quality: int) -> np.ndarray:
    """A grey frame after JPEG, as pillow writes it by default."""
    with io.BytesIO() as buffer:
        Image.fromarray(frame).save(buffer, "JPEG", quality=quality)
        return np.asarray(Image.open(buffer))


def features(space: Space, videos: np.ndarray) -> np.ndarray:
    """``(frames, d)``."""
    return np.concatenate([space.extract(frames, None) for frames in videos]).astype(np.float64)


def effect(space: Space, videos: np.ndarray) -> dict[str, float | int | bool]:
    """Distances in one space, each dimension over its standard deviation where the space asks for it."""
    lossless = features(space, videos)
    scale = np.maximum(lossless.std(axis=0), 1e-9) if space.standardized else 1.0
    owners = np.repeat(np.arange(len(videos)), PER_PATIENT)
    own = moments(lossless / scale)
    found: dict[str, float | int | bool] = {"dim": own.dim, "n": own.count, "patients": len(videos)}
    for quality in QUALITIES:
        coded = np.stack([[compressed(f, quality) for f in frames] for frames in videos])
        found[f"quality {quality} against lossless"] = frechet_distance(own, moments(features(space, coded) / scale))
    floors = []
    for repeat in range(3):
        left, right = halves(owners, 0, repeat)
        floors.append(frechet_distance(moments(lossless[left] / scale), moments(lossless[right] / scale)))
    found["real against real, disjoint patients"] = float(np.mean(floors))
    found["n of real against real"] = len(left)
    return found


def main() -> None:
    """Render, compress, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    started = time.process_time()
    videos = frames_of(arguments.patients, arguments.seed)
    loaded = spaces(set(SPACES), Places(device="cpu"))
    result = {
        "benchmark": "jpeg_effect",
        "version": __version__,
        "data": f"{arguments.patients} phantoms, {PER_PATIENT} frames each, seed {arguments.seed}",
        "frechet": {name: effect(loaded[name], videos) for name in SPACES},
        "cpu_seconds": round(time.process_time() - started, 1),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
