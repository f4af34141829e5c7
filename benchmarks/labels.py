"""How good are the labels that the tracked cavity gives? Measured on phantoms, where all is known; prints JSON.

    python benchmarks/labels.py --num 60 --seed 9700

For each view: EF by area and by the discs of the tracings against the truth, Dice of the traced outline with the true cavity
at end-diastole and end-systole, signed relative error of the long axis, and the part of the stroke volume by which the frames of
end-diastole and end-systole are off.
"""

import argparse
import json
from typing import Any

import numpy as np
from matplotlib.path import Path as Polygon

from echosyn.data import phantom
from echosyn.metrics.area import ef_from_area, track_lv
from echosyn.metrics.regression import regression_report
from echosyn.pipeline.tracking.tracings import chords, volume

FPS, FRAMES, SIZE = 32.0, 64, 112


def dice(outline: np.ndarray, mask: np.ndarray) -> float:
    """Overlap of a closed line and a mask, 0 to 1."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    drawn = Polygon(outline).contains_points(np.stack([columns.ravel(), rows.ravel()], -1)).reshape(SIZE, SIZE)
    return float(2 * (drawn & mask).sum() / (drawn.sum() + mask.sum()))


def of_view(view: str, num: int, seed: int) -> dict[str, Any]:
    """All figures of one view."""
    truth, by_area, by_discs, untracked = [], [], [], 0
    overlap: dict[str, list[float]] = {"diastole": [], "systole": []}
    lengths, delays = [], []
    for i in range(num):
        heart = phantom.patient(seed, i, view=view, num_frames=FRAMES, fps=FPS)
        tracked = track_lv(phantom.render(heart), view)
        ef = ef_from_area(tracked.areas, view)
        if ef is None:
            untracked += 1
            continue
        frames = int(tracked.areas.argmax()), int(tracked.areas.argmin())
        traced = [chords(outline, view) for outline in (tracked.diastole, tracked.systole)]
        truth.append(heart.ef)
        by_area.append(ef)
        by_discs.append(100 * (1 - volume(traced[1]) / volume(traced[0])))
        masks = phantom.lv_mask(heart, frames)
        for name, outline, mask in zip(overlap, (tracked.diastole, tracked.systole), masks, strict=True):
            overlap[name].append(dice(outline, mask))
        known = np.array([[t.x1, t.y1, t.x2, t.y2] for t in phantom.tracings(heart, "x.avi")])
        true = np.hypot(*(known[0, 2:] - known[0, :2]))
        lengths.append(np.hypot(*(traced[0][0, 1] - traced[0][0, 0])) / true - 1)
        ejected = 1 - phantom.volumes(heart) / heart.edv
        delays.append([ejected[frames[0]] / (heart.ef / 100), 1 - ejected[frames[1]] / (heart.ef / 100)])
    late = np.array(delays)
    return {
        "n": num,
        "untracked": untracked,
        "ef_by_area": regression_report(by_area, truth).to_json(),
        "ef_by_discs": regression_report(by_discs, truth).to_json(),
        "dice": {name: _quantiles(values) for name, values in overlap.items()},
        "long_axis_relative_error": _quantiles(lengths),
        "stroke_part_already_ejected_at_end_diastole": _quantiles(late[:, 0]),
        "stroke_part_not_yet_ejected_at_end_systole": _quantiles(late[:, 1]),
    }


def _quantiles(values: Any) -> dict[str, float]:
    low, middle, high = (float(v) for v in np.quantile(values, [0.05, 0.5, 0.95]))
    return {"p5": low, "median": middle, "p95": high}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num", type=int, default=60, help="hearts of each view")
    parser.add_argument("--seed", type=int, default=9700)
    args = parser.parse_args()
    print(json.dumps({"seed": args.seed} | {v: of_view(v, args.num, args.seed) for v in ("A4C", "PSAX")}))


if __name__ == "__main__":
    main()
