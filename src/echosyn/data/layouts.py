"""Other layouts as records with their source videos, for `import`: a plain folder, EchoNet-Dynamic, -Pediatric."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from echosyn.data import cells, filelist, leftovers, spreadsheets, table, unmatched
from echosyn.data.filelist import VideoIndex
from echosyn.data.leftovers import LeftOut
from echosyn.data.records import PATIENT_COLUMNS, Record, Tracing
from echosyn.data.splits import EXTRA, FOLDS, Split, split_patients
from echosyn.errors import DataError
from echosyn.hashing import PROVENANCE

PEDIATRIC_VIEWS = ("A4C", "PSAX")
VIEW = "View"
"""Column that says which cut through the heart a video shows."""


@dataclass(frozen=True)
class Bad:
    """A video that the list itself keeps from being imported."""

    name: str
    reason: str
    """A fixed word, for counting."""
    message: str


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
    bad: Sequence[Bad] = ()
    """Videos whose rows are wrong or have no file."""
    left_out: Sequence[LeftOut] = ()
    """What is in the source and was not asked for: files of other kinds, videos without a row, rows marked EXTRA."""

    def of_view(self, view: str, src: Path) -> "Layout":
        """Without the videos, and their tracings, whose column View says something else.

        Raises:
            DataError: None is left.
        """
        items = [(record, path) for record, path in self.items if str(record.cell(VIEW)).casefold() == view.casefold()]
        others = Counter(str(record.cell(VIEW) or "empty") for record, _ in self.items)
        if not items:
            there = ", ".join(f"{name} ({count})" for name, count in sorted(others.items()))
            raise DataError(f"{src}: no video of --view {view}; column {VIEW} is {there}: give one of these, or none")
        kept = {record.name.casefold() for record, _ in items}
        names = [record.name for record, _ in self.items if record.name.casefold() not in kept]
        tracings = [t for t in self.tracings if filelist.stem(t.name).casefold() in kept]
        left_out = [*leftovers.of("video", f"not of --view {view}", names), *self.left_out]
        return replace(self, items=items, tracings=tracings, left_out=left_out)


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
        DataError: There are no videos, or the labels as a whole are wrong. Single wrong rows are in ``bad``.
    """
    if not src.is_dir():
        raise DataError(f"{src}: no such folder; expected a folder with videos")
    found = sorted(path for path in src.rglob("*") if filelist.is_video(path))
    left_out = leftovers.files(src, {*found, *_below(src, labels)})
    if not found:
        there = [f"  {row.count} {row.what}(s): {row.why}" for row in left_out]
        head = f"{src}: no videos below it; expected AVI, MP4 or GIF files: pass the folder that holds them"
        raise DataError(table.listing(f"{head}; found", there) if there else head)
    names = dict(zip(found, _unique_names([path.relative_to(src) for path in found]), strict=True))
    sheet = _labels(labels, src, found) if labels else _Labels(notes=["no labels given: EF is unknown for every video"])
    rows, notes = sheet.matched, sheet.notes
    files = [path for path in found if path not in sheet.spoiled]
    records = [replace(rows[path][0], name=names[path]) if path in rows else Record(names[path]) for path in files]
    patients = [rows[path][1] or names[path] if path in rows else names[path] for path in files]
    if not any(patient for _, patient, _ in rows.values()):
        notes.append(f"no {' or '.join(PATIENT_COLUMNS)} column in the labels: every video is taken as its own patient")
    known = {patients[i]: rows[path][0].split for i, path in enumerate(files) if path in rows and rows[path][2]}
    drawn = split_patients([patient for patient in patients if patient not in known], seed)
    if drawn:
        notes.append(f"splits of {len(drawn)} patient(s) drawn with seed {seed}")
    splits = known | drawn
    items = [(replace(r, split=splits[p]), path) for r, p, path in zip(records, patients, files, strict=True)]
    return Layout(items, notes=notes, bad=sheet.bad, left_out=left_out)


