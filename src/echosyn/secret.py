"""The secret of the house: noise that protects patients comes from it or from the operating system, never from a seed.

A seed is for repeating things, and whoever repeats them knows the noise.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from echosyn.errors import ConfigError

VARIABLE = "ECHOSYN_SECRET"
SIZE = 32


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


def normal(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Standard normal noise from the operating system: never the same, and by nobody to repeat.

    Box and Muller's transform of its random bytes, in float64, four draws to a value: one alone has low bits that tell what
    it was added to (Mironov 2012; the sum of several does not, Holohan & Braghin 2021).
    """
    num = int(np.prod(shape))
    total = np.zeros(num)
    for _ in range(2):
        draws = np.frombuffer(os.urandom(16 * num), np.uint64).reshape(2, num)
        one, two = (draws >> np.uint64(11)) * 2.0**-53
        radius, angle = np.sqrt(-2.0 * np.log1p(-one)), 2.0 * np.pi * two
        total += radius * (np.cos(angle) + np.sin(angle))  # two independent normals
    return (total / 2.0).astype(np.float32).reshape(shape)


def uniform(num: int) -> NDArray[np.float64]:
    """Numbers in [0, 1) from the operating system, ``(num,)``."""
    found: NDArray[np.float64] = (np.frombuffer(os.urandom(8 * num), np.uint64) >> np.uint64(11)) * 2.0**-53
    return found
