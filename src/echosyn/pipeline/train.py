"""``echosyn train``: one stage on one folder, resumable; ``OUT/model/`` is the model folder."""

import json
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from safetensors import SafetensorError

from echosyn import device as devices
from echosyn.data import filelist, latents
from echosyn.errors import ConfigError, DataError, EchosynError
from echosyn.hashing import folder_hash
from echosyn.pipeline import review
from echosyn.pipeline.folder import disk_is_full, refuse_existing, write_json
from echosyn.pipeline.progress import Progress, silent
from echosyn.training import catalog, checkpoint
from echosyn.training.loop import Training, fit
from echosyn.training.stage import Stage, StageSettings

RUN = "run.json"
METRICS = "metrics.jsonl"
MODEL = "model"

FREE_TO_CHANGE = frozenset(
    {"save_every_steps", "keep_checkpoints", "log_every_steps", "num_workers", "micro_batch_size"}
)
"""Loop settings that a resumed training may change without becoming another training."""


def train(
    stage_name: str,
    data: Path,
    out: Path,
    *,
    settings: StageSettings,
    resume: bool = False,
    device: str = "auto",
    reviewed: bool = False,
    progress: Progress = silent,
    on_log: Callable[[dict[str, float]], None] | None = None,
) -> dict[str, Any]:
    """Train a stage on the TRAIN videos of a folder.

    Args:
        stage_name: vae, lidm, lvdm, reid or ef.
        data: dataset folder (vae, ef) or latents folder (lidm, lvdm, reid).
        out: new run folder: ``run.json`` (settings, data hash, ids seen), ``metrics.jsonl``, ``checkpoints/``, ``model/``.
        settings: see `echosyn.training.catalog.settings`.
        resume: go on from the last checkpoint in ``out`` (or start if there is none).
        device: where to compute.
        reviewed: train on a DICOM import that nobody has signed off.
        progress: told how many steps are done.
        on_log: told the metrics of every logged step.

    Raises:
        DataError: ``out`` exists and ``resume`` was not asked for, or the data do not fit the stage.
        ConfigError: a resumed training was started with other settings.
    """
    review.require_signed(data, reviewed=reviewed)
    stage = catalog.create(stage_name, settings)
    records = [r for r in _records(stage, data) if r.split == "TRAIN"]
    items = stage.items(data, records)
    run = {
        "stage": stage_name,
        "settings": settings.model_dump(mode="json"),
        "data": folder_hash(data),
        "videos": [r.name for r in records],
    }
    if (out / RUN).is_file() and resume:
        _refuse_change(out, run)
    else:
        refuse_existing(out)
    training = Training(stage, settings.loop, _accelerator(settings, device))
    with _run_folder(out):
        write_json(out / RUN, run)
        if checkpoint.restore(out, training) is None:
            (out / METRICS).unlink(missing_ok=True)
        else:
            _cut(out / METRICS, training.step)
        last = _loop(training, items, out, progress, on_log)
        training.use_average()
        facts = stage.finish(data, records)
        stage.export(out / MODEL)
    return {"model": str(out / MODEL), "steps": training.step, **last, **facts}


def _loop(
    training: Training, items: Any, out: Path, progress: Progress, on_log: Callable[[dict[str, float]], None] | None
) -> dict[str, float]:
    """Run the loop with logs and checkpoints; the metrics of the last step."""
    loop = training.settings
    metrics: dict[str, float] = {}
    with terminated() as is_terminated, (out / METRICS).open("a") as log:
        for metrics in fit(training, items):
            step = training.step
            progress(training.stage.name, step, loop.steps)
            if step % loop.log_every_steps == 0 or step == loop.steps or step == 1:
                log.write(json.dumps(metrics) + "\n")
                log.flush()
                if on_log is not None:
                    on_log(metrics)
            if step % loop.save_every_steps == 0 or step == loop.steps or is_terminated():
                checkpoint.save(out, training)
            if is_terminated():
                raise KeyboardInterrupt(f"terminated at step {step}; the checkpoint is saved, go on with --resume")
    return metrics


@contextmanager
def _run_folder(out: Path) -> Iterator[None]:
    """Make ``out``; a user's mistake before the first checkpoint leaves nothing, a full disk says how to go on."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        yield
    except EchosynError:
        if not checkpoint.found(out):
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
    return filelist.read(data)


def _accelerator(settings: StageSettings, device: str) -> Accelerator:
    return Accelerator(cpu=devices.resolve(device).type == "cpu", mixed_precision=settings.loop.mixed_precision)


def _refuse_change(out: Path, run: dict[str, Any]) -> None:
    before = json.loads((out / RUN).read_text())
    free = FREE_TO_CHANGE | ({"steps"} if run["settings"]["loop"]["schedule"] == "constant" else set())
    old, new = _flat(before), _flat(run)
    names = sorted(old.keys() | new.keys())
    changed = [n for n in names if old.get(n) != new.get(n) and n.removeprefix("settings.loop.") not in free]
    if changed:
        lines = "; ".join(f"{n}: {_short(old.get(n))} -> {_short(new.get(n))}" for n in changed)
        raise ConfigError(
            f"{out}: --resume would continue another training ({lines}); undo the change or choose a new folder"
        )


def _flat(tree: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(tree, dict):
        return {path: tree}
    return {k: v for name, value in tree.items() for k, v in _flat(value, f"{path}.{name}" if path else name).items()}


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _cut(metrics: Path, step: int) -> None:
    """Drop logged steps that the checkpoint has not seen: they will be done again."""
    lines = metrics.read_text().splitlines() if metrics.exists() else []
    kept = [line for line in lines if json.loads(line)["step"] <= step]
    metrics.write_text("".join(f"{line}\n" for line in kept))


def discard_checkpoints(run: Path) -> None:
    """Free the disk of a finished training's resumable state; its model folder stays."""
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
