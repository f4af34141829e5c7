"""Is a synthetic set as good to learn from as real videos? Regressors trained alike on each set, tested on the same patients."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import torch

from echosyn import device as devices
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
from echosyn.pipeline.workers.compute import HERE, Compute
from echosyn.pipeline.workers.executors import Processes, cores
from echosyn.progress import Progress, silent
from echosyn.settings.training import ResumeSettings
from echosyn.training.log import METRICS
from echosyn.training.stage import StageSettings

FEWEST_STEPS = 40
"""With which a training gets a process of its own: as many as it makes while a process starts."""
SECONDS_BETWEEN_LOOKS = 0.5
LAST_BYTES = 4096
"""Of a log, in which its last line surely begins."""
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


Training = tuple[Path, Path, StageSettings]
"""Dataset folder, run folder and settings of one EF regressor."""


def regressors(trainings: Sequence[Training], compute: Compute) -> list[Path]:
    """`regressor` for each, in order.

    On CPUs, and where ``compute`` allows it, those that are not finished are trained at the same time, each in a process of its
    own: with one thread each that takes less time than one after the other with two. Not those of a few steps, which end before
    processes have started. A training whose process dies goes on here.
    """
    device, progress = compute.device, compute.progress
    missing = [t for t in trainings if not (t[1] / "model").is_dir()]
    workers = min(len(missing), cores())
    if (
        compute.side_by_side
        and workers > 1
        and devices.resolve(device).type == "cpu"
        and all(settings.loop.steps >= FEWEST_STEPS for *_, settings in missing)
    ):
        with _reported(progress, missing), Processes(workers) as pool:
            for _ in pool.map([Regressors(cores() // workers)], missing):
                pass
    return [regressor(*training, device, progress) for training in trainings]


@dataclass(frozen=True)
class Regressors:
    """Work: trains an EF regressor on a CPU, given as `Training`."""

    threads: int
    device: str = "cpu"

    def start(self) -> Callable[[Training], Path]:
        """Nothing to load."""
        return self._train

    def _train(self, training: Training) -> Path:
        torch.set_num_threads(self.threads)
        return regressor(*training, self.device, silent)


@contextmanager
def _reported(progress: Progress, trainings: Sequence[Training]) -> Iterator[None]:
    """Tell all the while how many steps of all trainings are done, as their logs say."""
    total, ended = sum(settings.loop.steps for *_, settings in trainings), Event()

    def look() -> None:
        while not ended.wait(SECONDS_BETWEEN_LOOKS):
            progress("ef", min(sum(logged_steps(run) for _, run, _ in trainings), total), total)

    thread = Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def logged_steps(run: Path) -> int:
    """The step of the last whole line of a training's log; 0 if there is none."""
    path = run / METRICS
    if not path.is_file():
        return 0
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - LAST_BYTES))
        lines = log.read().split(b"\n")[:-1]
    return int(json.loads(lines[-1])["step"]) if lines else 0


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
    compute: Compute = HERE,
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
        compute: where, and whether the arms of a seed are trained at the same time.
        told: called with arm, seed and R2 as soon as a seed's are known.

    Returns:
        See `table`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    device, progress = compute.device, compute.progress
    target = np.array([r.ef for r in test.records], np.float64)
    asked = hashlib.sha256("\n".join(r.name for r in test.records).encode()).hexdigest()[:8]
    predicted: dict[str, dict[int, Array]] = {arm.name: {} for arm in training_sets}
    in_turn = sorted(training_sets, key=lambda arm: arm.name != REAL)

    def training(arm: Arm, seed: int) -> Training:
        data = _relabelled(arm, folder, seed, device, progress) if arm.relabel != "no" else arm.dataset
        return data, folder / f"{arms.slug(arm.name)}-{seed}", chosen_on_validation(settings, seed)

    for seed in seeds:
        known = {arm.name: folder / f"{arms.slug(arm.name)}-{seed}-{asked}.json" for arm in in_turn}
        for relabelled in (False, True):  # labels are those of the regressor that learned from real videos
            some = [a for a in in_turn if (a.relabel != "no") == relabelled and not known[a.name].is_file()]
            trainings = [training(arm, seed) for arm in some]
            for arm, (data, *_), model in zip(some, trainings, regressors(trainings, compute), strict=True):
                found = predict_ef(test.dataset, test.records, model, device=device, progress=progress)
                write_json(known[arm.name], {"ef": found.ef.tolist(), "training": content_hash(data)})
        for arm in in_turn:
            predicted[arm.name][seed] = np.array(json.loads(known[arm.name].read_text())["ef"], np.float64)
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
