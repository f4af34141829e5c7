"""``echosyn evaluate --steps``: what do more sampling steps buy? One model, the same hearts, noise and EFs at each number."""

import csv
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from echosyn import device as devices
from echosyn import weights
from echosyn.data import filelist, video
from echosyn.data.records import Record
from echosyn.diffusion.pipelines import LatentVideoPipeline, checked_hop
from echosyn.diffusion.windows import borders
from echosyn.errors import ConfigError, DataError
from echosyn.files import whole
from echosyn.metrics import plots
from echosyn.metrics.frechet import frechet_distance_of
from echosyn.metrics.physiology import seam_score
from echosyn.pipeline.evaluate.ef_adherence import agreement, by_area
from echosyn.pipeline.evaluate.predict_ef import Predictions, predict_ef
from echosyn.pipeline.folder import new_folder, write_json
from echosyn.pipeline.generate.animate import first_stills, write_videos
from echosyn.pipeline.generate.animation import EFDistribution, Motion, motion_for, requested
from echosyn.pipeline.models import video_pipeline
from echosyn.pipeline.trained_on import refuse_both_sides, refuse_seen
from echosyn.pipeline.workers.compute import Compute
from echosyn.progress import Progress, silent
from echosyn.settings.judging import StepsSettings
from echosyn.settings.making import AnimationSettings

COLUMNS = {
    "steps": "steps",
    "seconds": "s/video",
    "area_r2": "R2 (area)",
    "area_mae": "MAE (area)",
    "area_pearson": "r (area)",
    "unmeasured": "no area",
    "regressor_r2": "R2 (regr.)",
    "regressor_mae": "MAE (regr.)",
    "frechet": "FD",
    "seam": "seam",
    "difference": "pixels",
}
"""Columns of the table and what stands above them."""


@dataclass(frozen=True, eq=False)
class Yardstick:
    """The real side: held-out videos, and what the regressor says about them if there is one."""

    dataset: Path
    records: list[Record]
    regressor: Path | None
    read: Predictions | None
    seed: int
    device: str
    progress: Progress

    def measured(self, made: Path, records: list[Record], pixels: Mapping[str, Any]) -> dict[str, Any]:
        """The figures of one number of steps."""
        row = {"by_area": by_area(made, records, self.seed, Compute(self.device, progress=self.progress)), **pixels}
        if self.regressor is not None and self.read is not None:
            read = predict_ef(made, records, self.regressor, device=self.device, progress=self.progress)
            row["by_regressor"] = agreement(read.ef, records, self.seed)
            made_of, real_of = read.features, self.read.features
            row["frechet"] = frechet_distance_of(made_of, real_of) if min(len(made_of), len(real_of)) > 1 else None
        return row


def steps_of(text: str) -> list[int]:
    """``1,2,4`` -> ``[1, 2, 4]``, rising, each once.

    Raises:
        ConfigError: not whole numbers from 1 on.
    """
    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) >= 1 for part in parts):
        raise ConfigError(f"--steps {text}: expected whole numbers from 1 on, such as 1,2,4,8")
    return sorted({int(part) for part in parts})


def compare_steps(
    kept: Path, real: Path, out: Path, asked: StepsSettings, device: str = "auto", progress: Progress = silent
) -> dict[str, Any]:
    """Write ``OUT/report.json``, ``steps.csv``, ``steps.png`` and a dataset folder ``steps-N`` for each number of steps.

    Args:
        kept: folder of stills.
        real: dataset folder; its VAL and TEST videos say how good the measurements are and give the Fréchet distance.
        out: new folder.
        asked: ``lvdm``, ``vae`` and ``steps`` must be given.
        device: where to compute.
        progress: told what is done.
    """
    if asked.lvdm is None or asked.vae is None or asked.steps is None:
        raise ConfigError(f"evaluate --steps {asked.steps}: needs the model to compare: give --lvdm and --vae")
    steps, seed = steps_of(asked.steps), asked.seed
    indices, hearts = first_stills(kept, asked.num)
    held_out = _held_out(real)
    regressor = asked.regressor
    models = {"lvdm": asked.lvdm, "vae": asked.vae} | ({"regressor": regressor} if regressor else {})
    refuse_seen(models.values(), held_out)
    pipeline = video_pipeline(asked.lvdm, asked.vae, devices.resolve(device), asked.scheduler)
    motion = motion_for(asked.lvdm, _animation(asked, max(steps)))
    motion.check(pipeline)
    ef = requested(asked)
    settings = {"num": len(indices), "seed": seed, "ef": ef.described()} | motion.described() | {"steps": list(steps)}
    inputs = {"kept": kept, "real": real} | {name: weights.resolve(path) for name, path in models.items()}
    with new_folder(out, "evaluate --steps", settings, inputs, keep=True) as folder:
        of_real = predict_ef(real, held_out, regressor, device=device, progress=progress) if regressor else None
        yardstick = Yardstick(real, held_out, regressor, of_real, seed, device, progress)
        rows: list[dict[str, Any]] = []
        for number in sorted(steps, reverse=True):
            made = folder / f"steps-{number:04d}"
            found = _animated(pipeline, indices, hearts, seed, ef, replace(motion, steps=number), made, progress)
            pixels = _pixels(made, folder / f"steps-{max(steps):04d}", found["records"], pipeline, motion)
            rows.insert(
                0, {"steps": number, "seconds": found["seconds"]} | yardstick.measured(made, found["records"], pixels)
            )
        known = {"real": {"by_area": by_area(real, held_out, seed, Compute(device, progress=progress))}, "rows": rows}
        write_json(folder / "report.json", known)
        table = [_flat(row) for row in rows]
        with whole(folder / "steps.csv") as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(COLUMNS))
            writer.writeheader()
            writer.writerows(table)
        with whole(folder / "steps.png") as temporary:
            temporary.write_bytes(_plot(table))
    return {"report": str(out / "report.json"), "plot": str(out / "steps.png"), "table": table, "rows": rows}


