"""Batches that fit the memory of a GPU: one that does not is halved, and the work goes on."""

import textwrap
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from echosyn.errors import StoppedError

T = TypeVar("T")
R = TypeVar("R")


@dataclass
class Fitting:
    """How many items are computed at a time; fewer, once a device had no memory for as many."""

    size: int
    what: str
    """The items, for messages: ``videos of 192 frames``."""
    fixed: bool = False
    """Batches must be of this size, as on a CPU, where they decide about the last bit."""

    def over(self, function: Callable[[Sequence[T]], R], items: Sequence[T]) -> list[R]:
        """What a function makes of all items, batch by batch, in order.

        Raises:
            StoppedError: there is no memory for one item alone, or for a batch of fixed size.
        """
        results: list[R] = []
        done = too_many = 0
        while done < len(items):
            part, reason = items[done : done + self.size], ""
            try:
                results.append(function(part))
            except (RuntimeError, MemoryError) as error:
                if not is_full(error):
                    raise
                reason = textwrap.shorten(str(error) or "out of memory", 120)
            if reason:  # here nothing holds on to the tensors of the failed batch any more
                too_many = max(too_many, len(part))
                self._halve(len(part), reason)
                continue
            done += len(part)
            if too_many:
                warnings.warn(
                    f"too little memory for {too_many} {self.what} at a time: taking {self.size}", stacklevel=2
                )
                too_many = 0
        return results

    def _halve(self, count: int, reason: str) -> None:
        from accelerate.utils.memory import clear_device_cache

        clear_device_cache(garbage_collection=True)
        if self.fixed or count == 1:
            raise StoppedError(
                f"too little memory for {self.what}, {count} at a time ({reason}): free memory or use fewer --workers, "
                "then run the same command again: it continues; or use a machine with more memory"
            )
        self.size = (count + 1) // 2


def is_full(error: Exception) -> bool:
    """Whether an error says that a device, or the machine, has no memory left."""
    from accelerate.utils.memory import should_reduce_batch_size

    full = (torch.OutOfMemoryError, MemoryError)
    return isinstance(error, full) or "error: out of memory" in str(error) or bool(should_reduce_batch_size(error))
