"""How the utility of a set is measured, by name: how regressors are trained, who chooses their weights, what tests them.

A protocol never changes; another way of doing it is another name.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from echosyn.config import near_miss
from echosyn.data.records import Record
from echosyn.errors import ConfigError, DataError
from echosyn.settings import described
from echosyn.settings.training import PresetSettings
from echosyn.training import catalog
from echosyn.training.ef_reading import NumClips
from echosyn.training.stage import StageSettings

DEFAULT = "echosyn-v1"


@dataclass(frozen=True, kw_only=True)
class UtilityProtocol:
    """How two regressors, one of each side, are trained and tested."""

    id: str
    preset: str
    """Whose settings of the stage ``ef`` are taken, unless others are asked for."""
    splits: tuple[str, ...]
    """Splits of the real set whose videos are the test, all together."""
    chooses_on_val: bool = False
    """The real VAL videos choose the weights of both sides, and are reported apart; otherwise the final weights are used."""
    periods: Mapping[str, int] | None = None
    """Every so many-th frame of a side's videos is taken; None leaves it to the settings."""
    clips: NumClips = 4
    """Of a video, whose EFs are averaged."""
    words: str
    """What it does, for the page."""

    def settings(self, side: str, values: Any, real: Path) -> StageSettings:
        """Those of one side's training.

        Args:
            side: ``real`` or ``synthetic``.
            values: settings of the stage ``ef`` for both.
            real: dataset folder.
        """
        loop: dict[str, Any] = {"select": "last", "patience": None}
        changes: dict[str, Any] = {}
        if self.chooses_on_val:
            every = values.loop.validate_every_steps or max(1, values.loop.steps // 45)
            loop = {"select": "best", "validate_every_steps": every}
            changes |= {"choose_by": "rmse"} | ({} if side == "real" else {"judged_on": str(real)})
        if self.periods is not None:
            changes |= {"period": self.periods[side], "read_period": self.periods["real"]}
        updated: StageSettings = values.model_copy(update=changes | {"loop": values.loop.model_copy(update=loop)})
        return updated

    def check(self, real: Path, held_out: Sequence[Record], values: Any) -> None:
        """Refuse a real set without the parts that are asked for, and say what is not as published.

        Args:
            real: dataset folder.
            held_out: its VAL and TEST videos that have an EF.
            values: settings of the stage ``ef``.
        """
        if self.chooses_on_val:
            for split in ("VAL", "TEST"):
                if not any(r.split == split for r in held_out):
                    raise DataError(
                        f"{real}: no {split} video with an EF; {self.id} chooses weights on VAL and tests on TEST: give some "
                        f"videos that split, or use --utility {DEFAULT}"
                    )
            if values.pretrained is None:
                warnings.warn(
                    f"{self.id} starts from Kinetics' weights, these regressors from random ones: give --set pretrained=FILE "
                    "(`echosyn weights fetch torchvision/r2plus1d_18`)",
                    stacklevel=2,
                )
        elif values.period is not None:
            warnings.warn(
                f"period = {values.period} counts frames on both sides, whatever their rates; set fps instead, or use --utility "
                f"{PUBLISHED.id}, which takes every frame of synthetic videos",
                stacklevel=2,
            )


PUBLISHED = UtilityProtocol(
    id="echonet-synthetic-v1",
    preset="dynamic",
    splits=("TEST",),
    chooses_on_val=True,
    periods={"real": 2, "synthetic": 1},
    clips="all",
    words="The same regressor, trained on the TRAIN videos of each side (every second frame of real ones, every frame of "
    "synthetic ones); the weights with the lowest squared error on real VAL videos are tested on real TEST videos, every clip of "
    "them. The figures on VAL are those of the videos that chose.",
)
"""EchoNet-Synthetic's evaluation, a change of EchoNet-Dynamic's."""
OURS = UtilityProtocol(
    id=DEFAULT,
    preset="phantom",
    splits=("VAL", "TEST"),
    words="The same small regressor, trained on the TRAIN videos of each side and tested on real VAL and TEST videos: final "
    "weights, without model selection.",
)
PROTOCOLS: Mapping[str, UtilityProtocol] = {protocol.id: protocol for protocol in (OURS, PUBLISHED)}


def load(name: str) -> UtilityProtocol:
    """A protocol by name; an unknown one is a `ConfigError`."""
    if name not in PROTOCOLS:
        raise ConfigError(f"--utility {name}: unknown{near_miss(name, list(PROTOCOLS))}")
    return PROTOCOLS[name]


def regressor_settings(
    name: str, preset: str, file: Path | None = None, overrides: Sequence[str] = ()
) -> StageSettings:
    """Settings of the stage ``ef``: the protocol's preset unless another than the default is named, a file, overrides."""
    chosen = load(name).preset if preset == described(PresetSettings)["preset"].default else preset
    return catalog.settings("ef", chosen, file, overrides)