def _animation(asked: StepsSettings, steps: int) -> AnimationSettings:
    """How most steps are taken."""
    names = ("num_frames", "scheduler", "hop", "blend")
    return AnimationSettings(steps=steps, **{name: getattr(asked, name) for name in names})


def as_text(table: Sequence[Mapping[str, Any]]) -> str:
    """The table for a terminal: columns that say nothing are left out."""
    names = [name for name in COLUMNS if any(row[name] is not None for row in table)]
    cells = [[COLUMNS[name] for name in names], *([_text(row[name]) for name in names] for row in table)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(names))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)


def _held_out(real: Path) -> list[Record]:
    records = filelist.read(real)
    refuse_both_sides(real, records)
    held_out = [r for r in records if r.split != "TRAIN" and r.ef is not None]
    if not held_out:
        raise DataError(f"{real}: no VAL or TEST video with an EF; the comparison needs videos unseen in training")
    return held_out


def _animated(
    pipeline: LatentVideoPipeline,
    indices: Sequence[int],
    hearts: Tensor,
    seed: int,
    ef: EFDistribution,
    motion: Motion,
    folder: Path,
    progress: Progress,
) -> dict[str, Any]:
    """Records and seconds; a finished number of steps is not made again."""
    said = folder / "seconds.json"
    if said.is_file():
        seconds = json.loads(said.read_text())["seconds"]
    else:
        folder.mkdir(exist_ok=True)
        started, processor = time.perf_counter(), time.process_time()
        write_videos(pipeline, indices, hearts, seed, ef, motion, folder, progress)
        seconds = {"wall": time.perf_counter() - started, "cpu": time.process_time() - processor}
        write_json(said, {"seconds": seconds})
    return {"records": filelist.read(folder), "seconds": {k: v / len(indices) for k, v in seconds.items()}}


def _pixels(
    made: Path, best: Path, records: Sequence[Record], pipeline: LatentVideoPipeline, motion: Motion
) -> dict[str, float | None]:
    """Seam score, and mean absolute difference in grey levels to the video of most steps; means over the videos."""
    window = int(pipeline.unet.config.num_frames)
    at = borders(motion.num_frames, window, checked_hop(window, motion.hop, motion.blend), motion.blend)
    index, most, seams, differences = filelist.VideoIndex(made), filelist.VideoIndex(best), [], []
    for record in records:
        frames = video.read(index.path(record)).grey()
        other = video.read(most.path(record)).grey()
        differences.append(float(np.abs(frames.astype(np.float32) - other).mean()))
        if at:
            seams.append(seam_score(frames, at))
    return {"seam": float(np.mean(seams)) if seams else None, "difference": float(np.mean(differences))}


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """One line of the table."""
    area, regressor = row["by_area"], row.get("by_regressor")
    figures = {f"area_{name}": area[name]["value"] for name in ("r2", "mae", "pearson")}
    figures |= {f"regressor_{name}": regressor[name]["value"] if regressor else None for name in ("r2", "mae")}
    rest = {"steps": row["steps"], "seconds": row["seconds"]["wall"], "unmeasured": area["unmeasured"]}
    rest |= {"seam": row["seam"], "difference": row["difference"], "frechet": row.get("frechet")}
    return {name: (figures | rest)[name] for name in COLUMNS}


def _plot(table: Sequence[Mapping[str, Any]]) -> bytes:
    panels = {"R2 of requested and measured EF": {"by area": "area_r2", "by regressor": "regressor_r2"}}
    panels |= {
        "Fréchet distance": {"to held-out real": "frechet"},
        "Seconds per video": {"made and written": "seconds"},
    }
    columns = {name: [row[name] for row in table] for name in COLUMNS}
    filled = {
        title: {label: columns[name] for label, name in lines.items() if any(x is not None for x in columns[name])}
        for title, lines in panels.items()
    }
    return plots.against_steps(columns["steps"], {t: lines for t, lines in filled.items() if lines})


def _text(value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.3g}"
