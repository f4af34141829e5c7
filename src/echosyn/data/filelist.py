"""Dataset folders: ``FileList.csv``, the videos in ``Videos/``, optionally ``VolumeTracings.csv``."""

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from echosyn.data import cells, splits, table
from echosyn.data.records import Record, Tracing
from echosyn.data.video import EXTENSIONS
from echosyn.errors import DataError

FILE_LIST = "FileList.csv"
TRACINGS = "VolumeTracings.csv"
VIDEOS = "Videos"

COLUMNS = ("FileName", "EF", "ESV", "EDV", "FrameHeight", "FrameWidth", "FPS", "NumberOfFrames", "Split")
_STANDARD = frozenset(column.casefold() for column in COLUMNS)
TRACING_COLUMNS = ("FileName", "X1", "Y1", "X2", "Y2", "Frame")


@dataclass(frozen=True)
class Entry:
    """One row of a file list as it was found; ``record`` is None if ``problems`` is not empty."""

    line: int
    name: str
    record: Record | None
    problems: Sequence[str]
    fold: str | None
    """The fold number that stood for a split, if so."""


def read(dataset: Path, *, extra: bool = False) -> list[Record]:
    """The records of a dataset folder, in the order of its ``FileList.csv``.

    File names may have an extension or not; a split may be a fold number of EchoNet-Pediatric; columns that
    EchoNet-Dynamic does not know are kept in ``extra``, where they are not empty.

    Args:
        dataset: The folder.
        extra: Whether to read the videos of no split (``EXTRA``) too.

    Raises:
        DataError: There is no usable file list, or rows are wrong: all of them in one message.
    """
    entries = parse(dataset)
    table.refuse(dataset / FILE_LIST, [(e.line, problem) for e in entries for problem in e.problems])
    refuse_fractions(dataset / FILE_LIST, [e.record for e in entries if e.record is not None])
    return [e.record for e in entries if e.record is not None and (extra or e.record.split != splits.EXTRA)]


def parse(dataset: Path) -> list[Entry]:
    """Every row of a dataset's ``FileList.csv`` with what is wrong with it.

    Raises:
        DataError: There is no file list, or it is no table with the columns FileName and Split.
    """
    contents = table.read(_file_list(dataset), required=("FileName", "Split"))
    seen: dict[str, int] = {}
    return [_entry(row, contents.columns, seen) for row in contents.rows]


def refuse_fractions(path: Path, records: Sequence[Record]) -> None:
    """Refuse a list whose ejection fractions are fractions of one instead of percentages.

    Raises:
        DataError: None is above 1.
    """
    known = [record for record in records if record.ef is not None]
    if cells.are_fractions([record.ef for record in known if record.ef is not None]):
        raise DataError(f"{path}: {fractions_words(known)}")


def fractions_words(known: Sequence[Record]) -> str:
    """What is said of a column EF that holds fractions."""
    shown = ", ".join(f"{record.ef:g}" for record in known[:3])
    return (
        f"EF is a fraction of one in every row that has it ({shown}{', ...' if len(known) > 3 else ''}), expected a "
        "percentage in 0..100: multiply the column by 100"
    )


def suspicious_ef(record: Record) -> str | None:
    """What is said of an EF that can be no percentage though its column holds percentages; None of any other."""
    if record.ef is None or record.ef > cells.LARGEST_FRACTION:
        return None
    of_one = f": a fraction of one? write {100 * record.ef:g}, or" if record.ef else ", a code for unknown?"
    return f"EF is {record.ef:g}, expected a percentage that a living heart has{of_one} leave the cell empty"


def write(dataset: Path, records: Sequence[Record]) -> None:
    """Write ``FileList.csv`` with EchoNet-Dynamic's columns, then the extra ones; unknown values stay empty.

    Raises:
        DataError: An extra column has the name of a standard one.
    """
    extras = list(dict.fromkeys(column for record in records for column in record.extra))
    clashes = _STANDARD & {column.strip().casefold() for column in extras}
    if clashes:
        raise DataError(f"{dataset}: extra column {', '.join(sorted(clashes))} is a standard one: rename it")
    dataset.mkdir(parents=True, exist_ok=True)
    rows = [[*_cells(record), *(record.extra.get(column, "") for column in extras)] for record in records]
    table.write(dataset / FILE_LIST, [*COLUMNS, *extras], rows)


