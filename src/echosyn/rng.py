"""Randomness per item: item *i* depends on (seed, purpose, *i*) and on nothing else.

Noise is drawn on the CPU and moved, so that every device starts from the same noise, and batch size, order, worker and
restart do not matter.
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor


def key(seed: int, purpose: str, index: int = 0) -> int:
    """A 63-bit integer from (seed, purpose, index): equal inputs, equal key; any change, an unrelated key."""
    digest = hashlib.blake2b(f"{seed}\0{purpose}\0{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(seed: int, purpose: str, index: int = 0) -> torch.Generator:
    """A CPU generator of torch for one item."""
    return torch.Generator().manual_seed(key(seed, purpose, index))


def numpy_generator(seed: int, purpose: str, index: int = 0) -> np.random.Generator:
    """A generator of NumPy for one item."""
    return np.random.Generator(np.random.Philox(key(seed, purpose, index)))


def generators(seed: int, purpose: str, indices: Iterable[int]) -> list[torch.Generator]:
    """One generator of torch per index, for diffusers' ``generator=`` arguments."""
    return [generator(seed, purpose, i) for i in indices]


def normal(shape: tuple[int, ...], seed: int, purpose: str, indices: Iterable[int]) -> Tensor:
    """Standard normal noise, one independent draw per index: ``(len(indices), *shape)``, float32."""
    return torch.stack([torch.randn(shape, generator=g) for g in generators(seed, purpose, indices)])


@contextmanager
def initializing(seed: int) -> Iterator[None]:
    """Fork torch's global state and seed it: for building networks, the one thing that torch draws globally."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key(seed, "initialization"))
        yield
