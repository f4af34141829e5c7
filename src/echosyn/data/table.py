"""CSV files with named columns, read strictly: line numbers are kept and problems gathered, not raised one by one."""

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from echosyn.errors import DataError
from echosyn.files import whole

MAX_SHOWN = 20


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    line: int
    """Line in the file, the header being line 1."""
    cells: Mapping[str, str]
    """Cell by column name in lower case; columns without a name are left out."""
    problem: str | None = None
    """Why the cells cannot be told apart, if so."""


@dataclass(frozen=True)
class Table:
    """A whole CSV file."""

    path: Path
    columns: Sequence[str]
    """Names as written, stripped; the empty name (a row number written by pandas) is left out."""
    rows: Sequence[Row]

    def has(self, *columns: str) -> bool:
        """Whether all these columns exist, in any case."""
        return {column.casefold() for column in columns} <= {column.casefold() for column in self.columns}


def read(path: Path, required: Sequence[str]) -> Table:
    """Read a CSV file with a header. Column names may have any case and surrounding blanks; empty lines are skipped.

    Cells are separated by commas, semicolons or tabs: the most frequent of them in the header.

    Raises:
        DataError: The file is missing, empty, no text, without rows, or lacks a required column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=max(",;\t", key=file.readline().count))
            file.seek(0)
            lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; expected a CSV file with the columns {', '.join(required)}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a CSV file ({error}); save it as comma-separated UTF-8 text") from error
    if not lines:
        raise DataError(f"{path}: empty; expected a header with the columns {', '.join(required)} and a row per video")
    header = [name.strip() for name in lines[0][1]]
    _check_header(path, header, required)
    if len(lines) == 1:
        raise DataError(f"{path}: a header and no rows; expected a row per video: add them or make the folder again")
    return Table(path, [name for name in header if name], [_row(line, header, cells) for line, cells in lines[1:]])


def write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]], *, mode: int = 0o666) -> None:
    """Write a CSV file whole or not at all; who may read it (``mode``, less the umask) holds from its first byte."""
    with whole(path) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(rows)


def refuse(path: Path, problems: Iterable[tuple[int, str]], what: str = "bad row(s)") -> None:
    """Raise one `DataError` that lists all ``(line, problem)`` pairs, if there are any."""
    lines = [f"  line {line}: {problem}" for line, problem in problems]
    if lines:
        raise DataError(listing(f"{path}: {len(lines)} {what}", lines))


def listing(head: str, lines: Sequence[str]) -> str:
    """A head line and up to 20 lines below it; what is not shown is counted."""
    more = [f"  ... and {len(lines) - MAX_SHOWN} more"] if len(lines) > MAX_SHOWN else []
    return "\n".join([f"{head}:", *lines[:MAX_SHOWN], *more])


def _check_header(path: Path, header: list[str], required: Sequence[str]) -> None:
    known = [name.casefold() for name in header if name]
    missing = [name for name in required if name.casefold() not in known]
    if missing:
        found = ", ".join(name for name in header if name)
        raise DataError(f"{path}: no column {', '.join(missing)}; found {found}: rename the column that is meant")
    twice = sorted({name for name in header if name and known.count(name.casefold()) > 1})
    if twice:
        raise DataError(f"{path}: column twice: {', '.join(twice)}; remove or rename one of them")


def _row(line: int, header: list[str], cells: list[str]) -> Row:
    problem = None
    if len(cells) != len(header):
        problem = f"has {len(cells)} cells, expected {len(header)} as in the header"
    named = {name.casefold(): cell for name, cell in zip(header, cells, strict=False) if name}
    return Row(line, named, problem)
