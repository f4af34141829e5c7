"""How good outlines of real hearts are, by a network that has seen phantoms only; prints JSON.

    python docs/recipes/traced.py traced
    echosyn train outline traced outline --preset phantom-full
    python benchmarks/outlines.py outline CAMUS

CAMUS is a folder with stills of the CAMUS challenge (Leclerc et al. 2019): ``images/*_4CH_ED.png``, ``*_4CH_ES.png``, and
``masks`` of the same names in which 85 is the cavity of the left ventricle. Nothing is learned from them.
The first 60 patients by name have been looked at (ADR 95): the others are judged by themselves, too.
An EF by area is too low on phantoms, too: the line that corrects it there, learned from them alone, is applied to patients.
Printed are Dice coefficients at end-diastole and end-systole, EF by area and length against that of the masks, and of how many
hearts nothing is said.
The classical tracker needs videos: --phantoms N compares both on N phantoms of each look.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from looks import SIZE, squared, still
from PIL import Image

from echosyn import __version__, weights
from echosyn.data import phantom
from echosyn.data.phantom import cycle
from echosyn.metrics.area import ef_from_area, track_lv
from echosyn.metrics.cavity import volume_from_area
from echosyn.metrics.outlining import outline
from echosyn.metrics.regression import regression_report
from echosyn.training import catalog
from echosyn.training.stages.outline import augmented

CAVITY = 85
PHASES = ("ED", "ES")
LOOKED_AT = 60


def cavity(path: Path) -> np.ndarray:
    """A mask as ``(SIZE, SIZE)``, true in the cavity."""
    inside = squared(Image.open(path)).point(lambda level: 255 * (level == CAVITY))
    return np.asarray(inside.resize((SIZE, SIZE), Image.Resampling.BOX)) > 127


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Tenth, quarter, middle, and mean."""
    return {f"p{q}": round(float(np.percentile(values, q)), 3) for q in (10, 25, 50)} | {
        "mean": round(float(np.mean(values)), 3)
    }


def ef_by_area(areas: Sequence[float]) -> float:
    """From the areas at end-diastole and end-systole, percent."""
    return float(100 * (1 - volume_from_area(np.asarray(areas[1] / areas[0]), "A4C")))


def correction(network: Any, num: int, looks: int = 3, seed: int = 9) -> tuple[np.ndarray, float]:
    """Slope and offset from the EF that areas say to the true one, and the 90 % quantile of what is left, on phantoms.

    Each is shown clear and ``looks - 1`` times as the stage `outline` augments, at both phases alike.
    """
    settings: Any = catalog.settings("outline")
    said, true = [], []
    for i in range(num):
        patient = phantom.patient(seed, i, num_frames=64, fps=32.0, look="clinical")
        emptied = cycle.motion(patient).emptied
        clear = torch.tensor(phantom.render(patient, [int(emptied.argmin()), int(emptied.argmax())]))[:, None] / 255
        shown = [clear, *(augmented(clear, clear, settings, [looks * i + k] * 2)[0] for k in range(1, looks))]
        for pair in shown:
            frames = (255 * pair[:, 0]).to(torch.uint8).numpy()
            areas = [float(outline(frame[None], network).masks.sum()) for frame in frames]
            if 60 <= areas[1] <= areas[0]:
                said.append(ef_by_area(areas))
                true.append(patient.ef)
    line = np.polyfit(said, true, 1)
    return line, float(np.quantile(np.abs(np.polyval(line, said) - true), 0.9))


def of_stills(firsts: Sequence[Path], network: Any, line: np.ndarray, within: float) -> dict[str, Any]:
    """Outlines of stills against the masks, by the pictures at end-diastole; EF by area, as said and corrected."""
    dice: dict[str, list[float]] = {phase: [] for phase in PHASES}
    errors, silent, ratios = [], 0, []
    for first in firsts:
        paths = [first.with_name(first.name.replace("_ED", f"_{phase}")) for phase in PHASES]
        masks = [cavity(path.parents[1] / "masks" / path.name) for path in paths]
        found = [outline(still(Image.open(path))[None], network).masks[0] for path in paths]
        areas, truth = ([float(x.sum()) for x in group] for group in (found, masks))
        for phase, a, b in zip(PHASES, found, masks, strict=True):
            dice[phase].append(2 * float((a & b).sum()) / max(float(a.sum() + b.sum()), 1.0))
        if min(areas) < 60 or areas[1] > areas[0]:
            silent += 1
            continue
        ratios.append(np.array(areas) / truth)
        errors.append((ef_by_area(areas), float(np.polyval(line, ef_by_area(areas))), ef_by_area(truth)))
    said, corrected, true = np.array(errors).T
    wrong = {"EF by area, error in points": said - true, "EF corrected": corrected - true}
    return {
        "patients": len(dice["ED"]),
        "dice": {phase: quantiles(values) for phase, values in dice.items()},
        "silent": silent,
        **{name: quantiles(np.abs(e)) | {"bias": round(float(np.mean(e)), 2)} for name, e in wrong.items()},
        "corrected within the phantoms' 90 %": round(float(np.mean(np.abs(wrong["EF corrected"]) <= within)), 3),
        "area over the masks'": dict(zip(PHASES, np.median(ratios, axis=0).round(3).tolist(), strict=True)),
    }


def of_phantoms(num: int, seed: int, look: phantom.Look, network: Any) -> dict[str, Any]:
    """Network and classical tracker on phantoms of known EF."""
    patients = [phantom.patient(seed, i, num_frames=64, fps=32.0, look=look) for i in range(num)]
    said: dict[str, list[float | None]] = {"network": [], "classical": []}
    for patient in patients:
        frames = phantom.render(patient)
        said["network"].append(ef_from_area(outline(frames, network).areas))
        said["classical"].append(ef_from_area(track_lv(frames).areas))
    found: dict[str, Any] = {}
    for name, values in said.items():
        pairs = [(ef, patient.ef) for ef, patient in zip(values, patients, strict=True) if ef is not None]
        report = regression_report(*(np.array(x) for x in zip(*pairs, strict=True))).to_json()
        found[name] = {"silent": num - len(pairs)} | {key: report[key] for key in ("r2", "mae", "bias")}
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="model folder, or run folder of the training")
    parser.add_argument("camus", type=Path, nargs="?")
    parser.add_argument("--phantoms", type=int, default=0)
    parser.add_argument("--correct-by", type=int, default=250, help="phantoms that the correction is learned from")
    parser.add_argument("--seed", type=int, default=9500)
    asked = parser.parse_args()
    network = weights.load(weights.resolve(asked.model), "outline")
    result: dict[str, Any] = {"version": __version__}
    if asked.camus is not None:
        firsts = sorted((asked.camus / "images").glob("*_4CH_ED.png"))
        line, within = correction(network, asked.correct_by)
        result["correction"] = {"slope": line[0], "points": line[1], "90 % of phantoms within": within}
        result["stills"] = of_stills(firsts, network, line, within)
        result["stills that nobody looked at"] = of_stills(firsts[LOOKED_AT:], network, line, within)
    if asked.phantoms:
        for look in ("plain", "clinical"):
            result[f"{look} phantoms"] = of_phantoms(asked.phantoms, asked.seed, look, network)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