def dynamic(src: Path) -> Layout:
    """A dataset folder as EchoNet-Dynamic's or our own.

    Raises:
        DataError: The file list as a whole or the tracings are wrong. Single wrong rows are in ``bad``.
    """
    entries = filelist.parse(src)
    filelist.refuse_fractions(src / filelist.FILE_LIST, [e.record for e in entries if e.record is not None])
    index = VideoIndex(src)
    lost = unmatched.missing(entries, index)
    items: list[tuple[Record, Path]] = []
    bad: list[Bad] = []
    undone: dict[str, str] = {}
    for entry in entries:
        record, path, gone = entry.record, index.find(entry.name), lost.get(entry.name)
        problems = [*entry.problems, *filter(None, [filelist.suspicious_ef(record) if record else None])]
        if record is None or problems:
            bad.append(
                Bad(entry.name, "bad row", f"{src / filelist.FILE_LIST}: line {entry.line}: {'; '.join(problems)}")
            )
        elif record.split == EXTRA:
            continue
        elif path is not None:
            items.append((record, path))
        elif gone and gone.path:
            items.append((replace(record, name=gone.path.stem), gone.path))
            undone[entry.name] = gone.path.stem
        else:
            words = gone.words if gone else ""
            bad.append(Bad(entry.name, "missing file", f"{index.folder / entry.name}.avi: missing file: {words}"))
    tracings, untraced = _tracings(src)
    tracings = [
        replace(t, name=f"{undone[filelist.stem(t.name)]}.avi") if filelist.stem(t.name) in undone else t
        for t in tracings
    ]
    left_out = [
        *leftovers.of("row", "marked EXTRA", [e.name for e in entries if e.record and e.record.split == EXTRA]),
        *unmatched.unlisted(entries, index, {path for _, path in items}),
        *untraced,
        *leftovers.files(
            src, {*index.files, *(src / name for name in (filelist.FILE_LIST, filelist.TRACINGS, PROVENANCE))}
        ),
    ]
    notes = [f"{row.what} left out: {row.why}" for row in untraced]
    if undone:
        shown = _some("name(s) were changed by a spreadsheet", [f"{name} is {file}" for name, file in undone.items()])
        notes.append(f"{shown}; matched, since nothing else fits: save the column FileName as text")
    folds = sorted({entry.fold for entry in entries if entry.fold})
    return Layout(items, tracings, {fold: FOLDS[fold] for fold in folds}, notes, bad, left_out)


def _tracings(src: Path) -> tuple[list[Tracing], list[LeftOut]]:
    """The chords, and the tracings that are none."""
    if filelist.has_chords(src):
        return filelist.read_tracings(src), []
    if not (src / filelist.TRACINGS).is_file():
        return [], []
    why = f"it has no chords (columns {', '.join(filelist.TRACING_COLUMNS)})"
    return [], leftovers.of(filelist.TRACINGS, why, [filelist.TRACINGS])


UNKNOWN_PATIENTS = (
    "patients are not known: every video counts as its own patient, whatever its name begins with; if you know them, add a "
    "column PatientId to FileList.csv and import again"
)


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
    layout = dynamic(src)
    if any(record.patient != record.name for record, _ in layout.items):
        return layout
    return replace(layout, notes=[*layout.notes, UNKNOWN_PATIENTS])


_Label = tuple[Record, str, bool]
"""A labelled record, the patient ('' if unknown), whether its split was given."""


@dataclass
class _Labels:
    """A table of labels, matched with files."""

    matched: dict[Path, _Label] = field(default_factory=dict)
    bad: list[Bad] = field(default_factory=list)
    """Rows that are wrong."""
    spoiled: set[Path] = field(default_factory=set)
    """The files of these rows."""
    notes: list[str] = field(default_factory=list)


