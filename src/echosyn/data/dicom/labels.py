"""Ejection fractions for DICOM files, which hardly ever hold them: a table by instance, file or patient."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from echosyn.data import filelist, table
from echosyn.data.dicom.item import Identity
from echosyn.errors import DataError

Volumes = tuple[float | None, float | None, float | None]
"""EF in percent, ESV and EDV in ml."""
KEYS = ("SOPInstanceUID", "FileName", "PatientID")
"""Columns that say what a row is about, the most exact first."""


@dataclass(frozen=True)
class Labels:
    """What the table says."""

    by_instance: Mapping[str, Volumes]
    by_file: Mapping[str, Volumes]
    """By path below the source folder."""
    by_patient: Mapping[str, Volumes]

    @classmethod
    def read(cls, path: Path) -> "Labels":
        """Read a CSV file with the column EF and one or more of `KEYS`.

        Raises:
            DataError: Columns are missing, or rows are wrong: all of them in one message.
        """
        contents = table.read(path, required=("EF",))
        if not any(contents.has(key) for key in KEYS):
            raise DataError(f"{path}: no column {' or '.join(KEYS)}; expected one that identifies the video or patient")
        found: dict[str, dict[str, Volumes]] = {key: {} for key in KEYS}
        problems: list[tuple[int, str]] = []
        for row in contents.rows:
            cells = {**row.cells, "filename": "row", "split": ""}
            record, wrong, _ = filelist.parse_row(table.Row(row.line, cells, row.problem), (), need_split=False)
            keys = [(key, value) for key in KEYS if (value := row.cells.get(key.casefold(), "").strip())]
            wrong = wrong or ([] if keys else [f"has no {' or '.join(KEYS)}"])
            if keys and keys[0][1] in found[keys[0][0]]:
                wrong = [*wrong, f"{keys[0][0]} is listed twice; keep one of them"]
            problems += [(row.line, problem) for problem in wrong]
            if keys:
                found[keys[0][0]][keys[0][1]] = (record.ef, record.esv, record.edv)
        table.refuse(path, problems)
        return cls(*(found[key] for key in KEYS))

    def of(self, identity: Identity, file: str) -> Volumes:
        """What is known about a file, by its path below the source folder."""
        patient = identity.patient.split("\0")[1] if identity.patient.startswith("id\0") else ""
        for known, key in ((self.by_instance, identity.instance), (self.by_file, file), (self.by_patient, patient)):
            if key and key in known:
                return known[key]
        return None, None, None
