"""Where a verb does its work, by whom, which part of it, and who is told."""

from dataclasses import dataclass

from echosyn.pipeline.workers.executors import Executor, InProcess
from echosyn.pipeline.workers.shards import WHOLE, Shard
from echosyn.progress import Progress, silent


@dataclass(frozen=True)
class Compute:
    """On CPUs no byte of a result depends on it, but for the part that a shard is."""

    device: str = "auto"
    executor: Executor | None = None
    """Who does the work; default this process."""
    shard: Shard = WHOLE
    """Make only this part; `echosyn.pipeline.merge` joins all parts to what one job makes."""
    progress: Progress = silent
    """Told what is done."""
    side_by_side: bool = False
    """Whether independent trainings may have processes of their own, which import the program's main module once more."""

    def workers(self) -> Executor:
        """Who does the work."""
        return self.executor or InProcess.of(self.device)


HERE = Compute()
"""This process, on the best device that there is, silently."""
