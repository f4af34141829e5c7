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
    """Licence of the release, e.g. cc-by-4.0; required."""
    licence_file: Path | None = None
    """Text of the licence; needed if it is `other`."""
    title: str = "Synthetic echocardiograms"
    """Name of the dataset."""
    splits: str | None = None
    """TRAIN,VAL,TEST counts; the remaining videos are EXTRA."""
    audit: Path | None = None
    """audit.json of an audit of exactly these videos.

    The folder that it lies in will do, too.
    """
    without_audit: str | None = None
    """Confirmation sentence for a release without an audit.

    It is `I know that nobody audited these videos`.
    """
    origin: str | None = None
    """Software that made a set that is not of echosyn.

    Needs ``--stated-by`` and an audit; the release says that nobody verified it.
    """
    stated_by: str | None = None
    """Who answers for ``--origin``: a name for the release."""
    evaluation: Path | None = None
    """report.json of its evaluation."""
    models: Path | None = None
    """Models that made it: their cards are added."""
    push: str | None = None
    """ORG/NAME on the Hugging Face hub."""
    public: bool = False
    """Make the hub repository public; default private."""


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
    """Accept files without a published hash; record theirs."""


@settings
class CheckpointSettings:
    """What a published checkpoint is."""

    kind: Annotated[Kind, Spelled("--from")]
    """Kind of checkpoint."""
    config: Path | None = None
    """Its settings file (ldm-vae); default EchoNet-Synthetic's."""
    mean: float | None = None
    """Mean grey level (0..255) in training (echonet-ef).

    With ``std``; default EchoNet-Synthetic's constants.
    """
    std: float | None = None
    """Standard deviation of those grey levels (echonet-ef)."""