def _labels(labels: Path, src: Path, files: Sequence[Path]) -> _Labels:
    """The label of each file that has one, the rows that are wrong, and notes on what did not match."""
    contents = table.read(labels, required=("FileName",))
    parsed = [_label(row, contents.columns) for row in contents.rows]
    filelist.refuse_fractions(labels, [one.record for one in parsed if not one.problems])
    found, without_file, undone = _Labels(), [], []
    split_of: dict[str, Split] = {}
    matches = _matches(src, files, [one.written for one in parsed])
    for one in parsed:
        paths, patient, wrong = matches.get(one.written, []), one.patient, list(one.problems)
        if len(paths) > 1:
            wrong.append(f"FileName {one.written!r} fits {len(paths)} files; expected the path below {src}")
        elif paths and (paths[0] in found.matched or paths[0] in found.spoiled):
            wrong.append(f"FileName {one.written!r} is listed twice; keep one of them")
        if patient and one.split_given and split_of.setdefault(patient, one.record.split) != one.record.split:
            wrong.append(f"patient {patient!r} is in {split_of[patient]} and in {one.record.split}, expected one split")
        if wrong:
            found.bad.append(Bad(one.written, "bad row", f"{labels}: line {one.line}: {'; '.join(wrong)}"))
            found.spoiled.update(paths)
        elif not paths:
            without_file.append(one.written)
        else:
            found.matched[paths[0]] = (one.record, patient, one.split_given)
            if not any(one.written.casefold() in way for way in _names_of(src, [paths[0]])):
                undone.append(f"{one.written} is {paths[0].name}")
    for path in found.spoiled:
        found.matched.pop(path, None)
    if not found.matched and not found.bad:
        raise DataError(f"{labels}: no row fits a video below {src}, e.g. {without_file[0]!r}: expected file names")
    labelled = found.matched.keys() | found.spoiled
    without_label = [path.relative_to(src).as_posix() for path in files if path not in labelled]
    changed = _some("name(s) were changed by a spreadsheet", undone)
    found.notes = [
        *filter(
            None,
            [_some("label row(s) without a video", without_file), _some("video(s) without a label", without_label)],
        ),
        *([f"{changed}; matched, since nothing else fits: save the column FileName as text"] if changed else []),
    ]
    return found


@dataclass(frozen=True)
class _Row:
    """A row of labels."""

    line: int
    written: str
    """Its file's name or path, as written."""
    record: Record
    patient: str
    split_given: bool
    problems: Sequence[str]


def _label(row: table.Row, columns: Sequence[str]) -> _Row:
    written = row.cells.get("filename", "").strip().replace("\\", "/")
    named = {**row.cells, "filename": written.rpartition("/")[2]}
    record, wrong, _ = filelist.parse_row(table.Row(row.line, named, row.problem), columns, need_split=False)
    patient = next((cell for column in PATIENT_COLUMNS if (cell := cells.text(row, column))), "")
    problems = [*wrong, *filter(None, [filelist.suspicious_ef(record)])]
    return _Row(row.line, written, record, patient, bool(cells.text(row, "Split")), problems)


def _matches(src: Path, files: Sequence[Path], written: Sequence[str]) -> dict[str, list[Path]]:
    """The files that each name fits, by the most exact way that fits any; else the one a spreadsheet made it from."""
    ways = _names_of(src, files)
    fits = {name: next((way[name.casefold()] for way in ways if name.casefold() in way), []) for name in written}
    taken = {path for paths in fits.values() for path in paths}
    free = Counter(path.stem for path in files if path not in taken)
    single = {path.stem: path for path in files if path not in taken and free[path.stem] == 1}
    lost = {filelist.stem(name): name for name, paths in fits.items() if not paths}
    for stem, meant in spreadsheets.meant(lost, single).items():
        if meant.exact:
            fits[lost[stem]] = [single[meant.name]]
    return fits


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


def _below(src: Path, labels: Path | None) -> list[Path]:
    """The table of labels as a path below ``src``, if it lies there."""
    if labels is None or not labels.resolve().is_relative_to(src.resolve()):
        return []
    return [src / labels.resolve().relative_to(src.resolve())]


def _plain(name: str) -> str:
    """A name that a file list gives back as it is: no video's extension, no blanks around it, no folder in it."""
    plain = filelist.stem(name).replace("\\", "_")
    return plain if plain == name else _plain(plain)


def _some(what: str, names: Sequence[str]) -> str:
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return f"{len(names)} {what}: {shown}" if names else ""
