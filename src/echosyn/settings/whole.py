"""What may be asked of the verbs that do everything, and of the page."""

from pathlib import Path
from typing import Annotated

from echosyn.settings import Spelled, settings
from echosyn.settings.making import SeedSettings
from echosyn.settings.training import PresetSettings


@settings
class OverridesSettings:
    """Settings of single stages."""

    overrides: Annotated[tuple[str, ...], Spelled("--set")] = ()
    """STAGE.NAME=VALUE, such as vae.loop.steps=500."""


@settings
class NumSettings(SeedSettings):
    """How much is generated."""

    num: int = 16
    """Videos to generate."""


@settings
class WholeSettings(NumSettings, OverridesSettings, PresetSettings):
    """What `run` trains and generates."""

    models: Path | None = None
    """Trained models; what is missing is trained."""
    num_frames: Annotated[int, Spelled("--frames")] = 128
    """Length of the generated videos, in frames."""
    variant: Annotated[str | None, Spelled()] = None
    """Which of `echosyn.weights.VARIANTS`, where the folder has several models of a stage."""
    protocol: Annotated[str, Spelled()] = "echosyn-v3"
    """Protocol of the report's fidelity figures."""


@settings
class QuickstartSettings(NumSettings, OverridesSettings):
    """What `quickstart` makes of the phantom."""

    patients: int = 112
    """Phantom patients."""
    num: int = 24
    train: bool = False
    """Train small models instead of using those that ship."""


@settings
class PageSettings:
    """What the page may show, and to whom."""

    models: Path | None = None
    """Folder of models; default: what ships, for the phantom."""
    reference: Path | None = None
    """Latents of the real videos that the models learned from, for the verdict."""
    folder: tuple[Path, ...] = ()
    """Dataset, release or report that the page may show; may be given again. Nothing else is read."""
    port: int = 7860
    """On this computer only; 0 for any free one."""
    login: Path | None = None
    """File of lines NAME:PASSWORD; who opens the page must know one."""
    max_upload: int = 200
    """MB of an upload."""
    check: bool = False
    """Start, make one heart beat as a visitor would, say so and stop."""
