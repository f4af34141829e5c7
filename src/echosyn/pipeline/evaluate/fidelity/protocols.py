"""Protocols: which frames of which videos go into which features and numbers. Versioned files in the package, never changed."""

import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from echosyn.config import Settings, build, near_miss, read_yaml
from echosyn.errors import ConfigError

Number = Literal[
    "frechet", "kernel", "precision", "recall", "density", "coverage", "inception_score", "retrieval",
    "classifier", "power_ratio", "persistence",
]  # fmt: skip
Start = Literal["first", "middle", "random"]
Side = Literal["real", "synthetic", "train"]

RESERVED: Mapping[str, str] = {
    "FID": "inception-v3",
    "KID": "inception-v3",
    "IS": "inception-v3",
    "Inception score": "inception-v3",
    "FVD": "i3d",
}
"""Names that a number carries only with these features (``FVD16`` counts as ``FVD``)."""


class Sampling(Settings):
    """Which frames of a video are seen."""

    num_frames: int | None = Field(default=None, ge=1)
    """How many; None is all."""
    spread: bool = False
    """Spread evenly over the video, instead of a clip."""
    fps: float | None = Field(default=None, gt=0)
    """Frame rate of a clip, by nearest frame; None takes the frames as they are stored."""
    step: int = Field(default=1, ge=1)
    """Every so many-th frame of a clip."""
    start: Start = "middle"
    """Where a clip of a synthetic video starts; ``random`` depends on the seed and on the video's content."""
    real_start: Start | None = None
    """Where a clip of a real video starts, if not as the synthetic one."""
    short_real: Literal["leave out", "refuse"] = "leave out"
    """What happens to real videos that are too short for a clip."""
    short_synthetic: Literal["leave out", "refuse"] = "leave out"
    max_videos: int | None = Field(default=None, ge=2)
    """The first so many of each side."""
    max_synthetic_images: int | None = Field(default=None, ge=2)
    """The first so many images of the synthetic side, in order of videos and frames."""

    def starts(self, side: Side) -> Start:
        """Where the clips of a side start."""
        return self.start if side == "synthetic" else self.real_start or self.start

    def refuses_short(self, side: Side) -> bool:
        """Whether a video that is too short ends the evaluation."""
        return (self.short_synthetic if side == "synthetic" else self.short_real) == "refuse"


class Measure(Settings):
    """Numbers of one feature space on one sampling."""

    space: str
    """Name of a feature space."""
    sampling: str
    """Name of a sampling of this protocol."""
    numbers: Mapping[Number, str]
    """What is computed, and under which name it is shown."""


class Protocol(Settings):
    """Everything that decides a number besides the two sets, the weights and the seed."""

    id: str
    about: str
    order: Literal["content", "name"] = "content"
    """Videos in order of the SHA-256 of their files, or of their names as text."""
    splits: tuple[str, ...] | None = None
    """Splits of the real set that are compared with; None is VAL and TEST."""
    size: int | None = Field(default=None, ge=32)
    """Height and width of the frames."""
    resize: bool = True
    """Bring frames of another size to it; otherwise they are refused."""
    background: Literal["raw", "zeroed"] = "raw"
    """What lies around the sector: as it is in the files, or black on both sides, see `echosyn.data.background`."""
    unit: Literal["video", "image"] = "video"
    """What counts as one where n is held against the number of dimensions."""
    equal_n: bool = True
    """As many real as synthetic videos, few enough for real against real at the same number."""
    floor_repeats: int = Field(default=3, ge=0)
    """Random splits of the real patients for real against real."""
    intervals: bool = True
    population_covariance: bool = False
    neighbours: int = Field(default=3, ge=1)
    """k of precision, recall, density and coverage."""
    max_rows: int = Field(default=4096, ge=2)
    """Most features a side for the numbers that look at all pairs; drawn by the seed."""
    inception_splits: int = Field(default=1, ge=1)
    inception_count: int | None = None
    """Images over which the parts of the inception score are laid out, however many there are."""
    samplings: Mapping[str, Sampling]
    measures: tuple[Measure, ...]
    quirks: tuple[str, ...] = ()
    """Oddities of the published procedure that are reproduced, or where this departs from it."""

    @property
    def sha256(self) -> str:
        """Hash of the settings, whatever the file looks like; defaults stay out, so they must never change."""
        said = self.model_dump(mode="json", exclude={"about", "quirks"}, exclude_defaults=True)
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    @model_validator(mode="after")
    def _is_consistent(self) -> "Protocol":
        for measure in self.measures:
            if measure.sampling not in self.samplings:
                raise ValueError(f"sampling {measure.sampling!r} is not in this protocol")
            for name in measure.numbers.values():
                needed = RESERVED.get(name.rstrip("0123456789"))
                if needed and needed != measure.space:
                    raise ValueError(f"the name {name} belongs to the features {needed}, not to {measure.space}")
        return self


def names() -> list[str]:
    """Names of the protocols in the package."""
    files = resources.files("echosyn.protocols").iterdir()
    return sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml"))


def load(name: str) -> Protocol:
    """A protocol of the package by name, or one's own by the path of its file.

    Raises:
        ConfigError: there is none, or it contradicts itself.
    """
    if name.endswith((".yaml", ".yml")):
        return build(Protocol, read_yaml(Path(name)), name)
    if name not in names():
        raise ConfigError(f"protocol {name!r} is unknown{near_miss(name, names())}")
    with resources.as_file(resources.files("echosyn.protocols") / f"{name}.yaml") as path:
        return build(Protocol, read_yaml(path), path.name)
