"""``echosyn train``: one stage on one folder, resumable; ``OUT/model/`` is the model folder."""

import json
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from accelerate import Accelerator
from safetensors import SafetensorError
from torch.utils.data import Dataset

from echosyn import weights
from echosyn.data import filelist, latents, video
from echosyn.data.records import Record
from echosyn.errors import ConfigError, DataError, EchosynError
from echosyn.files import refuse_existing
from echosyn.hashing import folder_hash
from echosyn.pipeline import trained_on
from echosyn.pipeline.folder import disk_is_full, write_json
from echosyn.pipeline.ingest import review
from echosyn.pipeline.train import distributed, mixture
from echosyn.pipeline.train.encode import completed
from echosyn.pipeline.train.estimate import estimate
from echosyn.pipeline.train.validation import Judge, held_out
from echosyn.pipeline.trained_on import RUN
from echosyn.pipeline.workers.compute import HERE, Compute
from echosyn.progress import Progress
from echosyn.settings.training import ResumeSettings
from echosyn.training import catalog, checkpoint
from echosyn.training.log import Log
from echosyn.training.loop import NonFiniteLossError, Training, fit
from echosyn.training.optimization import depends_on_last_step
from echosyn.training.stage import LoopSettings, Stage, StageSettings

MODEL = "model"
RAW_MODEL = "model-raw"

FREE_TO_CHANGE = frozenset(
    {
        "save_every_steps",
        "save_every_minutes",
        "keep_checkpoints",
        "log_every_steps",
        "validate_every_steps",
        "select",
        "patience",
        "trackers",
        "num_workers",
        "micro_batch_size",
    }
)
"""Loop settings that a resumed training may change without becoming another training."""


def train(
    stage_name: str,
    data: Path,
    out: Path,
    *,
    settings: StageSettings,
    also: Sequence[mixture.Source] = (),
    resume: ResumeSettings | None = None,
    compute: Compute = HERE,
    on_log: Callable[[dict[str, float]], None] | None = None,
) -> dict[str, Any]:
    """Train a stage on the TRAIN videos of a folder. Under ``accelerate launch`` every process calls it.

    Args:
        stage_name: vae, lidm, lvdm, reid, ef or outline.
        data: dataset folder (vae, ef) or latents folder (lidm, lvdm, reid).
        out: new run folder: ``run.json`` (settings, data hash, ids seen), ``metrics.jsonl``, ``tracking/``, ``samples/``,
            ``checkpoints/``, ``model/`` and, where weights are averaged, ``model-raw/`` with the live ones.
        settings: see `echosyn.training.catalog.settings`.
        also: further latents folders to learn from.
        resume: whether to go on from the last checkpoint in ``out``; default not.
        compute: where, and who is told how many steps are done.
        on_log: told the metrics of every logged step.

    Raises:
        DataError: ``out`` exists and ``resume`` was not asked for, the data do not fit the stage, or processes found
            different checkpoints.
        ConfigError: a resumed training was started with other settings, or the launcher is to share out the weights.
        NonFiniteLossError: a loss is not a number; ``out`` stands at its last checkpoint.
    """
    resume = resume or ResumeSettings()
    distributed.refuse_sharding()
    also = mixture.sources(data, also, settings.datasets)
    judging_folder = data if settings.judged_on is None else Path(settings.judged_on)
    for folder in (data, judging_folder, *(source.folder for source in also)):
        review.require_signed(folder, reviewed=resume.reviewed)
    accelerator = distributed.accelerator(settings, compute.device, out)
    stage = catalog.create(stage_name, settings.for_processes(accelerator.num_processes))
    settings = stage.settings
    records = _records(stage, data)
    learnt = [r for r in records if r.split == "TRAIN"]
    items, more, others = mixture.items(stage, data, learnt, also)
    seen, judging = [*learnt, *more], held_out(_records(stage, judging_folder))
    run: dict[str, Any] = {
        "stage": stage_name,
        "settings": settings.model_dump(mode="json"),
        "data": folder_hash(data),
        "videos": [r.name for r in seen],
        "patients": sorted({r.patient for r in seen}),
        "judged_on": [r.name for r in judging],
    }
    if others:
        run["also"] = others
    if (start := _start(stage)) is not None:
        run["start"] = weights.weights_hash(start)
    with _run_folder(out, accelerator):
        if accelerator.is_main_process:
            _begin(out, run, resume)
        accelerator.wait_for_everyone()
        training = Training(stage, settings.loop, accelerator)
        checkpoint.restore(out, training)
        distributed.agree(training, out)
        judge = Judge(out, training, judging_folder, judging)
        log = Log(out, accelerator, training.step, run["settings"])
        try:
            last = _loop(training, items, out, log, judge, compute.progress, on_log)
        finally:
            log.close()  # before a user's mistake removes the folder that the trackers write into
        if accelerator.is_main_process:
            _choose(training, judge, out)
            last |= _export(training, items, out, lambda folder: trained_on.write(folder, seen, run["data"], start))
        accelerator.wait_for_everyone()
    return {"model": str(out / MODEL), "steps": training.step, "batch": _batch(training), **last}


