"""One row of ``FileList.csv``: what is known about one video."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from echosyn.data.splits import Split

UNKNOWN = frozenset(["", "nan", "-nan", "na", "n/a", "#n/a", "<na>", "none", "null", "nat"])
"""What pandas, R, SQL and spreadsheets write for an unknown value, in lower case."""
PATIENT_COLUMNS = ("PatientId", "Patient")
"""Columns that say whose video it is, in any case; the first one counts."""


@dataclass(frozen=True)
class Record:
    """One video of a dataset. Unknown numbers are ``None`` and stay empty on disk, never 0."""

    name: str
    """File name without folder and extension, as EchoNet-Dynamic writes it."""
    ef: float | None = None
    """Ejection fraction in percent, 0..100."""
    esv: float | None = None
    """End-systolic volume in ml."""
    edv: float | None = None
    """End-diastolic volume in ml."""
    height: int | None = None
    width: int | None = None
    fps: float | None = None
    num_frames: int | None = None
    split: Split = "TRAIN"
    extra: Mapping[str, str] = field(default_factory=dict)
    """Further columns, kept as text and written after the standard ones."""

    @property
    def patient(self) -> str:
        """Whose video this is: the column ``PatientId`` (or ``Patient``) where there is one, else one patient a video."""
        cells = (str(self.cell(column) or "") for column in PATIENT_COLUMNS) if self.extra else ()
        return next((cell for cell in cells if cell.strip().casefold() not in UNKNOWN), self.name)

    def cell(self, column: str) -> str | float | None:
        """What a column of ``FileList.csv`` says about this video, a further one in any case; None if nothing."""
        known = {"ef": self.ef, "esv": self.esv, "edv": self.edv}
        if column.casefold() in known:
            return known[column.casefold()]
        return next((v for name, v in self.extra.items() if name.casefold() == column.casefold() and v), None)


@dataclass(frozen=True)
class Tracing:
    """One row of ``VolumeTracings.csv``: a chord of the left ventricle, in pixels of the video.

    Per traced frame the first row is the long axis, the following ones the short-axis chords from one end of it to the
    other (EchoNet-Dynamic's convention: 1 + 20 rows, at end-diastole and at end-systole).
    """

    name: str
    """File name *with* extension, as EchoNet-Dynamic writes it."""
    x1: float
    y1: float
    x2: float
    y2: float
    frame: int
