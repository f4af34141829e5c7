"""What one request may ask for."""

import math
from dataclasses import dataclass

from echosyn.errors import ConfigError


@dataclass(frozen=True)
class Limits:
    """Bounds of one request; outside of them it is refused."""

    frames: tuple[int, int] = (64, 192)
    steps: tuple[int, int] = (1, 64)
    ef: tuple[float, float] = (10.0, 85.0)
    seed: tuple[int, int] = (0, 2**31 - 1)
    upload_bytes: int = 200_000_000
    disk_bytes: int = 256_000_000
    """Of made videos in the temporary folder; the oldest go first."""
    age_s: float = 3600.0
    """After which a made video, or an upload in memory, is forgotten."""
    waiting: int = 16
    """Requests in the queue."""

    def whole(self, name: str, value: object) -> int:
        """A whole number within the bounds of that name.

        Raises:
            ConfigError: it is none, or out of bounds.
        """
        found = self.number(name, value)
        if found != int(found):
            raise ConfigError(f"{name} {found:g}: expected a whole number")
        return int(found)

    def number(self, name: str, value: object) -> float:
        """A number within the bounds of that name.

        Raises:
            ConfigError: it is none, or out of bounds.
        """
        low, high = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ConfigError(f"{name} {str(value)[:40]!r}: expected a number from {low:g} to {high:g}")
        if not low <= value <= high:
            raise ConfigError(f"{name} {value:g}: expected {low:g} to {high:g}")
        return float(value)
