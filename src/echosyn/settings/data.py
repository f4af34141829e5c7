"""What may be asked of the verbs that make, read and write datasets."""

from pathlib import Path
from typing import Annotated, Literal

from echosyn.settings import Spelled, settings
from echosyn.settings.making import GreySettings, SeedSettings

View = Literal["A4C", "PSAX", "both"]
"""What the phantom's probe looks at."""
Source = Literal["folder", "dynamic", "pediatric", "dicom"]
"""What `import` reads."""


@settings
class PhantomSettings(SeedSettings):
    """Which phantom."""

    num: int = 100
    """Videos, one a patient."""
    view: View = "A4C"
    """Apical four-chamber, parasternal short-axis or both in turn."""
    num_frames: Annotated[int | None, Spelled("--frames")] = None
    """64..200; drawn per patient if left out."""
    fps: float | None = None
    """20..120; drawn per patient if left out."""


@settings
class ImportSettings:
    """How videos of others are read."""

    source: Annotated[Source, Spelled("--from")]
    """Layout of the folder."""
    crop: str | None = None
    """X,Y,W,H in pixels."""
    labels: Path | None = None
    """CSV with FileName (DICOM: or SOPInstanceUID, PatientID) and EF."""
    fps: float | None = None
    """Frame rate, whatever the files say (DICOM: where they do not say it)."""
    skip_bad: bool = False
    """Leave out damaged videos and those with a wrong row; they are listed."""
    private: Path | None = None
    """DICOM: folder for the secret key and the report; default OUT-private."""
    ocr: bool = False
    """DICOM: leave out videos with text over the tissue."""
    seed: int = 0
    """Random seed of the splits, where there are none."""


@settings
class ReviewSettings:
    """Who looked at an import."""

    by: str
    """Who has looked at every sheet in DATASET/review."""
    drop: tuple[str, ...] = ()
    """Name of a video to remove for good; may be given again."""


@settings
class ExportSettings:
    """How synthetic videos are written for others."""

    target: Annotated[Literal["dicom"], Spelled("--to")] = "dicom"
    """Format to write."""
    mark: bool = False
    """Burn the word SYNTHETIC into every frame."""


@settings
class FramesSettings:
    """Which frames become pictures."""

    every: int = 5
    """Take every n-th frame."""


@settings
class ImagesSettings(GreySettings):
    """Which videos become folders of pictures."""

    frames: int = 128
    """Number of frames of each video."""
    fps: float = 32.0
    """Frame rate to resample to."""
    num: int | None = None
    """Number of videos; default as published."""
    seed: int = 0
    """Random seed of the draw."""


@settings
class SplitSettings:
    """How the rows of a file list are split."""

    csv: Path
    """FileList.csv."""
    output: Path | None = None
    """New file list; default: CSV itself, the old one kept.

    As ``NAME.csv.before``, which later calls leave as it is.
    """
    train: int
    """Number of TRAIN videos."""
    val: int
    """Number of VAL videos."""
    test: int
    """Number of TEST videos."""
