"""Several streams of training items as one: how often each is asked is exact, and item *g* depends on (seed, *g*) alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from echosyn import rng

BLOCK = 1000
"""Of so many items in a row each stream gives its share, in an order of their own."""


class Mixture(Dataset[dict[str, Any]]):
    """Items of several endless streams; within a stream they come in its own order, so each video once an epoch.

    Args:
        streams: where items come from; their ``index`` is replaced by the position in the mixture.
        weights: how often each is asked, relative to the others; rounded to thousandths of all.
        seed: of the order.
    """

    def __init__(self, streams: Sequence[Dataset[dict[str, Any]]], weights: Sequence[float], seed: int) -> None:
        self.streams, self.seed = list(streams), seed
        self.shares = _shares(weights)
        self._block, self._order = -1, np.empty(0, np.int64)

    def __getitem__(self, g: int) -> dict[str, Any]:
        stream, position = self.place(g)
        return self.streams[stream][position] | {"index": g}

    def place(self, g: int) -> tuple[int, int]:
        """Which stream gives item ``g``, and which of its items that is."""
        block, offset = divmod(g, BLOCK)
        if block != self._block:
            order = np.repeat(np.arange(len(self.shares)), self.shares)
            self._block, self._order = block, rng.numpy_generator(self.seed, "mixture", block).permutation(order)
        stream = int(self._order[offset])
        before = int((self._order[:offset] == stream).sum())
        return stream, block * self.shares[stream] + before


def _shares(weights: Sequence[float]) -> list[int]:
    """Items of a block for each weight: largest remainders, at least one each."""
    exact = np.array(weights) / sum(weights) * BLOCK
    shares = np.maximum(1, np.floor(exact).astype(int))
    while (missing := BLOCK - shares.sum()) != 0:
        step = 1 if missing > 0 else -1
        shares[np.argmax(step * (exact - shares))] += step
    return [int(n) for n in shares]
