"""CAMUS (Leclerc et al. 2019) as it is published in ``database_nifti``: two apical half beats a patient, with outlines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from echosyn.data import cells, filelist, leftovers, table
from echosyn.data.layouts import Bad, Layout
from echosyn.data.leftovers import LeftOut
from echosyn.data.open_data import masks, nifti
from echosyn.data.open_data.masks import MaskError
from echosyn.data.records import Record, Tracing
from echosyn.data.splits import Split, split_patients
from echosyn.data.video import BadVideoError
from echosyn.errors import DataError
from echosyn.extras import require

VIEWS: Mapping[str, str] = {"2CH": "A2C", "4CH": "A4C"}
LISTS: Mapping[str, Split] = {
    "subgroup_training.txt": "TRAIN",
    "subgroup_validation.txt": "VAL",
    "subgroup_testing.txt": "TEST",
}
"""Lists of patients in ``database_split``."""
COLUMNS = ("Sex", "Age", "ImageQuality")
"""What a patient's settings say and the file list keeps."""
HALF = (
    "every video is half a beat, from end-diastole to end-systole (column Sequence: half): its EF is labelled, but no video "
    "shows a whole beat"
)
SQUARED = "pictures were made square by black below or beside them, so that no heart is stretched"


@dataclass(frozen=True)
class _Found:
    """A view of a patient."""

    record: Record
    path: Path
    traced: Mapping[str, int]
    """Frame of each outline, by the name of its mask."""


def camus(src: Path, seed: int = 0) -> Layout:
    """The half sequences of a folder, their labels, outlines at end-diastole and end-systole, and published splits.

    Args:
        src: The folder that holds ``database_nifti`` (and ``database_split``), or the former itself.
        seed: Of the splits of patients that are in no published list.

    Raises:
        DataError: The folder is another one, or a list of patients is wrong. Single wrong files are in ``bad``.
        MissingExtraError: nibabel is not installed.
    """
    require("nibabel", extra="camus")
    patients = _patients(src)
    splits, notes = _splits(src, [patient.name for patient in patients], seed)
    found: list[_Found] = []
    bad: list[Bad] = []
    for folder in patients:
        views = [_view(folder, view, splits[folder.name]) for view in VIEWS]
        found += [one for one in views if isinstance(one, _Found)]
        bad += [one for one in views if isinstance(one, Bad)]
        if not any(views):
            expected = f"{folder / folder.name}_4CH_half_sequence.nii.gz"
            bad.append(
                Bad(folder.name, "missing file", f"{expected}: missing file: expected it or that of the view 2CH")
            )
    tracings, untraced = _tracings(found)
    read = {path for one in found for path in (one.path, one.path.with_name(_settings(one.record)))}
    return Layout(
        [(one.record, one.path) for one in found],
        tracings,
        notes=[HALF, SQUARED, *notes],
        bad=bad,
        left_out=[*untraced, *_left_out(src, read)],
    )


def _patients(src: Path) -> list[Path]:
    if not src.is_dir():
        raise DataError(f"{src}: no such folder; expected CAMUS, the folder that holds database_nifti")
    inside = src / "database_nifti"
    above = inside if inside.is_dir() else src
    found = sorted(path for path in above.glob("patient*") if path.is_dir())
    if found and not any(above.glob("patient*/*.nii*")) and any(above.glob("patient*/*.mhd")):
        raise DataError(f"{above}: CAMUS in its older form (.mhd), expected .nii.gz: fetch the folder database_nifti")
    if not found:
        raise DataError(f"{above}: no folders patientNNNN; expected CAMUS: pass the folder that holds database_nifti")
    return found