class VideoIndex:
    """Finds the file of a record in ``Videos/``, whatever its extension and case; reads the folder once.

    A release of more videos than a folder may hold has them in sub-folders of ``Videos/``: they are found too.
    """

    def __init__(self, dataset: Path) -> None:
        """List ``dataset``'s videos.

        Raises:
            DataError: There is no ``Videos`` folder.
        """
        self.folder = dataset / VIDEOS
        if not self.folder.is_dir():
            raise DataError(f"{self.folder}: no such folder; expected the videos of {FILE_LIST} in it")
        self.files = sorted(path for path in self.folder.glob("*") if is_video(path))
        self.files += sorted(path for path in self.folder.glob("*/*") if is_video(path))
        self._by_stem: dict[str, list[Path]] = {}
        for path in self.files:
            self._by_stem.setdefault(_key(path.stem), []).append(path)

    def find(self, name: str) -> Path | None:
        """The file of the video called ``name``; same case goes before other case, AVI before the other formats."""
        candidates = self._by_stem.get(_key(name), [])
        depth = len(self.folder.parts)
        return min(
            candidates, key=lambda path: (len(path.parts) - depth, path.stem != name, _preference(path)), default=None
        )

    def path(self, record: Record) -> Path:
        """The file of ``record``.

        Raises:
            DataError: There is none.
        """
        path = self.find(record.name)
        if path is None:
            raise DataError(
                f"{self.folder / record.name}.avi: no such video; copy it there or remove it from {FILE_LIST}"
            )
        return path


def video_path(dataset: Path, record: Record) -> Path:
    """The video file of one record; for many of them use one `VideoIndex`.

    Raises:
        DataError: There is none.
    """
    usual = dataset / VIDEOS / f"{record.name}.avi"
    return usual if usual.is_file() else VideoIndex(dataset).path(record)


def is_video(path: Path) -> bool:
    """Whether a file is named like a video (hidden files, such as macOS's ``._x.avi``, are not)."""
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".") and path.is_file()


def stem(file_name: str) -> str:
    """A file name without the extension, if it has that of a video (a dot in a name is no extension)."""
    name = file_name.strip()
    return name[: name.rindex(".")] if name.lower().endswith(EXTENSIONS) else name


def has_chords(dataset: Path) -> bool:
    """Whether there are tracings as EchoNet-Dynamic's chords (EchoNet-Pediatric draws outlines instead)."""
    path = dataset / TRACINGS
    return path.is_file() and table.read(path, required=("FileName",)).has(*TRACING_COLUMNS)


def read_tracings(dataset: Path) -> list[Tracing]:
    """The rows of ``VolumeTracings.csv``, in its order; none if the dataset has no tracings.

    Raises:
        DataError: Rows are wrong: all of them in one message.
    """
    path = dataset / TRACINGS
    if not path.is_file():
        return []
    problems: list[tuple[int, str]] = []
    tracings = []
    for row in table.read(path, required=TRACING_COLUMNS).rows:
        fields = cells.Fields(row)
        numbers = [fields.number(column, "a number of pixels", -math.inf) for column in TRACING_COLUMNS[1:5]]
        frame = fields.integer("Frame", "a frame number", 0)
        name = fields.name("FileName")
        if not name:
            fields.complain("FileName", "a file name")
        x1, y1, x2, y2 = (number if number is not None else math.nan for number in numbers)
        if frame is None or math.isnan(x1 + y1 + x2 + y2):
            fields.problems = fields.problems or ["has an empty cell, expected X1, Y1, X2, Y2 and Frame"]
        problems += [(row.line, problem) for problem in fields.problems]
        tracings.append(Tracing(name, x1, y1, x2, y2, frame or 0))
    table.refuse(path, problems)
    return tracings


