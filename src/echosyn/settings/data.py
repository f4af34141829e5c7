"""What may be asked of the verbs that make, read and write datasets."""

from pathlib import Path
from typing import Annotated, Literal

from echosyn.settings import Spelled, settings
from echosyn.settings.making import GreySettings, SeedSettings

View = Literal["A4C", "PSAX", "both"]
"""What the phantom's probe looks at."""
Look = Literal["plain", "clinical"]
"""How varied the phantom's pictures are."""
Source = Literal["folder", "dynamic", "pediatric", "camus", "ev9v", "dicom", "dicomweb"]
"""What `import` reads."""


@settings
class PhantomSettings(SeedSettings):
    """Which phantom."""

    num: int = 100
    """Videos, one per patient."""
    view: View = "A4C"
    """Apical four-chamber, parasternal short-axis or both in turn."""
    num_frames: Annotated[int | None, Spelled("--frames")] = None
    """Frames per video, 64..200; default drawn per patient."""
    fps: float | None = None
    """Frame rate in Hz, 20..120; default drawn per patient."""
    look: Look = "plain"
    """`clinical`: artefacts and shapes as in recordings.

    The models that ship learned from `plain`.
    """


@settings
class ImportSettings:
    """How videos of others are read."""

    source: Annotated[Source, Spelled("--from")]
    """Layout of SRC; `folder`: video files of any layout.

    `dicomweb`: SRC is the address of a server, https://HOST/dicom-web.
    """
    crop: str | None = None
    """Crop rectangle X,Y,W,H in pixels."""
    mask: Literal["sector", "none"] = "sector"
    """Around the sector: `sector` blackens marks, `none` keeps.

    DICOM: always black.
    """
    view: str | None = None
    """Only videos whose column View says this, such as A4C.

    Not with DICOM.
    """
    labels: Path | None = None
    """CSV with FileName and EF.

    DICOM: SOPInstanceUID or PatientID may stand for FileName.
    """
    fps: float | None = None
    """Frame rate in Hz that replaces what the files say.

    DICOM: only where a file does not say it.
    """
    skip_bad: bool = False
    """Leave out, and list, damaged videos and wrong rows."""
    private: Path | None = None
    """DICOM: folder for key and report; default OUT-private."""
    ocr: bool = False
    """DICOM: leave out videos with text over the tissue."""
    study: tuple[str, ...] = ()
    """DICOMweb: UID of a study to import; may be given again."""
    query: str | None = None
    """DICOMweb: studies to import, NAME=VALUE&NAME=VALUE.

    Attributes of studies as QIDO-RS takes them, such as StudyDate=20240101-20241231. Without it and without ``study`` all
    studies with the modality are imported.
    """
    modality: str = "US"
    """DICOMweb: modality of the series to import."""
    seed: int = 0
    """Random seed of splits that are drawn, if none are given."""


@settings
class ReviewSettings:
    """Who looked at an import."""

    by: str
    """Name of the reviewer of every sheet in DATASET/review."""
    drop: tuple[str, ...] = ()
    """Name of a video to remove for good; may be given again."""


@settings
class ExportSettings:
    """How synthetic videos are written for others."""

    target: Annotated[Literal["dicom", "nnunet", "webdataset"], Spelled("--to")] = "dicom"
    """Format: dicom, nnunet (traced frames), webdataset (shards)."""
    mark: bool = False
    """With dicom: burn the word SYNTHETIC into every frame."""
    send: str | None = None
    """With dicom: DICOMweb server to send the objects to.

    Its address, https://HOST/dicom-web.
    """
    per_shard: int = 256
    """With webdataset: videos of a shard."""


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
