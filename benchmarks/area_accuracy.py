"""How well the tracked LV area measures EF and heart rate on phantoms: prints one JSON object.

    python benchmarks/area_accuracy.py --view PSAX --num 200 --seed 9002 --vae runs/vae/model

Each phantom is rendered with 192 frames at 32 fps and measured sharp, with its first 64 frames, blurred with noise and
another gain, after a round trip through the VAE, and frozen with flickering brightness (whose true EF is 0).
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from echosyn import rng
from echosyn.data import phantom
from echosyn.diffusion.codec import LatentCodec
from echosyn.metrics.area import ef_from_area, track_lv
from echosyn.metrics.physiology import rhythm
from echosyn.metrics.regression import regression_report
from echosyn.pipeline.models import codec

FPS = 32.0


def degraded(frames, seed, index):
    """Blurred by one pixel, another gain, noise inside of the fan."""
    from scipy import ndimage

    generator = rng.numpy_generator(seed, "area accuracy", index)
    blurred = ndimage.gaussian_filter(frames.astype(np.float32), (0, 1, 1)) * generator.uniform(0.6, 1.4)
    return (blurred + generator.normal(0, 6, frames.shape) * (frames > 0)).clip(0, 255).astype(np.uint8)


def flickering(frames):
    """The first frame, brighter and darker."""
    gain = 1 + 0.15 * np.sin(np.arange(len(frames)) / 3)
    return (frames[:1] * gain[:, None, None]).clip(0, 255).astype(np.uint8)


def round_trip(autoencoder: LatentCodec, frames):
    """Through the VAE and back."""
    return autoencoder.reconstruct(torch.from_numpy(frames)).numpy()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--view", choices=("A4C", "PSAX"), default="A4C")
    parser.add_argument("--num", type=int, default=200)
    parser.add_argument("--seed", type=int, default=9002)
    parser.add_argument("--vae", type=Path)
    args = parser.parse_args()
    autoencoder = codec(args.vae, torch.device("cpu")) if args.vae else None

    truth, rates, seconds = [], [], []
    efs: dict[str, list[float]] = {}
    found_rates: dict[str, list[float]] = {}
    for i in range(args.num):
        patient = phantom.patient(args.seed, i, view=args.view, num_frames=192, fps=FPS)
        frames = phantom.render(patient)
        kinds = {"192 frames": frames, "64 frames": frames[:64], "degraded": degraded(frames[:64], args.seed, i)}
        kinds["flicker"] = flickering(frames[:64])
        if autoencoder is not None:
            kinds["vae"] = round_trip(autoencoder, frames[:64])
        truth.append(patient.ef)
        rates.append(patient.heart_rate)
        for kind, pixels in kinds.items():
            start = time.process_time()
            areas = track_lv(pixels, args.view).areas
            if len(pixels) == 64:
                seconds.append(time.process_time() - start)
            ef = ef_from_area(areas, args.view)
            efs.setdefault(kind, []).append(np.nan if ef is None else ef)
            rate = rhythm(areas, FPS, args.view).heart_rate
            found_rates.setdefault(kind, []).append(np.nan if rate is None else rate)

    flicker = np.array(efs.pop("flicker"))
    result = {"view": args.view, "n": args.num, "seed": args.seed, "cpu_s_per_64_frames": float(np.mean(seconds))}
    result["flicker"] = {"mean": float(np.nanmean(flicker)), "p95": float(np.nanquantile(flicker, 0.95))}
    for kind, values in efs.items():
        measured, target = np.array(values), np.array(truth)
        known = np.isfinite(measured)
        slope, offset = np.polyfit(measured[known], target[known], 1)
        error = np.array(found_rates[kind]) / np.array(rates) - 1
        result[kind] = {
            "ef": regression_report(measured[known], target[known]).to_json(),
            "unmeasured": int((~known).sum()),
            "calibration": [float(slope), float(offset)],
            "mae_if_calibrated_here": float(np.abs(slope * measured + offset - target)[known].mean()),
            "heart_rate_off_by_over_5_percent": float(np.mean(~(np.abs(error) <= 0.05))),
            "heart_rate_median_error_percent": float(100 * np.nanmedian(np.abs(error))),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
