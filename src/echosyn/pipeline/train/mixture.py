"""Training on several folders at once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from echosyn.data import filelist, latents
from echosyn.data.mixture import Mixture
from echosyn.data.records import Record
from echosyn.errors import ConfigError, DataError
from echosyn.hashing import folder_hash
from echosyn.training.stage import Stage

STAGES = ("vae", "lidm", "lvdm")


@dataclass(frozen=True)
class Source:
    """A further folder."""

    folder: Path
    weight: float | None = None
    """How often its items are drawn relative to the first folder's; default as if the folders were one."""


def parse(text: str) -> Source:
    """``FOLDER`` or ``FOLDER=WEIGHT``."""
    folder, equals, weight = text.rpartition("=")
    if not equals:
        return Source(Path(text))
    try:
        value = float(weight)
    except ValueError:
        value = math.nan
    if not (folder and 0 < value < math.inf):
        raise ConfigError(f"--also {text}: expected FOLDER or FOLDER=WEIGHT with a weight above 0, such as latents=0.5")
    return Source(Path(folder), value)


def sources(data: Path, also: Sequence[Source], datasets: Sequence[str]) -> list[Source]:
    """What a training learns from beside ``data``: ``also``, or without it the others of the settings' ``datasets``.

    Raises:
        ConfigError: the settings name data sets, and ``data`` is none of them.
    """
    if also or not datasets:
        return list(also)
    others = [Path(name) for name in datasets if Path(name).resolve() != data.resolve()]
    if len(others) == len(datasets):
        raise ConfigError(
            f"datasets: the settings learn from {', '.join(datasets)}, and {data} is none of them; train on one of these (the "
            "others are added), name the others with --also, or give --set datasets=[] for this one alone"
        )
    return [Source(folder) for folder in others]


def items(
    stage: Stage, data: Path, records: Sequence[Record], also: Sequence[Source]
) -> tuple[Dataset[dict[str, Any]], list[Record], list[dict[str, Any]]]:
    """The items of ``data`` and of the further folders, the videos of the latter, and what a run says about them.

    Raises:
        ConfigError: the stage learns from one folder only.
        DataError: a folder holds latents of another VAE.
    """
    if not also:
        return stage.items(data, records), [], []
    if stage.name not in STAGES:
        raise ConfigError(
            f"--also {also[0].folder}: the {stage.name} learns from one folder; only {', '.join(STAGES)} mix"
        )
    streams: list[Any] = []
    weights, said = [1.0], []
    found: list[Record] = []
    first: Any = stage.items(data, records)
    vae = latents.info(data).get("vae") if stage.needs_latents else None
    for source in also:
        if stage.needs_latents and latents.info(source.folder).get("vae") != vae:
            raise DataError(f"{source.folder}: latents of another VAE than {data}; encode both with the same VAE")
        further = [r for r in filelist.read(source.folder) if r.split == "TRAIN"]
        found += further
        streams.append(stage.items(source.folder, further))
        weights.append(
            streams[-1].shuffle.num_items / first.shuffle.num_items if source.weight is None else source.weight
        )
        said.append({"data": folder_hash(source.folder), "weight": weights[-1], "videos": [r.name for r in further]})
    return Mixture([first, *streams], weights, stage.settings.loop.seed), found, said
