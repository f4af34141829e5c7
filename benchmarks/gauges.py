"""Which gauge sees which damage? Prints JSON; --table FILE prints such a result as the table of docs/metrics.md.

Patients are split in two. One half is compared with the other as it is, and after each damage: a gauge that claims to see a
damage must come out worse than without it. Without --recordings, phantoms are rendered.
"""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from scipy import ndimage

from echosyn import __version__, rng
from echosyn.data import filelist, phantom, video
from echosyn.data.records import Record
from echosyn.pipeline.evaluate.fidelity import protocols
from echosyn.pipeline.evaluate.fidelity.fidelity import fidelity
from echosyn.pipeline.evaluate.fidelity.protocols import Protocol

FPS = 32.0
SIGMA = 2.0
"""Pixels: what a Gaussian of this width leaves of a frame is its grain."""
CLEAN = "none"


def blurred(frames: np.ndarray, sigma: float) -> np.ndarray:
    """Each frame alone, ``(T, H, W)`` uint8."""
    return _grey(ndimage.gaussian_filter(frames.astype(np.float32), (0, sigma, sigma)))


def with_static_noise(frames: np.ndarray, seed: int, deviation: float = 8.0) -> np.ndarray:
    """The same noise on every frame, inside the sector: it sticks to the screen."""
    noise = rng.numpy_generator(seed, "static noise").normal(0, deviation, frames.shape[1:])
    return _grey(frames + noise * frames.any(axis=0))


