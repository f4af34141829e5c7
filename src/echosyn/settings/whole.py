"""What may be asked of the verbs that do everything, and of the page."""

from pathlib import Path
from typing import Annotated

from echosyn.settings import Spelled, settings
from echosyn.settings.making import SeedSettings, Variant
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

    preset: str = "adapt"
    """Settings of the package; with --from none phantom."""
    start: Annotated[str | None, Spelled("--from")] = None
    """Folder of models that training starts from, shipped or none.

    Default shipped, the hearts of phantoms, unless a preset or settings with other networks are asked for.
    """
    look_only: bool = False
    """Adapt the look alone; hearts and motion stay the phantoms'.

    For few recordings: image and video model are not trained on them at all.
    """
    models: Path | None = None
    """Folder of trained models; missing ones are trained."""
    num_frames: Annotated[int, Spelled("--frames")] = 128
    """Length of the generated videos, in frames."""
    variant: Annotated[Variant | None, Spelled("--dataset")] = None
    """Dataset or view of the models, if there are several."""
    protocol: Annotated[str, Spelled()] = "echosyn-v3"
    """Protocol of the report's fidelity figures."""


@settings
class QuickstartSettings(NumSettings, OverridesSettings):
    """What `quickstart` makes of the phantom."""

    patients: int = 112
    """Phantom patients."""
    num: int = 24
    train: bool = False
    """Train small models instead of using the bundled ones."""


@settings
class PageSettings:
    """What the page may show, and to whom."""

    models: Path | None = None
    """Folder of models; default built-in (for the phantom)."""
    reference: Path | None = None
    """Latents of the videos the models were trained on.

    The verdict on each heart compares with them.
    """
    folder: tuple[Path, ...] = ()
    """Dataset, release or report the page may show; repeatable.

    Nothing else is read.
    """
    port: int = 7860
    """Port, open to this computer only; 0 for any free one."""
    login: Path | None = None
    """File of NAME:PASSWORD lines; visitors must log in."""
    max_upload: int = 200
    """Largest upload in MB."""
    check: bool = False
    """Start, make one video as a visitor would, report and stop."""