def dry_run(
    stage_name: str, data: Path, *, settings: StageSettings, also: Sequence[mixture.Source] = (), device: str = "auto"
) -> dict[str, Any]:
    """What `train` would take, from a few steps of it; see `echosyn.pipeline.train.estimate.estimate`."""
    accelerator = distributed.accelerator(settings, device, Path())
    stage = catalog.create(stage_name, settings.for_processes(accelerator.num_processes))
    records = [r for r in _records(stage, data) if r.split == "TRAIN"]
    items, *_ = mixture.items(stage, data, records, mixture.sources(data, also, settings.datasets))
    return {"stage": stage_name} | estimate(Training(stage, stage.settings.loop, accelerator), items)


def _loop(
    training: Training,
    items: Any,
    out: Path,
    log: Log,
    judge: Judge,
    progress: Progress,
    on_log: Callable[[dict[str, float]], None] | None,
) -> dict[str, float]:
    """Run the loop with logs, looks at held-out videos and checkpoints; what was logged of the last step."""
    loop, main = training.settings, training.accelerator.is_main_process
    clock = _Clock(training)
    metrics: dict[str, float] = {}
    with terminated() as is_terminated:
        for metrics in () if _in_vain(training, judge) else fit(training, items):
            step, is_last = training.step, training.step == loop.steps
            progress(training.stage.name, step, loop.steps)
            stop = distributed.anywhere(training, is_terminated())
            if training.averages and (is_last or step % loop.log_every_steps == 0):
                metrics["average_distance"] = training.average_distance()
            found: dict[str, float] = {}
            if main and (is_last or (loop.validate_every_steps and step % loop.validate_every_steps == 0)):
                found = judge.look()
                log.pictures(step, judge.samples)
            if found or is_last or step == 1 or step % loop.log_every_steps == 0:
                metrics |= found
                log.numbers(step, metrics)
                speed = clock.speed()
                log.speed(step, speed)
                if on_log is not None:
                    on_log(metrics | speed)
            is_best = judge.is_best(found)
            if is_best:
                judge.remember()
            in_vain = _in_vain(training, judge)
            if main and (is_best or is_last or in_vain or stop or step % loop.save_every_steps == 0 or clock.is_due()):
                checkpoint.save(out, training, spare=() if judge.best_step is None else (judge.best_step,))
                clock.saved()
            if in_vain:
                break
            if stop:
                raise KeyboardInterrupt(f"terminated at step {step}; the checkpoint is saved, continue with --resume")
    return metrics


