"""``echosyn train --ray``: the processes of a training as workers of Ray, started anew from the last checkpoint when one dies."""

import io
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from echosyn import errors, extras
from echosyn.apps.ray import train_worker
from echosyn.apps.ray.cluster import OBJECT_STORE_BYTES, SETTINGS, own_token, silence
from echosyn.errors import ConfigError, EchosynError, StoppedError
from echosyn.files import refuse_existing
from echosyn.pipeline.train import mixture
from echosyn.pipeline.workers.compute import Compute
from echosyn.progress import Progress
from echosyn.settings.training import GroupSettings, ResumeSettings
from echosyn.training.stage import StageSettings

LOCAL = "local"
"""The address that stands for a Ray of this machine, which ends with the training."""
QUIET = SETTINGS | {
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else a warning; --gpus-per-worker 0 computes on the CPU in any case
}
LOOK_EVERY_S = 0.5


@dataclass(frozen=True)
class Workers:
    """How many workers, and what each gets.

    Args:
        least: fewer are not enough to start with.
        most: more are not asked for.
        cpus: of each worker.
        gpus: of each worker.
        restarts: how many deaths of a worker or a machine are made good.
    """

    least: int
    most: int
    cpus: int = 1
    gpus: int = 0
    restarts: int = 3


def workers(asked: GroupSettings) -> Workers:
    """``N`` or ``LEAST:MOST`` workers; else a `ConfigError`."""
    least, colon, most = asked.workers.partition(":")
    numbers = [int(part) if part.isdecimal() else 0 for part in (least, most if colon else least)]
    more = asked.cpus_per_worker, asked.gpus_per_worker, asked.restarts
    if not 0 < numbers[0] <= numbers[1] or min(more) < 0:
        raise ConfigError(
            f"--workers {asked.workers}: expected a number of processes such as 2, or a range such as 2:4"
        )
    return Workers(numbers[0], numbers[1], *more)


def train(
    stage_name: str,
    data: Path,
    out: Path,
    *,
    settings: StageSettings,
    asked: GroupSettings,
    also: Sequence[mixture.Source] = (),
    resume: ResumeSettings,
    compute: Compute,
) -> dict[str, Any]:
    """`echosyn.pipeline.train.train.train` on workers of Ray; the result of the first.

    A worker or machine that dies ends the group, and a new one continues from the last checkpoint in ``out``, which
    must be on a filesystem that all machines share, as must ``data`` and this process's working directory.

    Args:
        stage_name: see `echosyn.pipeline.train.train.train`, as for all that is not listed here.
        data: as there.
        out: as there.
        settings: as there; ``loop.batch_size`` divides by every number of workers that there may be.
        asked: the workers, and the address of a running Ray (``auto``, ``HOST:PORT``), or ``local``.
        also: as there.
        resume: as there.
        compute: as there; as device ``auto`` is the CPU for workers without GPUs.

    Raises:
        EchosynError: as there; no Ray at ``address``; workers died more often than they may.
    """
    group = workers(asked)
    settings = settings.for_processes(group.most)
    batch = settings.loop.batch_size
    bad = [n for n in range(group.least, group.most + 1) if batch % n]
    if bad:
        raise ConfigError(f"loop.batch_size = {batch} is not divisible by {bad[0]} workers; choose a multiple")
    if not resume.resume:
        refuse_existing(out)
    device = "cpu" if compute.device == "auto" and not group.gpus else compute.device
    call = {"arguments": (stage_name, data, out), "settings": settings, "also": also, "device": device}
    call |= {"resume": replace(resume, resume=True)}
    # Ray tells of deaths on stdout, which belongs to the result
    with redirect_stdout(io.StringIO()), _ray(asked.ray or "auto", group) as ray, _records(out) as records:
        board: Any = ray.remote(num_cpus=0, scheduling_strategy=_here(ray))(train_worker.Board).remote()
        task: dict[str, Any] = {"folder": str(Path.cwd()), "call": call, "board": board}
        try:
            _fit(ray, task, group, records, compute.progress)
        except ray.train.v2.api.exceptions.TrainingFailedError as error:
            if group_died := _deaths(ray, error):
                raise StoppedError(
                    f"{out}: workers died more than {group.restarts} time(s) ({group_died}); fix the cause, then "
                    "resume from the last checkpoint with --resume"
                ) from error
            raise
        kind, message, result = ray.get(board.verdict.remote())
    if kind:
        raise getattr(errors, kind, EchosynError)(message)
    return dict(result)


