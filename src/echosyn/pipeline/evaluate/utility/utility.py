"""Is a synthetic set as good to learn from as real videos? Regressors trained alike on each set, tested on the same patients."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from echosyn import rng
from echosyn.data import filelist
from echosyn.data.records import Record
from echosyn.estimate import CONFIDENCE, Estimate, patients_drawn, percentiles
from echosyn.hashing import content_hash
from echosyn.metrics.moments import Array
from echosyn.metrics.regression import regression_report
from echosyn.pipeline.evaluate.predict_ef import predict_ef
from echosyn.pipeline.evaluate.utility import training_sets as arms
from echosyn.pipeline.evaluate.utility.training_sets import REAL, Arm
from echosyn.pipeline.folder import write_json
from echosyn.pipeline.train.train import discard_checkpoints, train
from echosyn.pipeline.workers.compute import Compute
from echosyn.progress import Progress, silent
from echosyn.settings.training import ResumeSettings
from echosyn.training.stage import StageSettings

NUM_BOOTSTRAP = 1000


@dataclass(frozen=True, eq=False)
class Test:
    """Real patients that neither a generator nor a regressor has seen."""

    dataset: Path
    records: Sequence[Record]
    """Each with an EF."""


def regressor(data: Path, run: Path, settings: StageSettings, device: str, progress: Progress) -> Path:
    """Train an EF regressor, or find it finished: its model folder."""
    if not (run / "model").is_dir():
        resume = ResumeSettings(resume=True)
        train("ef", data, run, settings=settings, resume=resume, compute=Compute(device, progress=progress))
        discard_checkpoints(run)
    return run / "model"


def chosen_on_validation(settings: StageSettings, seed: int) -> StageSettings:
    """The same training with another seed; the weights are those that were best on the arm's own VAL videos."""
    every = settings.loop.validate_every_steps or max(1, settings.loop.steps // 3)
    loop = {"seed": seed, "select": "best", "validate_every_steps": every, "trackers": ()}
    return settings.model_copy(update={"loop": settings.loop.model_copy(update=loop)})


def grid(
    training_sets: Sequence[Arm],
    test: Test,
    folder: Path,
    *,
    settings: StageSettings,
    seeds: Sequence[int],
    device: str = "auto",
    progress: Progress = silent,
    told: Callable[[str, int, float], None] = lambda name, seed, r2: None,
) -> dict[str, Any]:
    """Train one regressor for each arm and seed, and compare what they say about the test's patients.

    What is finished is kept in ``folder`` (``ARM-SEED-TEST.json`` and a run folder each), so a stopped grid goes on.

    Args:
        training_sets: the arms; the one called ``real`` is what the others are compared with.
        test: who is asked about.
        folder: where runs are kept.
        settings: of the EF stage, alike for all.
        seeds: of the trainings; all arms of a seed are trained before the next seed.
        device: where to compute.
        progress: told what is done.
        told: called with arm, seed and R2 as soon as one is known.

    Returns:
        See `table`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = np.array([r.ef for r in test.records], np.float64)
    asked = hashlib.sha256("\n".join(r.name for r in test.records).encode()).hexdigest()[:8]
    predicted: dict[str, dict[int, Array]] = {arm.name: {} for arm in training_sets}
    for seed in seeds:
        for arm in sorted(training_sets, key=lambda a: a.name != REAL):
            run = folder / f"{arms.slug(arm.name)}-{seed}"
            known = run.with_name(f"{run.name}-{asked}.json")
            if not known.is_file():
                data = _relabelled(arm, folder, seed, device, progress) if arm.relabel != "no" else arm.dataset
                model = regressor(data, run, chosen_on_validation(settings, seed), device, progress)
                found = predict_ef(test.dataset, test.records, model, device=device, progress=progress)
                write_json(known, {"ef": found.ef.tolist(), "training": content_hash(data)})
            predicted[arm.name][seed] = np.array(json.loads(known.read_text())["ef"], np.float64)
            told(arm.name, seed, regression_report(predicted[arm.name][seed], target, num_bootstrap=0).r2.value or 0.0)
    return table(predicted, target, [r.patient for r in test.records])


def _relabelled(arm: Arm, folder: Path, seed: int, device: str, progress: Progress) -> Path:
    out = folder / f"{arms.slug(arm.name)}-{seed}-data"
    if not out.exists():
        records = filelist.read(arm.dataset)
        model = folder / f"{REAL}-{seed}" / "model"
        read = predict_ef(arm.dataset, records, model, device=device, progress=progress).ef
        efs = trend(records, read) if arm.relabel == "trend" else read
        labels = [replace(r, ef=float(ef.clip(0, 100))) for r, ef in zip(records, efs, strict=True)]
        arms.join(out, {"relabelled": arm.dataset}, {"relabelled": labels})
    return out


def trend(records: Sequence[Record], read: Array) -> Array:
    """What a reader sees on average in a video of a requested EF: least squares, a line for each view.

    Takes what the generator does wrong on average out of the labels, and leaves the reader's errors on single videos out.

    Args:
        records: with the requested EFs.
        read: EFs by the reader, ``(n,)``.
    """
    asked = np.array([r.ef for r in records], np.float64)
    views = np.array([r.extra.get("View", "") for r in records])
    found = np.empty_like(asked)
    for view in np.unique(views):
        own = views == view
        line = np.polyfit(asked[own], read[own], 1 if np.ptp(asked[own]) > 0 else 0)
        found[own] = np.polyval(line, asked[own])
    return found


def table(predicted: Mapping[str, Mapping[int, Array]], target: Array, patients: Sequence[str]) -> dict[str, Any]:
    """Rows of the grid: per arm R2, MAE and RMSE as means over seeds, and R2 over that of the arm ``real``.

    Intervals resample patients and trainings together, the same patients for all arms: percentile bootstrap, 95 %.

    Args:
        predicted: EFs by arm and seed, ``(n,)`` each.
        target: true EFs, ``(n,)``.
        patients: whose video each is.
    """
    draws = {name: _resampled(by_seed, target, patients) for name, by_seed in predicted.items()}
    rows: list[dict[str, Any]] = []
    for name, by_seed in sorted(predicted.items(), key=lambda item: item[0] != REAL):
        reports = {seed: regression_report(ef, target, num_bootstrap=0) for seed, ef in by_seed.items()}
        row: dict[str, Any] = {"name": name, "n": len(target), "seeds": sorted(by_seed)}
        for figure in ("r2", "mae", "rmse"):
            each = [getattr(report, figure).value for report in reports.values()]
            row[figure] = Estimate(float(np.mean(each)), *percentiles(draws[name][figure])).to_json()
            row[f"{figure}_by_seed"] = each
        if REAL in predicted:
            row["ratio"] = _ratio(row["r2"]["value"], rows[0]["r2"]["value"] if rows else row["r2"]["value"],
                                  draws[name]["r2"], draws[REAL]["r2"])  # fmt: skip
        rows.append(row)
    return {"rows": rows, "num_bootstrap": NUM_BOOTSTRAP}


def _resampled(by_seed: Mapping[int, Array], target: Array, patients: Sequence[str]) -> dict[str, Array]:
    """Mean over drawn trainings of each figure, for each resample of patients: ``(NUM_BOOTSTRAP,)``."""
    codes = np.unique(np.asarray(patients, str), return_inverse=True)[1]
    num = int(codes.max()) + 1
    generator = rng.numpy_generator(0, "grid bootstrap")
    counts = patients_drawn(generator, num, NUM_BOOTSTRAP)[:, codes].astype(np.float64)
    n = counts.sum(axis=1)
    spread = counts @ target**2 - (counts @ target) ** 2 / n
    each: dict[str, list[Array]] = {"r2": [], "mae": [], "rmse": []}
    for ef in by_seed.values():
        error = ef - target
        squared = counts @ error**2
        each["r2"].append(1 - squared / spread)
        each["mae"].append(counts @ np.abs(error) / n)
        each["rmse"].append(np.sqrt(squared / n))
    picks = generator.integers(0, len(by_seed), (NUM_BOOTSTRAP, len(by_seed)))
    rows = np.arange(NUM_BOOTSTRAP)[:, None]
    return {name: np.stack(found, -1)[rows, picks].mean(axis=1) for name, found in each.items()}


def _ratio(value: float, real: float, draws: Array, of_real: Array) -> dict[str, float | str | None]:
    """R2 over that of the real arm, where that explains anything."""
    if real <= 0 or np.mean(of_real <= 0) > (1 - CONFIDENCE) / 2:
        return Estimate(None, reason="R2 of the regressor trained on real videos is not reliably above 0").to_json()
    return Estimate(value / real, *percentiles(draws / of_real)).to_json()
