"""A hospital's archive, made up: phantom hearts on the screen of a scanner, with everything that must not get out."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pydicom
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, generate_uid

from echosyn.data import phantom
from echosyn.data.phantom import View
from echosyn.data.phantom.fan import fan
from echosyn.rng import numpy_generator

WIDTH, HEIGHT = 640, 512
SCALE = 4
LEFT, TOP = 96, 40
CM_PER_PIXEL = 0.04
SIDE = 48
"""Of the smallest files."""
DEJAVU = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
LIBERATION = Path("/usr/share/fonts/truetype/liberation")
FONTS = [
    *(DEJAVU / f"DejaVu{kind}.ttf" for kind in ("Sans", "Sans-Bold", "SansMono", "Serif")),
    *sorted(LIBERATION.glob("Liberation*-Regular.ttf")),
]


@dataclass(frozen=True)
class Person:
    """Strings that identify somebody; none may survive."""

    name: str
    id: str
    birth: str
    accession: str
    institution: str
    physician: str

    @property
    def strings(self) -> list[str]:
        return [*self.name.split("^"), self.id, self.birth, self.accession, self.institution, self.physician]


def person(number: int) -> Person:
    g = numpy_generator(number, "hospital person")

    def word(length: int) -> str:
        return "".join(g.choice(list("BCDFGHJKLMNPQRSTVWXZ"), length))

    birth = date(1930, 1, 1) + timedelta(days=int(g.integers(0, 25_000)))
    return Person(
        f"{word(8)}^{word(7)}",
        f"{g.integers(10**9, 10**10)}",
        birth.strftime("%Y%m%d"),
        f"ACC{g.integers(10**7, 10**8)}",
        f"{word(9)} CLINIC",
        f"DR{word(8)}",
    )


@dataclass(frozen=True)
class Screen:
    """What a scanner shows."""

    frames: np.ndarray
    """``(T, H, W, 3)``."""
    sector: np.ndarray
    """``(H, W)``: where the tissue is in truth."""
    strings: list[str] = field(default_factory=list)
    """What is written on it."""
    inside: str | None = None
    """What of it is written over the tissue."""


def screen(
    number: int, who: Person, *, seed: int = 0, view: View = "A4C", num_frames: int = 64, inside: str | None = None
) -> Screen:
    """Phantom ``number`` with banner, logo, ruler, ECG, colour bar and marker, and a line of text in some frames.

    Args:
        number: Which phantom.
        who: Whose name is shown.
        seed: Of the phantom.
        view: Of the phantom.
        num_frames: How long.
        inside: ``all`` or ``some`` to write the patient's id over the tissue, in all or in some of the frames.
    """
    patient = phantom.patient(seed, number, view=view, num_frames=max(64, num_frames), fps=40.0)
    tissue = phantom.render(patient)[:num_frames]
    big = np.stack(
        [np.asarray(Image.fromarray(f).resize((112 * SCALE,) * 2, Image.Resampling.BICUBIC)) for f in tissue]
    )
    mask = np.zeros(112 * 112, bool)
    mask[fan(patient).pixels] = True
    mask = np.kron(mask.reshape(112, 112), np.ones((SCALE, SCALE), bool))
    canvas = np.zeros((num_frames, HEIGHT, WIDTH, 3), np.uint8)
    box = np.s_[TOP : TOP + 112 * SCALE, LEFT : LEFT + 112 * SCALE]
    canvas[(slice(None), *box)] = (big * mask)[..., None]
    sector = np.zeros((HEIGHT, WIDTH), bool)
    sector[box] = mask
    g = numpy_generator(number, "hospital screen")
    fonts = [FONTS[int(i)] for i in g.integers(0, len(FONTS), 3)]
    for t in range(num_frames):
        image = Image.fromarray(canvas[t])
        _overlay(ImageDraw.Draw(image), who, fonts, t, num_frames, sector, inside)
        canvas[t] = np.asarray(image)
    return Screen(canvas, sector, who.strings, who.id if inside else None)


def _overlay(
    draw: Any, who: Person, fonts: list[Path], t: int, num: int, sector: np.ndarray, inside: str | None
) -> None:
    def text(x: int, y: int, words: str, size: int = 15, font: int = 0, colour: Any = (230, 230, 230)) -> None:
        draw.text((x, y), words, colour, ImageFont.truetype(fonts[font], size))

    text(4, 2, f"{who.name.replace('^', ' ')}  {who.id}", 17, 0)
    text(4, 22, f"{who.institution} {who.birth}", 13, 1)
    text(500, 2, who.accession, 13, 2)
    text(500, 18, "MI 1.2 TIS 0.8", 12)
    text(4, 480, f"{who.physician} 72 bpm", 14, 1, (255, 255, 0))
    if num // 4 <= t < num // 2:
        text(4, 60, who.id, 16, 2)
    if t % 7 == 3:
        text(520, 470, who.birth, 16)
    draw.rectangle((610, 60, 626, 200), fill=None, outline=(255, 255, 255))
    for y in range(140):
        draw.line((611, 61 + y, 625, 61 + y), fill=(255 - y, y, 128))
    for y in range(60, 480, 20):
        draw.line((600, y, 606 if y % 100 else 612, y), fill=(255, 255, 255))
    draw.ellipse((310 - 6, 28, 310 + 6, 40), fill=(60, 220, 120))
    draw.polygon([(20, 120), (50, 120), (35, 95)], fill=(40, 80, 220))
    x = np.arange(int(96 + 448 * (t + 1) / num) - 96)
    beat = 18 * np.exp(-(((x % 90) - 40) ** 2) / 8)
    draw.line(
        [(96 + int(a), 500 - int(b)) for a, b in zip(x, beat, strict=True)] or [(96, 500)] * 2,
        fill=(0, 255, 0),
        width=2,
    )
    if inside == "all" or (inside == "some" and num // 3 <= t < num // 3 + 5):
        rows, columns = np.nonzero(sector)
        text(int(columns.mean()) - 50, int(rows.mean()), who.id, 22, 0, (255, 255, 255))


def tags(who: Person, uid: str, fps: float = 40.0) -> Dataset:
    """A header as hospitals have them: identifying, with private tags."""
    ds = Dataset()
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1"
    ds.SOPInstanceUID = uid
    ds.StudyInstanceUID, ds.SeriesInstanceUID = (
        generate_uid(entropy_srcs=[who.id]),
        generate_uid(entropy_srcs=[who.id, "s"]),
    )
    ds.Modality, ds.PatientName, ds.PatientID, ds.PatientBirthDate = "US", who.name, who.id, who.birth
    ds.AccessionNumber, ds.InstitutionName, ds.ReferringPhysicianName = who.accession, who.institution, who.physician
    ds.StudyDate, ds.StudyDescription = who.birth, f"echo of {who.name}"
    block = ds.private_block(0x0029, who.institution, create=True)
    block.add_new(0x01, "LO", who.name)
    block.add_new(0x02, "UN", who.id.encode("utf-16-le"))
    ds.FrameTime, ds.FrameIncrementPointer = 1000 / fps, 0x00181063
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType = 1, 1
    region.RegionLocationMinX0, region.RegionLocationMinY0 = LEFT - 8, TOP - 12
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = LEFT + 112 * SCALE + 8, TOP + 112 * SCALE + 8
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = region.PhysicalDeltaY = CM_PER_PIXEL
    ds.SequenceOfUltrasoundRegions = [region]
    return ds


def save(
    path: Path,
    ds: Dataset,
    frames: np.ndarray,
    *,
    model: str | None = None,
    syntax: str = ExplicitVRLittleEndian,
    planar: int = 0,
) -> Path:
    """Write a data set with these stored pixels ``(T, H, W[, 3])`` in one of pydicom's lossless encodings."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    describe(ds, frames.shape, model or ("RGB" if frames.ndim == 4 else "MONOCHROME2"), planar, 8 * frames.itemsize)
    stored = frames.transpose(0, 3, 1, 2) if planar else frames
    ds.PixelData = np.ascontiguousarray(stored).tobytes()
    ds["PixelData"].VR = "OW" if frames.itemsize == 2 else "OB"
    if syntax != ExplicitVRLittleEndian:
        ds.compress(syntax, generate_instance_uid=False)
    return write(path, ds)