class _Clock:
    """Speed since the last call, and whether a checkpoint is due by time."""

    def __init__(self, training: Training) -> None:
        self.training = training
        self._at, self._step, self._waited = time.monotonic(), training.step, training.waited_s
        self._saved = self._at

    def speed(self) -> dict[str, float]:
        """Items a second, share of the time that the loop waited for data, and memory in GB."""
        now, step, waited = time.monotonic(), self.training.step, self.training.waited_s
        seconds = max(now - self._at, 1e-9)
        items = (step - self._step) * self.training.settings.batch_size
        share = (waited - self._waited) / seconds
        self._at, self._step, self._waited = now, step, waited
        memory = psutil.Process().memory_info().rss / 1e9
        return {"speed/items_per_second": items / seconds, "speed/data_wait": share, "speed/memory_gb": memory}

    def is_due(self) -> bool:
        """Whether ``save_every_minutes`` have passed since the last checkpoint."""
        minutes = self.training.settings.save_every_minutes
        return minutes is not None and time.monotonic() - self._saved >= 60 * minutes

    def saved(self) -> None:
        """Start counting anew."""
        self._saved = time.monotonic()


def _in_vain(training: Training, judge: Judge) -> bool:
    """Whether patience has run out; only the main process looks, all must leave at the same step."""
    return training.settings.patience is not None and distributed.anywhere(
        training, training.accelerator.is_main_process and judge.is_in_vain()
    )


def _choose(training: Training, judge: Judge, out: Path) -> None:
    """With ``select: best``, go back to the best step."""
    if training.settings.select == "last" or judge.best_step is None:
        return
    if checkpoint.restore(out, training, judge.best_step) is None:
        raise DataError(
            f"{out}: the checkpoint of the best step {judge.best_step} is missing or damaged; resume with --resume "
            "--set loop.select=last"
        )


def _batch(training: Training) -> str:
    """Items of an optimizer step in words, such as ``128 items: 8 process(es), 16 at once, 1 part(s)``."""
    loop, processes = training.settings, training.accelerator.num_processes
    share = loop.batch_size // processes
    part = min(loop.micro_batch_size or share, share)
    return f"{loop.batch_size} items: {processes} process(es), {part} at once, {-(-share // part)} part(s)"


def _export(
    training: Training, items: Dataset[dict[str, Any]], out: Path, sign: Callable[[Path], None]
) -> dict[str, float]:
    """Write the model folder, from averaged weights if there are any; the live ones then go beside it.

    ``sign`` adds to a model folder what was trained on.
    """

    def write(folder: Path) -> dict[str, float]:
        facts = training.stage.finish(items)
        training.stage.export(folder)
        sign(folder)
        return facts

    if training.averages:
        write(out / RAW_MODEL)
    with training.averaged():
        return write(out / MODEL)


def _begin(out: Path, run: dict[str, Any], resume: ResumeSettings) -> None:
    """Write ``run.json`` of a new run; see that a resumed one is the same."""
    if not (out / RUN).is_file() or not resume.resume:
        refuse_existing(out)
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / RUN, run)
        return
    before = json.loads((out / RUN).read_text())
    past = before.pop("before", [])
    loop = LoopSettings.model_validate(run["settings"]["loop"])
    done = max(map(checkpoint.step_of, checkpoint.found(out)), default=0)
    if done > loop.steps:
        raise ConfigError(
            f"{out}: has done {done} steps, more than loop.steps = {loop.steps}; ask for at least {done}, or choose a new folder"
        )
    changes = _changes(before, run)
    if changes and not resume.accept_changes:
        raise ConfigError(
            f"{out}: --resume would continue another training ({changes}){_why_not_longer(before, loop)}; undo the change, give "
            "--accept-changes, or choose a new folder"
        )
    past += [changes] if changes else []
    write_json(out / RUN, run | ({"before": past} if past else {}))


def _start(stage: Stage) -> Path | None:
    """The model folder that the training starts from."""
    said = stage.settings.start
    return None if said is None else weights.start(said, stage.name, stage.settings.only)


