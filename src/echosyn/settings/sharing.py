"""What may be asked of the verbs that publish, and that fetch what others publish."""

from pathlib import Path
from typing import Annotated, Literal

from echosyn.settings import Spelled, settings

Kind = Literal["siamese", "ldm-vae", "echonet-ef"]
"""What `weights import` reads."""


@settings
class PublishSettings:
    """What a release says and who gets it."""

    licence: Annotated[str | None, Spelled("--licence", "--license")] = None
    """Such as cc-by-4.0; asked, never assumed."""
    licence_file: Path | None = None
    """Its text."""
    title: str = "Synthetic echocardiograms"
    """Name of the dataset."""
    splits: str | None = None
    """TRAIN,VAL,TEST counts; what is left over is EXTRA."""
    audit: Path | None = None
    """Audit of exactly these videos."""
    without_audit: str | None = None
    """The words that are needed to do without."""
    evaluation: Path | None = None
    """report.json of its evaluation."""
    models: Path | None = None
    """Models that made it: their cards are added."""
    push: str | None = None
    """ORG/NAME on the Hugging Face hub."""
    public: bool = False
    """Let everybody see it there."""


@settings
class FetchSettings:
    """How published weights are fetched."""

    to: Path = Path("models")
    """Folder of models to fill."""
    mirror: Annotated[str | None, Spelled("--from")] = None
    """Folder or URL with the same layout."""
    offline: bool = False
    """Never open a connection."""
    trust_on_first_use: bool = False
    """Accept and record hashes that nobody published."""


@settings
class CheckpointSettings:
    """What a published checkpoint is."""

    kind: Annotated[Kind, Spelled("--from")]
    """What it is."""
    config: Path | None = None
    """Its settings file (ldm-vae); default EchoNet-Synthetic's."""
    mean: float | None = None
    """Mean grey level (0..255) in training (echonet-ef).

    With ``std``; default EchoNet-Synthetic's constants.
    """
    std: float | None = None
    """Their standard deviation."""
