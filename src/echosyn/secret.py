"""The secret of the house: noise that protects patients comes from it or from the operating system, never from a seed.

A seed is for repeating things, and whoever repeats them knows the noise.
"""

import hashlib
import hmac
import math
import os
import secrets
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from echosyn.errors import ConfigError

VARIABLE = "ECHOSYN_SECRET"
SIZE = 32
CHUNK = 2**18
"""Values at a time."""


def key() -> bytes:
    """The house's secret, made on first use: a file of 32 random bytes that only its owner can read.

    It is where the variable ``ECHOSYN_SECRET`` says, for several machines that work on one set, or in ``~/.config/echosyn``.

    Raises:
        ConfigError: the file cannot be read or written, or is no secret.
    """
    path = Path(os.environ.get(VARIABLE) or Path.home() / ".config" / "echosyn" / "secret")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(SIZE))
        except FileExistsError:
            pass
        found = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot keep the secret there ({error.strerror}); set {VARIABLE} to a file"
        ) from error
    if len(found) != SIZE:
        raise ConfigError(
            f"{path}: holds {len(found)} bytes, expected a secret of {SIZE}; restore it or remove the file"
        )
    return found


def generator(purpose: str) -> np.random.Generator:
    """A generator of NumPy for a purpose, which nobody without the secret can repeat."""
    seed = hmac.new(key(), purpose.encode(), hashlib.sha256).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(seed[:16], "big")))


def uniform(num: int, device: torch.device | None = None) -> Tensor:
    """Numbers in [0, 1) of 53 bits from the operating system, ``(num,)``, float64: nobody can repeat them."""
    bits = torch.frombuffer(bytearray(os.urandom(8 * num)), dtype=torch.int64).to(device)
    return ((bits >> 11) & (2**53 - 1)).double() * 2.0**-53


def noised(values: Tensor, scale: float) -> Tensor:
    """Values with Gaussian noise of standard deviation ``scale`` from the operating system, rounded to ``scale / 2**16``.

    Box and Muller's transform, in float64. Without the rounding the low bits of a sum tell what the noise was added to
    (Mironov 2012); with it, every result can come from every value.

    Args:
        values: any shape and floating type.
        scale: above 0.
    """
    parts = []
    for part in values.flatten().split(CHUNK):
        half = (len(part) + 1) // 2
        one, two = uniform(2 * half, part.device).split(half)
        radius, angle = (-2.0 * torch.log1p(-one)).sqrt(), 2.0 * math.pi * two
        noise = torch.cat([radius * angle.cos(), radius * angle.sin()])[: len(part)]
        parts.append((((part.double() / scale + noise) * 2.0**16).round() * (scale * 2.0**-16)).to(values.dtype))
    return torch.cat(parts).view_as(values)
