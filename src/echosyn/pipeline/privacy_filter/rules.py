"""What the privacy screens and the checks of a set ask of its videos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from echosyn.pipeline.tracking import measure


@dataclass(frozen=True)
class Rules:
    """What stills and videos had to pass."""

    still_threshold: Mapping[str, Any] | None = None
    """Of the filter of stills, with what it means; None without a filter."""
    video_threshold: Mapping[str, Any] | None = None
    compared_with: str = ""
    require: Sequence[str] = ()

    @property
    def refused(self) -> set[str]:
        """Flags that a video must not have."""
        return set(measure.required(self.require))

    def to_json(self) -> dict[str, Any]:
        """As the constructor takes it."""
        return {f.name: getattr(self, f.name) for f in fields(self)} | {"require": list(self.require)}