def _splits(src: Path, patients: Sequence[str], seed: int) -> tuple[dict[str, Split], list[str]]:
    """The published split of each patient, drawn where there is none."""
    published: dict[str, Split] = {}
    for name, split in LISTS.items():
        path = src / "database_split" / name
        for patient in path.read_text(encoding="utf-8-sig").split() if path.is_file() else []:
            if published.setdefault(patient, split) != split:
                raise DataError(
                    f"{path}: {patient} is in {published[patient]} and {split}, expected one: copy it again"
                )
    drawn = split_patients([patient for patient in patients if patient not in published], seed)
    if not drawn:
        return published, []
    where = (
        "are in no list of database_split" if published else f"have no published list below {src / 'database_split'}"
    )
    return published | drawn, [f"{len(drawn)} patient(s) {where}: their splits were drawn with seed {seed}"]


def _view(folder: Path, view: str, split: Split) -> _Found | Bad | None:
    """One view of a patient; None where nothing of it is there."""
    name = f"{folder.name}_{view}"
    path = nifti.find(folder, f"{name}_half_sequence")
    settings = folder / f"Info_{view}.cfg"
    if not settings.is_file() and path is None:
        return None
    for there, wanted in ((settings.is_file(), settings), (path, folder / f"{name}_half_sequence.nii.gz")):
        if not there:
            return Bad(name, "missing file", f"{wanted}: missing file: copy it again or leave {name} out")
    assert path is not None
    fields = cells.Fields(table.Row(1, _cells(settings)))
    first, last = (fields.integer(frame, "a frame, counted from 1", 1) for frame in ("ED", "ES"))
    record = Record(
        name,
        ef=fields.percentage("EF"),
        fps=fields.number("FrameRate", "frames per second above 0", 1e-3),
        num_frames=fields.integer("NbFrame", "a count of at least 1", 1),
        split=split,
        extra={
            "PatientId": folder.name,
            "View": VIEWS[view],
            **{column: fields.text(column) for column in COLUMNS},
            "Sequence": "half",
        },
    )
    problems = [*fields.problems, *filter(None, [filelist.suspicious_ef(record)])]
    if problems:
        return Bad(name, "bad row", f"{settings}: {'; '.join(problems)}")
    traced = {phase: frame - 1 for phase, frame in (("ED", first), ("ES", last)) if frame is not None}
    return _Found(record, path, {f"{name}_{phase}_gt": frame for phase, frame in traced.items()})


def _settings(record: Record) -> str:
    return f"Info_{record.name.rpartition('_')[2]}.cfg"


def _cells(settings: Path) -> dict[str, str]:
    """The values of lines like ``EF: 57``, by name in lower case."""
    lines = (line.partition(":") for line in settings.read_text(encoding="utf-8-sig", errors="replace").splitlines())
    return {name.strip().casefold(): value.strip() for name, _, value in lines}


def _tracings(found: Sequence[_Found]) -> tuple[list[Tracing], list[LeftOut]]:
    """The outlines of all sequences, and what became of masks that are none."""
    tracings: list[Tracing] = []
    lost: list[tuple[str, str]] = []
    for one in found:
        for name, frame in one.traced.items():
            path = nifti.find(one.path.parent, name)
            try:
                tracings += _traced(one, path or one.path.with_name(f"{name}.nii.gz"), frame)
            except BadVideoError as error:
                lost.append((name, error.fault))
            except MaskError as error:
                lost.append((name, str(error)))
    return tracings, leftovers.by_reason("outline", lost)


def _traced(one: _Found, path: Path, number: int) -> list[Tracing]:
    mask, frame = nifti.pixels(path)
    if mask.ndim != 2 or frame != nifti.frame(one.path):
        raise MaskError("its picture is of another size than the half sequence's")
    left = frame.beside[0]
    return [
        Tracing(f"{one.record.name}.avi", x1 + left, y1, x2 + left, y2, number)
        for (x1, y1), (x2, y2) in masks.traced(mask.round().astype(int), frame.pixel_aspect).tolist()
    ]


def _left_out(src: Path, read: set[Path]) -> list[LeftOut]:
    lists = {src / "database_split" / name for name in LISTS}
    still = ("still or mask", "outlines are read from the masks ED_gt and ES_gt, pictures from half sequences")
    return leftovers.files(src, {*read, *lists}, own=dict.fromkeys(("nii", "nii.gz"), still))