def with_grain_of(frames: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """Local means as they are, the grain of other frames: of the first for ever, or of one after the other in any order."""
    means = ndimage.gaussian_filter(frames.astype(np.float32), (0, SIGMA, SIGMA))
    return _grey((means + (frames - means)[order]) * (frames > 0))


def checkered(frames: np.ndarray, levels: float = 3.0) -> np.ndarray:
    """A checkerboard of single pixels, as decoders leave, inside the sector."""
    board = 1 - 2 * (np.indices(frames.shape[1:]).sum(axis=0) % 2)
    return _grey(frames + levels * board * frames.any(axis=0))


def _shuffle(frames: np.ndarray, seed: int) -> np.ndarray:
    return rng.numpy_generator(seed, "shuffled").permutation(len(frames))


def _grey(frames: np.ndarray) -> np.ndarray:
    return frames.round().clip(0, 255).astype(np.uint8)


DAMAGES: Mapping[str, Callable[[np.ndarray, int], np.ndarray]] = {
    CLEAN: lambda frames, seed: frames,
    "blur, sigma 1": lambda frames, seed: blurred(frames, 1.0),
    "blur, sigma 2": lambda frames, seed: blurred(frames, 2.0),
    "static noise": with_static_noise,
    "checkerboard": lambda frames, seed: checkered(frames),
    "frozen texture": lambda frames, seed: with_grain_of(frames, [0] * len(frames)),
    "flickering texture": lambda frames, seed: with_grain_of(frames, _shuffle(frames, seed)),
    "shuffled frames": lambda frames, seed: frames[_shuffle(frames, seed)],
}

_BLUR = ("blur, sigma 1", "blur, sigma 2")
_STILL = (*_BLUR, "static noise", "checkerboard")
_TIME = ("frozen texture", "flickering texture", "shuffled frames")
CLAIMS: Mapping[str, Sequence[str]] = {
    "classifier/efficientnet-lite0": (*_BLUR, "static noise"),
    "frechet/efficientnet-lite0": _BLUR,
    "kernel/efficientnet-lite0": _BLUR,
    "precision/efficientnet-lite0": _BLUR[1:],
    "density/efficientnet-lite0": _BLUR[1:],
    "coverage/efficientnet-lite0": _BLUR[1:],
    "classifier/spectrum": _STILL,
    "power_ratio/spectrum": _BLUR,
    "frechet/spectrum": _STILL,
    "density/spectrum": _STILL,
    "coverage/spectrum": _STILL,
    "classifier/speckle": (*_BLUR, "static noise"),
    "frechet/speckle": (*_BLUR, "static noise"),
    "density/speckle": _BLUR,
    "coverage/speckle": _BLUR,
    "classifier/speckle-motion": (*_BLUR, *_TIME),
    "power_ratio/speckle-motion": (*_BLUR, *_TIME),
    "persistence/speckle-motion": _TIME,
    "frechet/speckle-motion": (*_BLUR, *_TIME),
    "frechet/lite0-debiased": ("flickering texture", "shuffled frames"),
    "frechet/motion": ("shuffled frames",),
}
"""Damages that each gauge claims to see, by number and feature space; the others are shown, too, and claim none of these."""


def badness(number: str, value: float) -> float:
    """Rises as a number gets worse."""
    if number == "power_ratio":
        return abs(float(np.log(max(value, 1e-9))))
    if number in ("precision", "recall", "density", "coverage", "retrieval"):
        return -value
    return abs(value) if number == "persistence" else value


def write(folder: Path, clips: Sequence[np.ndarray], fps: float) -> Path:
    """A dataset folder of held-out patients, one clip each."""
    (folder / "Videos").mkdir(parents=True)
    records = []
    for i, clip in enumerate(clips):
        video.write_avi(folder / "Videos" / f"v{i:04d}.avi", clip, fps)
        records.append(Record(f"v{i:04d}", ef=None, fps=fps, num_frames=len(clip), split="TEST", extra={}))
    filelist.write(folder, records)
    return folder


def measured(
    clips: Sequence[np.ndarray],
    protocol: Protocol,
    folder: Path,
    fps: float = FPS,
    damages: Sequence[str] = tuple(DAMAGES),
) -> dict[str, dict[str, dict[str, Any]]]:
    """Numbers by ``number/space/sampling`` and damage: the first half of the clips against the second half, damaged.

    Args:
        clips: one a patient, ``(T, H, W)`` uint8.
        protocol: what to measure.
        folder: for the two sides and their features.
        fps: of the clips.
        damages: which.
    """
    half = len(clips) // 2
    real = write(folder / "real", clips[:half], fps)
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for damage in damages:
        damaged = [DAMAGES[damage](clip, i) for i, clip in enumerate(clips[half:])]
        synthetic = write(folder / damage, damaged, fps)
        # the real side's features are made once: they lie in the same folder each time
        work = folder / "features"
        shutil.rmtree(work / "synthetic", ignore_errors=True)
        for key, shown in fidelity(real, synthetic, work, protocol)["numbers"].items():
            found.setdefault(key, {})[damage] = shown
    return found


def seen(key: str, of_damages: Mapping[str, Mapping[str, Any]], damage: str) -> bool:
    """Whether a number is worse with a damage than without, by more than its spread between real patients."""
    number = key.split("/")[0]
    clean, damaged = (badness(number, of_damages[d]["value"]) for d in (CLEAN, damage))
    spread = (of_damages[CLEAN].get("real_against_real") or {"spread": 0.0})["spread"]
    return bool(damaged - clean > spread)


def as_table(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Markdown; bold is what a gauge claims to see and sees, MISSED what it claims and does not see."""
    damages = list(next(iter(found.values())))
    lines = [
        "| gauge | " + " | ".join(["real against real", *damages]) + " |",
        "| --- |" + " --- |" * (len(damages) + 1),
    ]
    for key, row in found.items():
        claims = CLAIMS.get("/".join(key.split("/")[:2]), ())
        cells = [f"{(row[CLEAN].get('real_against_real') or {'value': float('nan')})['value']:.3g}"]
        for damage in damages:
            text = f"{row[damage]['value']:.3g}"
            if damage in claims:
                text = f"**{text}**" if seen(key, row, damage) else f"{text} MISSED"
            cells.append(text)
        shown = row[CLEAN]
        lines.append(f"| {shown['name']}, `{shown['space']}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Render or read, damage, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--recordings", type=Path, help="folder of recordings, one a patient, at any one frame rate")
    parser.add_argument("--protocol", default="echosyn-v3")
    parser.add_argument("--table", type=Path, help="print a result's table, and measure nothing")
    arguments = parser.parse_args()
    if arguments.table:
        print(as_table(json.loads(arguments.table.read_text())["numbers"]))
        return
    started = time.process_time()
    protocol, fps = protocols.load(arguments.protocol), FPS
    if arguments.recordings:
        recordings = [video.read(path) for path in sorted(arguments.recordings.iterdir())]
        clips, fps = [r.grey() for r in recordings], float(np.median([r.fps for r in recordings]))
        data = f"{len(clips)} recordings at {fps:.3g} fps"
    else:
        views = get_args(phantom.View)
        clips = [
            phantom.render(phantom.patient(arguments.seed, i, num_frames=64, fps=FPS, view=views[i % len(views)]))
            for i in range(arguments.patients)
        ]
        data = f"{len(clips)} phantoms of both views, seed {arguments.seed}"
    # without TRAIN videos there is nothing to retrieve from; too slow recordings say nothing about the life of speckle
    measures = tuple(m for m in protocol.measures if "retrieval" not in m.numbers and m.sampling != "long")
    if fps < FPS:
        measures = tuple(m for m in measures if m.space in ("efficientnet-lite0", "spectrum", "speckle", "radiomics"))
    used = {m.sampling for m in measures}
    samplings = {name: sampling for name, sampling in protocol.samplings.items() if name in used}
    protocol = protocol.model_copy(update={"measures": measures, "samplings": samplings})
    with tempfile.TemporaryDirectory() as folder:
        rows = measured(clips, protocol, Path(folder), fps)
    found = {key: row for key, row in rows.items() if all(shown["value"] is not None for shown in row.values())}
    kept = ("value", "name", "space", "real_against_real")
    result = {
        "benchmark": "gauges",
        "version": __version__,
        "data": data,
        "protocol": arguments.protocol,
        "numbers": {key: {damage: {k: shown[k] for k in (kept if damage == CLEAN else kept[:1]) if k in shown}
                          for damage, shown in row.items()}
                    for key, row in found.items()},
        "missed": [f"{key}: {d}" for key, row in found.items() for d in CLAIMS.get("/".join(key.split("/")[:2]), ())
                   if not seen(key, row, d)],
        "cpu_seconds": round(time.process_time() - started, 1),
    }  # fmt: skip
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
