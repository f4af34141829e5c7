"""What ``echosyn calibrate`` wrote, for those who use it instead of the real recordings."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from echosyn import __version__, weights
from echosyn.errors import ConfigError, DataError, ModelError
from echosyn.hashing import content_hash
from echosyn.pipeline.folder import PARTIAL, read_provenance

COMMAND = "calibrate"
PRIVATE = "private"
"""Folder of the screens: they hold vectors and names of real patients."""
STILLS, VIDEOS, RULES = "stills.screen", "videos.screen", "rules.json"
RATE = 0.05
"""False rejection rate, unless another one is asked for."""


@dataclass(frozen=True)
class Screens:
    """Where the calibrated privacy screens are, and the models they need."""

    stills: Path
    videos: Path
    vae: Path
    reid: Path

    @classmethod
    def in_folder(cls, folder: Path, vae: Path, reid: Path) -> "Screens":
        """Under their usual names."""
        return cls(folder / STILLS, folder / VIDEOS, vae, reid)

    @property
    def rules(self) -> Path:
        """What the screens ask for, beside them; written last."""
        return self.stills.with_name(RULES)


@dataclass(frozen=True)
class Calibrated:
    """Both privacy screens of some real recordings and models."""

    folder: Path
    """With `STILLS`, `VIDEOS` and `RULES`."""
    rate: float
    """False rejection rate that was asked for."""
    hashes: Mapping[str, str]
    """Of the recordings (``reference``, ``real``) and of the screens (``calibrated``), as provenance says them."""


def opened(out: Path, models: Mapping[str, Path]) -> Calibrated:
    """The screens in a folder of ``echosyn calibrate``.

    Args:
        out: the folder.
        models: folders of those models that will use them, ``vae`` or ``reid`` or both.

    Raises:
        DataError: it is no such folder, is unfinished or damaged, or another version made it.
        ModelError: it was calibrated for other models.
    """
    said = read_provenance(out)
    call = said.get("call", {})
    if call.get("command") != COMMAND or "screens" not in said or out.name.endswith(PARTIAL):
        raise DataError(f"{out}: not a finished folder of `echosyn calibrate`; run that first, or give --reference")
    if (made := call["versions"]["echosyn"]) != __version__:
        raise DataError(f"{out}: was calibrated by echosyn {made}, this is {__version__}; calibrate again")
    for stage, folder in models.items():
        if content_hash(weights.resolve(folder)) != call["inputs"][stage]:
            raise ModelError(
                f"{out}: was calibrated for another {stage} than {folder}; give the models it was calibrated for, or "
                "calibrate again"
            )
    found = content_hash(out / PRIVATE)
    if found != said["screens"]:
        raise DataError(f"{out}: its screens are not those that were calibrated; calibrate again")
    recordings = {name: call["inputs"][name] for name in ("reference", "real") if name in call["inputs"]}
    return Calibrated(out / PRIVATE, call["settings"]["rate"], recordings | {"calibrated": found})


def refuse_both(calibrated: Path | None, **given: object) -> None:
    """Refuse options that a calibrated folder has decided already.

    Args:
        calibrated: the folder, if there is one.
        **given: values of options by name; None where they are left out.

    Raises:
        ConfigError: some are given besides.
    """
    names = [f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None]
    if calibrated is not None and names:
        raise ConfigError(
            f"{', '.join(names)} and --calibrated {calibrated}: the folder says whom to compare with and how strictly; "
            "leave one of the two out"
        )