def write_tracings(dataset: Path, tracings: Sequence[Tracing]) -> None:
    """Write ``VolumeTracings.csv``."""
    dataset.mkdir(parents=True, exist_ok=True)
    rows = [[t.name, *(_float(x) for x in (t.x1, t.y1, t.x2, t.y2)), str(int(t.frame))] for t in tracings]
    table.write(dataset / TRACINGS, TRACING_COLUMNS, rows)


def parse_row(
    row: table.Row, columns: Sequence[str], *, need_split: bool = True
) -> tuple[Record, list[str], str | None]:
    """A row as a record, what is wrong with it, and the fold number that stood for its split.

    Args:
        row: A line of a file list or of a table of labels.
        columns: The table's column names as written.
        need_split: Whether an empty split is a problem; if not, it is read as TRAIN.
    """
    fields = cells.Fields(row)
    name = stem(fields.name("FileName"))
    if not name or name in (".", "..") or any(letter in name for letter in "/\\\0"):
        fields.complain("FileName", "the name of a file in Videos")
    split, fold = splits.named(fields.text("Split"))
    if split is None and (need_split or fields.text("Split")):
        fields.complain("Split", splits.EXPECTED)
    further = [column for column in columns if column.casefold() not in _STANDARD]
    extra = {column: row.cells[column.casefold()] for column in further if row.cells.get(column.casefold())}
    if fold is not None and splits.FOLD.casefold() not in {column.casefold() for column in further}:
        extra[splits.FOLD] = fold
    record = Record(
        name=name,
        ef=fields.percentage("EF"),
        esv=fields.number("ESV", "a volume in ml", 0),
        edv=fields.number("EDV", "a volume in ml", 0),
        height=fields.integer("FrameHeight", "a number of pixels", 1),
        width=fields.integer("FrameWidth", "a number of pixels", 1),
        fps=fields.number("FPS", "frames per second above 0", math.ulp(0.0)),
        num_frames=fields.integer("NumberOfFrames", "a count of at least 1", 1),
        split=split or "TRAIN",
        extra=extra,
    )
    return record, fields.problems, fold


def _entry(row: table.Row, columns: Sequence[str], seen: dict[str, int]) -> Entry:
    record, problems, fold = parse_row(row, columns)
    first = seen.setdefault(record.name.casefold(), row.line)
    if first != row.line and record.name:
        problems = [*problems, f"FileName {record.name!r} is listed twice, first on line {first}; keep one of them"]
    return Entry(row.line, record.name, None if problems else record, problems, fold)


def _cells(record: Record) -> Iterator[str]:
    yield record.name
    yield from (_float(value) for value in (record.ef, record.esv, record.edv))
    yield from (_integer(value) for value in (record.height, record.width))
    yield _float(record.fps)
    yield _integer(record.num_frames)
    yield record.split


def _float(value: float | None) -> str:
    return "" if value is None else repr(float(value))


def _integer(value: int | None) -> str:
    return "" if value is None else str(int(value))


def _key(name: str) -> str:
    # macOS writes accents in two characters.
    return unicodedata.normalize("NFC", name).casefold()


def _preference(path: Path) -> int:
    return EXTENSIONS.index(path.suffix.lower())


def _file_list(dataset: Path) -> Path:
    if not dataset.is_dir():
        raise DataError(f"{dataset}: no such folder; expected a dataset folder with {FILE_LIST} and {VIDEOS}/")
    path = dataset / FILE_LIST
    if path.is_file():
        return path
    nested = sorted(dataset.rglob(FILE_LIST))
    if len(nested) == 1:
        raise DataError(f"{path}: no such file; found one in {nested[0].parent}: pass that folder")
    if nested:
        raise DataError(f"{path}: no such file; found several: pass one of {', '.join(str(p.parent) for p in nested)}")
    raise DataError(
        f"{path}: no such file; a dataset folder holds {FILE_LIST} (columns {', '.join(COLUMNS)}) and {VIDEOS}/*.avi: "
        f"make one with `echosyn import {dataset} OUT`"
    )
