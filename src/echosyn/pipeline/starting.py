"""What the trainings of `run` start from: the models that ship, a hospital's own earlier ones, or nothing.

Models that ship know the anatomy and motion of thousands of phantoms; trainings that start from them take minutes. With
``look_only`` the image and the video model are not trained on the recordings at all: only the decoder of the VAE, its texture and
the re-identification model are, and latents stay those of the models that it starts from.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from echosyn import weights
from echosyn.data.records import Record
from echosyn.errors import ConfigError
from echosyn.settings.whole import WholeSettings
from echosyn.training import catalog
from echosyn.training.stage import StageSettings

NONE = "none"
ADAPT, FROM_NOTHING = "adapt", "phantom"
"""Presets of a training that starts from a model, and of one that does not."""
TRAINED = ("vae", "lidm", "lvdm", "reid")
"""Stages that `run` needs; the EF regressors belong to `evaluate`."""
LEFT_ALONE = ("lidm", "lvdm")
"""With ``look_only``."""


def folder(asked: WholeSettings) -> Path | None:
    """The folder of models that trainings start from; None where they start from nothing.

    Raises:
        ConfigError: ``look_only`` without one.
    """
    said = asked.start
    if said is None:
        own = asked.config is not None or asked.preset != ADAPT or any(".network" in o for o in asked.overrides)
        said = NONE if own else weights.SHIPPED
    if said == NONE:
        if asked.look_only:
            raise ConfigError(
                "--look-only takes hearts and motion from other models: expected --from shipped or a folder"
            )
        return None
    return weights.shipped() if said == weights.SHIPPED else Path(said)


def settings(asked: WholeSettings, start: Path | None, records: Sequence[Record]) -> Mapping[str, StageSettings]:
    """Settings of all stages, which start from the models of a folder, or None.

    Args:
        asked: preset, file and overrides.
        start: see `folder`.
        records: of the recordings; the view of most of them decides which image model is started from.
    """
    preset = asked.preset
    if start is None:
        preset = FROM_NOTHING if preset == ADAPT else preset
        return catalog.all_settings(preset, asked.config, asked.overrides)
    names = _names(asked, start, records)
    overrides = [
        f"{stage}.start={name}" for stage, name in names.items() if not (asked.look_only and stage in LEFT_ALONE)
    ]
    if asked.look_only:
        overrides.append("vae.freeze_encoder=true")
    if not any(r.split == "VAL" for r in records):  # nobody who is not in the final test may choose
        overrides += [f"{stage}.loop.{said}" for stage in catalog.STAGES for said in ("select=last", "patience=null")]
    return catalog.all_settings(preset, asked.config, [*overrides, *asked.overrides])


def kept(asked: WholeSettings, start: Path, records: Sequence[Record]) -> dict[str, Path]:
    """The models that are used as they are."""
    if not asked.look_only:
        return {}
    names = _names(asked, start, records)
    return {stage: weights.start(names[stage], stage, {}) for stage in LEFT_ALONE}


def _names(asked: WholeSettings, start: Path, records: Sequence[Record]) -> dict[str, str]:
    """The model of each stage; those that ship are told by name, not by where they are installed."""
    found = weights.find_all(start, TRAINED, asked.variant or (_view(records) if start == weights.shipped() else None))
    own = start == weights.shipped()
    return {stage: f"{weights.SHIPPED}/{path.name}" if own else str(path) for stage, path in found.items()}


def _view(records: Sequence[Record]) -> str:
    """The variant of the view that most recordings have, of those that ship."""
    known = ("A4C", "PSAX")
    views = Counter(view for r in records if (view := str(r.cell("View")).upper()) in known)
    return (views.most_common(1)[0][0] if views else known[0]).lower()