@contextmanager
def _run_folder(out: Path, accelerator: Accelerator) -> Iterator[None]:
    """A user's mistake before the first checkpoint leaves nothing; other mishaps say how to go on."""
    is_new = not out.exists() or not any(out.iterdir())
    try:
        yield
    except NonFiniteLossError as error:
        kept = checkpoint.found(out)
        where = f"the last checkpoint in {out} is {kept[0].name}" if kept else f"{out} has no checkpoint yet"
        raise NonFiniteLossError(
            f"{error}; {where}: lower loop.learning_rate and continue with --resume --accept-changes"
        ) from error
    except EchosynError:
        if is_new and accelerator.is_main_process and not checkpoint.found(out):
            shutil.rmtree(out, ignore_errors=True)
        raise
    except (OSError, SafetensorError) as error:
        if not disk_is_full(error):
            raise
        raise DataError(
            f"{out}: the disk is full; free some space and run the same command again (`train` with --resume): it continues "
            "from the last checkpoint"
        ) from error


@contextmanager
def terminated() -> Iterator[Callable[[], bool]]:
    """Whether SIGTERM has arrived since; the default reaction is put off until the block has dealt with it."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event.is_set
        return
    previous = signal.signal(signal.SIGTERM, lambda *_: event.set())
    try:
        yield event.is_set
    finally:
        signal.signal(signal.SIGTERM, previous)


def _records(stage: Stage, data: Path) -> list[Any]:
    if stage.needs_latents:
        latents.info(data)
    elif (data / latents.INFO).is_file():
        raise DataError(
            f"{data}: a latents folder; the {stage.name} trains on a dataset folder (FileList.csv, Videos/)"
        )
    records = filelist.read(data)
    only = stage.settings.only
    chosen = [r for r in records if all(str(r.cell(name)) == value for name, value in only.items())]
    if records and not chosen:
        asked = ", ".join(f"{name} = {value}" for name, value in only.items())
        raise DataError(f"{data}: no video has {asked}; expected columns and values of its FileList.csv")
    return chosen if stage.needs_latents else _completed(chosen, data)


def _completed(records: Sequence[Record], dataset: Path) -> list[Record]:
    """With length and rate of the files where the list of another program has none."""
    index = filelist.VideoIndex(dataset)
    known = [r.num_frames is not None and r.fps is not None for r in records]
    return [r if k else completed(r, video.read(index.path(r))) for r, k in zip(records, known, strict=True)]


def _changes(before: dict[str, Any], run: dict[str, Any]) -> str:
    """What a resumed run would do otherwise, in words; empty if nothing."""
    loop = LoopSettings.model_validate(run["settings"]["loop"])
    free = FREE_TO_CHANGE | (set() if depends_on_last_step(loop) else {"steps"})
    old, new = _flat(before), _flat(run)
    names = sorted(old.keys() | new.keys())
    free |= {"settings.vae"} if run["stage"] in mixture.STAGES else set()  # there it decodes pictures only
    changed = [n for n in names if old.get(n) != new.get(n) and n.removeprefix("settings.loop.") not in free]
    return "; ".join(f"{n}: {_short(old.get(n))} -> {_short(new.get(n))}" for n in changed)


def _why_not_longer(before: dict[str, Any], loop: LoopSettings) -> str:
    """Why another number of steps makes another training, where it does, and which setting does not."""
    if before["settings"]["loop"]["steps"] == loop.steps or not depends_on_last_step(loop):
        return ""
    return (
        f": with loop.schedule={loop.schedule} all learning rates depend on loop.steps. --accept-changes goes on with those of "
        f"{loop.steps} steps; trainings with --set loop.schedule=constant can be lengthened as they are"
    )


def _flat(tree: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(tree, dict):
        return {path: tree}
    return {k: v for name, value in tree.items() for k, v in _flat(value, f"{path}.{name}" if path else name).items()}


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def discard_checkpoints(run: Path) -> None:
    """Free the disk of a finished training's resumable state; its model folder stays."""
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