def save_jpeg(path: Path, ds: Dataset, frames: np.ndarray, quality: int = 95) -> Path:
    """Write a data set with JPEG Baseline frames, as most scanners do."""
    import io

    def encoded(frame: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "JPEG", quality=quality)
        return buffer.getvalue() + b"\0" * (buffer.tell() % 2)

    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    describe(ds, frames.shape, "YBR_FULL_422" if frames.ndim == 4 else "MONOCHROME2", 0, 8)
    ds.PixelData = pydicom.encaps.encapsulate([encoded(frame) for frame in frames])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return write(path, ds)


def describe(ds: Dataset, shape: tuple[int, ...], model: str, planar: int, bits: int) -> None:
    ds.NumberOfFrames, ds.Rows, ds.Columns = shape[:3]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = (3 if len(shape) == 4 else 1), model
    if len(shape) == 4:
        ds.PlanarConfiguration = planar
    ds.BitsAllocated = ds.BitsStored = bits
    ds.HighBit, ds.PixelRepresentation = bits - 1, 0


def write(path: Path, ds: Dataset) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    ds.save_as(path, enforce_file_format=True)
    return path


def tiny(path: Path, number: int, *, patient: str | None = None, num_frames: int = 8) -> Path:
    """A file with a fan of noise, quick to make and to import."""
    y, x = np.mgrid[:SIDE, :SIDE]
    fan = (np.abs(x - SIDE / 2) < y * 0.7) & (np.hypot(x - SIDE / 2, y) < SIDE - 4)
    frames = np.random.default_rng(number).integers(20, 200, (num_frames, SIDE, SIDE)).astype(np.uint8) * fan
    who = person(number)
    ds = tags(who, f"1.2.826.0.1.{number + 1}")
    ds.PatientID = patient or who.id
    del ds.SequenceOfUltrasoundRegions
    return save(path, ds, frames)
