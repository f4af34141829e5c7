"""Other layouts as records with their source videos, for `import`: a plain folder, EchoNet-Dynamic, -Pediatric."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from echosyn import rng
from echosyn.data import filelist, table
from echosyn.data.filelist import VideoIndex
from echosyn.data.records import SPLITS, Record, Split, Tracing
from echosyn.errors import DataError

PATIENT_COLUMNS = ("PatientId", "Patient")
PEDIATRIC_VIEWS = ("A4C", "PSAX")


@dataclass(frozen=True)
class Layout:
    """What was found in a source folder."""

    items: Sequence[tuple[Record, Path]]
    """One record per video, with unique names, and the file it comes from."""
    tracings: Sequence[Tracing] = ()
    folds: Mapping[str, Split] = field(default_factory=dict)
    """Which fold numbers stood for which split, if any did."""
    notes: Sequence[str] = ()
    """What the user should know: what was assumed, what did not match."""


def folder(src: Path, labels: Path | None = None, seed: int = 0) -> Layout:
    """All videos below ``src``, with what a table of labels says about them.

    The table has a FileName column (a name or a path below ``src``, with or without extension) and any columns of
    FileList.csv; other columns are kept. Videos of one patient (column PatientId or Patient; without it every video is
    a patient of its own) get the same split: the one in the Split column, else one drawn by `split_patients`.

    Args:
        src: Searched with its sub-folders; equal file names in different sub-folders get unique record names.
        labels: CSV file, optional.
        seed: Of the drawn split.

    Raises:
        DataError: There are no videos, or the labels are wrong: all bad rows in one message.
    """
    if not src.is_dir():
        raise DataError(f"{src}: no such folder; expected a folder with videos")
    files = sorted(path for path in src.rglob("*") if filelist.is_video(path))
    if not files:
        raise DataError(f"{src}: no videos below it; expected AVI, MP4 or GIF files: pass the folder that holds them")
    names = _unique_names([path.relative_to(src) for path in files])
    rows, notes = _labels(labels, src, files) if labels else ({}, ["no labels given: EF is unknown for every video"])
    records = [
        replace(rows[path][0], name=names[i]) if path in rows else Record(names[i]) for i, path in enumerate(files)
    ]
    patients = [rows[path][1] or names[i] if path in rows else names[i] for i, path in enumerate(files)]
    if not any(patient for _, patient, _ in rows.values()):
        notes.append(f"no {' or '.join(PATIENT_COLUMNS)} column in the labels: every video is taken as its own patient")
    known = {patients[i]: rows[path][0].split for i, path in enumerate(files) if path in rows and rows[path][2]}
    drawn = split_patients([patient for patient in patients if patient not in known], seed)
    if drawn:
        notes.append(f"splits of {len(drawn)} patient(s) drawn with seed {seed}")
    splits = known | drawn
    items = [(replace(r, split=splits[p]), path) for r, p, path in zip(records, patients, files, strict=True)]
    return Layout(items, notes=notes)


def dynamic(src: Path) -> Layout:
    """A dataset folder as EchoNet-Dynamic's or our own. A video that is not there gets the path where it should be.

    Raises:
        DataError: The file list or the tracings are wrong: all bad rows in one message.
    """
    records = filelist.read(src)
    index = VideoIndex(src)
    items = [(record, index.find(record.name) or index.folder / f"{record.name}.avi") for record in records]
    folds = {entry.fold for entry in filelist.parse(src) if entry.fold}
    notes = []
    tracings: list[Tracing] = []
    if filelist.has_chords(src):
        tracings = filelist.read_tracings(src)
    elif (src / filelist.TRACINGS).is_file():
        notes.append(f"{filelist.TRACINGS} left out: it has no chords (columns {', '.join(filelist.TRACING_COLUMNS)})")
    return Layout(items, tracings, {fold: filelist.FOLDS[fold] for fold in sorted(folds)}, notes)


def pediatric(src: Path) -> Layout:
    """One view of EchoNet-Pediatric: the folder ``A4C`` or ``PSAX``; folds 0-7 are TRAIN, 8 is VAL, 9 is TEST.

    Raises:
        DataError: As `dynamic`; or ``src`` is the parent of the views.
    """
    views = [view for view in PEDIATRIC_VIEWS if (src / view / filelist.FILE_LIST).is_file()]
    if views and not (src / filelist.FILE_LIST).is_file():
        raise DataError(
            f"{src}: holds {len(views)} view(s), expected one: pass {' or '.join(str(src / v) for v in views)}"
        )
    return dynamic(src)


def split_patients(
    patients: Sequence[str], seed: int, fractions: tuple[float, float, float] = (0.75, 0.125, 0.125)
) -> dict[str, Split]:
    """Draw a split per patient, from the seed and the set of ids alone: order and repetitions do not matter.

    Args:
        patients: Ids, one per video or one per patient.
        seed: Of the draw.
        fractions: Wanted shares of TRAIN, VAL and TEST. From three patients on, each split gets at least one; of one or
            two, all are TRAIN.
    """
    drawn = sorted(set(patients), key=lambda patient: (rng.key(seed, f"split\0{patient}"), patient))
    num = len(drawn)
    num_val, num_test = (max(1, round(num * share)) if num >= len(SPLITS) else 0 for share in fractions[1:])
    while num_val + num_test >= num > 0:
        num_val, num_test = (num_val - 1, num_test) if num_val >= num_test else (num_val, num_test - 1)
    counts: dict[Split, int] = {"VAL": num_val, "TEST": num_test, "TRAIN": num - num_val - num_test}
    splits = [split for split, count in counts.items() for _ in range(count)]
    return dict(zip(drawn, splits, strict=True))


_Label = tuple[Record, str, bool]
"""A labelled record, the patient ('' if unknown), whether its split was given."""


def _labels(labels: Path, src: Path, files: Sequence[Path]) -> tuple[dict[Path, _Label], list[str]]:
    """The label of each file that has one, and notes on what did not match."""
    contents = table.read(labels, required=("FileName",))
    ways = _names_of(src, files)
    matched: dict[Path, _Label] = {}
    problems: list[tuple[int, str]] = []
    without_file = []
    split_of: dict[str, Split] = {}
    for row in contents.rows:
        written = row.cells.get("filename", "").strip().replace("\\", "/")
        paths = next((way[written.casefold()] for way in ways if written.casefold() in way), [])
        cells = {**row.cells, "filename": written.rpartition("/")[2]}
        record, wrong, _ = filelist.parse_row(
            table.Row(row.line, cells, row.problem), contents.columns, need_split=False
        )
        patient = next((row.cells[c.casefold()].strip() for c in PATIENT_COLUMNS if row.cells.get(c.casefold())), "")
        given = bool(row.cells.get("split", "").strip())
        if len(paths) > 1:
            wrong.append(f"FileName {written!r} fits {len(paths)} files; expected the path below {src}")
        elif paths and paths[0] in matched:
            wrong.append(f"FileName {written!r} is listed twice; keep one of them")
        if patient and given and split_of.setdefault(patient, record.split) != record.split:
            wrong.append(f"patient {patient!r} is in {split_of[patient]} and in {record.split}, expected one split")
        problems += [(row.line, problem) for problem in wrong]
        if not paths:
            without_file.append(written)
        for path in paths:
            matched[path] = (record, patient, given)
    table.refuse(labels, problems)
    if not matched:
        raise DataError(f"{labels}: no row fits a video below {src}, e.g. {without_file[0]!r}: expected file names")
    without_label = [path.relative_to(src).as_posix() for path in files if path not in matched]
    notes = [_some("label row(s) without a video", without_file), _some("video(s) without a label", without_label)]
    return matched, [note for note in notes if note]


def _names_of(src: Path, files: Iterable[Path]) -> tuple[dict[str, list[Path]], ...]:
    """Ways to name a file in the labels, the most exact first: path below ``src``, then name."""
    ways: tuple[dict[str, list[Path]], ...] = ({}, {}, {}, {})
    for path in files:
        relative = path.relative_to(src)
        forms = (relative.as_posix(), relative.with_suffix("").as_posix(), path.name, path.stem)
        for way, form in zip(ways, forms, strict=True):
            way.setdefault(form.casefold(), []).append(path)
    return ways


def _unique_names(paths: Sequence[Path]) -> list[str]:
    """The stem where it is unique (in any case); else with the sub-folders, the extension and a number, until it is."""
    long = ["_".join([*path.parts[:-1], _plain(path.stem)]) for path in paths]
    forms = (
        [_plain(path.stem) for path in paths],
        long,
        [f"{name}_{path.suffix[1:]}" for name, path in zip(long, paths, strict=True)],
        [f"{name}_{path.suffix[1:]}_{i}" for i, (name, path) in enumerate(zip(long, paths, strict=True))],
    )
    names = forms[0]
    for form in forms[1:]:
        count = Counter(name.casefold() for name in names)
        names = [name if count[name.casefold()] == 1 else form[i] for i, name in enumerate(names)]
    return names


def _plain(name: str) -> str:
    """A name that a file list gives back as it is: no video's extension, no blanks around it, no folder in it."""
    plain = filelist.stem(name).replace("\\", "_")
    return plain if plain == name else _plain(plain)


def _some(what: str, names: Sequence[str]) -> str:
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return f"{len(names)} {what}: {shown}" if names else ""
