"""What a worker process does with one file: look at it, then import it. Light to import, and what it returns names nobody."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from echosyn.data import twins, video
from echosyn.data.dicom import deidentify, reading, text
from echosyn.data.dicom.faults import BadDicomError, is_harmless
from echosyn.data.resizing import resized

BLACKENED = "BlackenedPercent"
"""Column: how much of the sector was taken for text."""
Status = Literal["imported", "skipped", "failed"]


@dataclass(frozen=True)
class Identity:
    """Who and what a file is, for the importing process only; never written."""

    instance: str = ""
    patient: str = ""
    fault: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a file: numbers and our own words."""

    status: Status
    reason: str = ""
    detail: str = ""
    num_frames: int | None = None
    fps: float | None = None
    columns: dict[str, str] = field(default_factory=dict)
    """Further columns of its row in the file list."""


@dataclass(frozen=True)
class Task:
    """One file to import."""

    path: Path
    out: Path
    size: int
    fps: float | None
    ocr: bool


def failure(fault: str, detail: str = "") -> Outcome:
    """A file that does not become a video."""
    return Outcome("skipped" if is_harmless(fault) else "failed", fault, detail)


def identify(path: Path) -> Identity:
    """Read who a file is of, if it is an ultrasound cine.

    Patients are told apart by their id and its issuer, without one by name and birth date, without these by study.
    """
    try:
        found = reading.header(path)
        reading.check_kind(found)
        with reading.decoding("unreadable"):
            return Identity(str(found.get("SOPInstanceUID", "")), _patient(found))
    except BadDicomError as error:
        return Identity(fault=error.fault, detail=error.detail)


def run(task: Task) -> Outcome:
    """De-identify one file and write its video, whole or not at all."""
    try:
        cine = deidentify.cine(task.path, fps=task.fps)
        if task.ocr and text.found(cine.frames):
            raise BadDicomError("text inside the sector")
        frames = resized(cine.frames, task.size)
        twins.write(twins.path(task.out), twins.fingerprint(frames))
        video.write_avi(task.out, frames, cine.fps, verify=False)
    except BadDicomError as error:
        return failure(error.fault, error.detail)
    except MemoryError:
        return failure("too large", "it does not fit into memory")
    scale = cine.frames.shape[1] / task.size
    spacing = tuple(repr(round(side * scale, 8)) for side in cine.spacing) if cine.spacing else ("", "")
    columns = {"FPSSource": cine.fps_source, "CmPerPixelX": spacing[0], "CmPerPixelY": spacing[1]}
    columns |= {BLACKENED: f"{100 * cine.blackened:.2f}"}
    detail = "; ".join(cine.notes)
    return Outcome("imported", "", detail, len(frames), video.exact_fps(cine.fps), columns)


def _patient(found: reading.Dataset) -> str:
    def value(keyword: str) -> str:
        return str(found.get(keyword) or "").strip()

    if value("PatientID"):
        return f"id\0{value('PatientID')}\0{value('IssuerOfPatientID')}"
    if value("PatientName") and value("PatientBirthDate"):
        return f"name\0{value('PatientName').casefold().rstrip('^ ')}\0{value('PatientBirthDate')}"
    return f"study\0{value('StudyInstanceUID')}" if value("StudyInstanceUID") else ""