def _fit(ray: Any, task: dict[str, Any], group: Workers, records: Path, progress: Progress) -> None:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    from echosyn.pipeline.train.distributed import TIMEOUT
    from echosyn.pipeline.train.train import terminated

    number = group.least if group.least == group.most else (group.least, group.most)
    trainer = TorchTrainer(
        train_worker.work,
        train_loop_config=task,
        torch_config=TorchConfig(timeout_s=int(TIMEOUT.total_seconds())),
        scaling_config=ScalingConfig(
            num_workers=number,
            use_gpu=group.gpus > 0,
            resources_per_worker={"CPU": group.cpus} | ({"GPU": group.gpus} if group.gpus else {}),
        ),
        run_config=RunConfig(
            name="train", storage_path=str(records), failure_config=FailureConfig(max_failures=group.restarts)
        ),
    )
    ended: Future[None] = Future()

    def fit() -> None:
        try:
            trainer.fit()
            ended.set_result(None)
        except BaseException as error:  # noqa: BLE001 (raised where it is asked for)
            ended.set_exception(error)

    # in a thread, as Ray's own handling of Ctrl-C would not come back from it
    threading.Thread(target=fit, daemon=True).start()
    with terminated() as is_terminated:
        _watch(ray, task["board"], ended, is_terminated, progress)
    ended.result()


def _watch(ray: Any, board: Any, ended: "Future[None]", is_terminated: Callable[[], bool], progress: Progress) -> None:
    """Pass on what the workers say until they are done."""
    groups, shown, is_over = 1, None, False
    while not is_over:
        is_over = bool(wait([ended], LOOK_EVERY_S).done)
        if is_terminated():
            raise KeyboardInterrupt("terminated; resume from the last checkpoint with --resume")
        begun, said = ray.get(board.latest.remote())
        if begun > groups:
            sys.stderr.write("warning: a worker died; a new group resumes from the last checkpoint\n")
            groups = begun
        if said is not None and said != shown:
            progress(*said)
            shown = said


def _here(ray: Any) -> Any:
    """Where this process is: an actor elsewhere would end with its machine."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def _deaths(ray: Any, error: Exception) -> str:
    """The first line of why workers died, empty if none did but all stumbled over a bug."""
    for failure in getattr(error, "worker_failures", {}).values():
        reason = str(failure).strip()
        is_death = isinstance(failure, ray.exceptions.RayActorError) or hasattr(failure, "health_check_failure")
        if is_death or "gloo" in reason or "NCCL" in reason:  # another one's death, as the survivors see it
            return reason.splitlines()[0]
    return ""


@contextmanager
def _ray(address: str, group: Workers) -> Iterator[Any]:
    """Ray, connected or started; disconnected or stopped afterwards, whatever happens."""
    before = {name: os.environ.get(name) for name in QUIET}
    os.environ.update(QUIET)
    stack = ExitStack()
    if address == LOCAL:
        stack.enter_context(own_token())  # before Ray is imported, which looks at it once
    ray: Any = extras.require("ray", extra="ray")
    extras.require("ray.train.torch", extra="ray")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": True}
    with stack, tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        silence()
        try:
            if address == LOCAL:
                most = group.most
                own = {
                    "num_cpus": most * group.cpus,
                    "include_dashboard": False,
                    "object_store_memory": OBJECT_STORE_BYTES,
                }
                ray.init(address="local", _temp_dir=folder, **own, **quiet)
            else:
                ray.init(address=address, **quiet)
            _refuse_impossible(ray, address, group)
            yield ray
        except (ConnectionError, ValueError) as error:
            if ray.is_initialized():
                raise
            reason = str(error).strip().splitlines()[0]
            raise ConfigError(
                f"--ray {address}: no Ray cluster found ({reason}); start one with `ray start --head`, or give --ray "
                "local"
            ) from error
        finally:
            ray.shutdown()
            for number, handler in handlers.items():
                if threading.current_thread() is threading.main_thread():
                    signal.signal(number, handler)
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})


def _refuse_impossible(ray: Any, address: str, group: Workers) -> None:
    """A local Ray never gets more GPUs: waiting for them would not end."""
    have = ray.cluster_resources().get("GPU", 0)
    if address == LOCAL and have < group.least * group.gpus:
        raise ConfigError(
            f"--gpus-per-worker {group.gpus}: {group.least} worker(s) need {group.least * group.gpus} GPU(s), this machine has "
            f"{have:g}; expected at most that many, or --gpus-per-worker 0"
        )


@contextmanager
def _records(out: Path) -> Iterator[Path]:
    """A folder beside ``out`` for what Ray notes of the run, on the filesystem that all share; it does not stay."""
    folder = out.absolute().with_name(f"{out.name}.ray")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
