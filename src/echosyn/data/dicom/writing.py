"""Write a synthetic video as an Ultrasound Multi-frame Image (DICOM PS3.3 A.7) of a patient who does not exist."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from echosyn import __version__
from echosyn.data.video import Frames
from echosyn.extras import require
from echosyn.files import whole

SYNTHETIC = "SYNTHETIC"
_STORAGE_CLASS = "1.2.840.10008.5.1.4.1.1.3.1"
_EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
_COMMENT_LENGTH = 200


@dataclass(frozen=True)
class Subject:
    """What is said about a synthetic video."""

    name: str
    """Of the video, unique in its series of exports."""
    series: str
    """What it was made from, as text: equal texts give equal identifiers."""
    ef: float | None = None
    """Requested ejection fraction in percent."""
    spacing: tuple[float, float] | None = None
    """Width and height of a pixel in cm."""
    compression: float = 1.0
    """Of the frames, before they came here, by JPEG."""


def write(path: Path, frames: Frames, fps: float, subject: Subject, *, marked: bool) -> None:
    """Write grey frames ``(T, H, W)``, uncompressed; equal arguments give equal bytes.

    Args:
        path: New file.
        frames: Pixels as they are to be shown.
        fps: Frames per second; becomes the FrameTime, to a millionth of a millisecond.
        subject: What is said about them.
        marked: The word SYNTHETIC is burned into the frames.
    """
    pydicom = require("pydicom", extra="dicom")
    found = pydicom.Dataset()
    for part in (_people, _study, _equipment, _cine, _image):
        part(found, frames, fps, subject)
    found.BurnedInAnnotation = "YES" if marked else "NO"
    if subject.spacing:
        found.SequenceOfUltrasoundRegions = [_region(pydicom.Dataset(), frames, subject.spacing)]
    found.PixelData = frames.tobytes() + b"\0" * (frames.size % 2)
    found["PixelData"].VR = "OB"
    found.file_meta = pydicom.dataset.FileMetaDataset()
    found.file_meta.TransferSyntaxUID = _EXPLICIT_LITTLE_ENDIAN
    found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID
    found.file_meta.MediaStorageSOPInstanceUID = found.SOPInstanceUID
    with whole(path) as temporary:
        found.save_as(temporary, enforce_file_format=True)


def _people(found: Any, frames: Frames, fps: float, subject: Subject) -> None:
    found.PatientName = f"{SYNTHETIC}^{subject.name[:50]}"
    found.PatientID = f"{SYNTHETIC}-{subject.name}"[:64]
    found.PatientBirthDate = found.PatientSex = ""
    found.PatientComments = "Nobody: made by a generative model"


def _study(found: Any, frames: Frames, fps: float, subject: Subject) -> None:
    found.SOPClassUID = _STORAGE_CLASS
    found.SOPInstanceUID = _uid(subject, "instance")
    found.StudyInstanceUID, found.SeriesInstanceUID = _uid(subject, "study"), _uid(subject, "series")
    found.StudyDate = found.StudyTime = found.ReferringPhysicianName = found.AccessionNumber = ""
    found.StudyID, found.SeriesNumber, found.InstanceNumber = "1", 1, 1
    found.StudyDescription = found.SeriesDescription = f"{SYNTHETIC} echocardiogram"
    found.Modality, found.Laterality, found.PatientOrientation = "US", "", ""
    ef = "" if subject.ef is None else f"; requested ejection fraction {subject.ef:.1f} %"
    found.ImageComments = f"{SYNTHETIC}: made by a generative model, shows no patient{ef}"[:_COMMENT_LENGTH]


def _equipment(found: Any, frames: Frames, fps: float, subject: Subject) -> None:
    found.Manufacturer, found.ManufacturerModelName, found.SoftwareVersions = "echosyn", "generator", __version__


def _cine(found: Any, frames: Frames, fps: float, subject: Subject) -> None:
    found.NumberOfFrames = len(frames)
    found.FrameTime = f"{1000 / fps:.6f}"
    found.FrameIncrementPointer = 0x00181063
    found.CineRate = found.RecommendedDisplayFrameRate = max(1, round(fps))


def _image(found: Any, frames: Frames, fps: float, subject: Subject) -> None:
    found.ImageType = ["DERIVED", "SECONDARY"]
    found.Rows, found.Columns = frames.shape[1:]
    found.SamplesPerPixel, found.PhotometricInterpretation = 1, "MONOCHROME2"
    found.BitsAllocated = found.BitsStored = 8
    found.HighBit, found.PixelRepresentation = 7, 0
    found.LossyImageCompression = "01"
    found.LossyImageCompressionMethod = "ISO_10918_1"
    found.LossyImageCompressionRatio = f"{subject.compression:.3f}"
    found.PresentationLUTShape = "IDENTITY"


def _region(region: Any, frames: Frames, spacing: tuple[float, float]) -> Any:
    """The whole picture is 2-D tissue with pixels of this size."""
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.RegionLocationMinX0 = region.RegionLocationMinY0 = 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = frames.shape[2] - 1, frames.shape[1] - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX, region.PhysicalDeltaY = spacing
    return region


def _uid(subject: Subject, kind: str) -> str:
    """A UUID-derived identifier (PS3.5 B.2) that depends on what is shown alone."""
    digest = hashlib.sha256(f"{subject.series}\0{subject.name}\0{kind}".encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"
