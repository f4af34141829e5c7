"""Groups of patients by what ``FileList.csv`` says of them: EF and age bands, sex, site, scanner, year."""

import re
from bisect import bisect
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from echosyn.data.records import UNKNOWN, Record

EF_EDGES = (40.0, 50.0)
"""Percent: reduced, mildly reduced, preserved (Bozkurt et al. 2021)."""
AGE_EDGES = (2.0, 12.0, 18.0, 40.0, 60.0, 80.0)
"""Years."""
COLUMNS: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "EF band": ("EF",),
        "sex": ("Sex", "PatientSex", "Gender"),
        "age band": ("Age", "PatientAge", "AgeBand"),
        "site": ("Site", "Hospital", "Center", "Centre", "Institution", "InstitutionName"),
        "scanner": ("Scanner", "ManufacturerModelName", "Manufacturer", "Machine"),
        "year": ("Year", "StudyYear", "StudyDate"),
    }
)
"""Columns of each grouping, in any case; the first that has a value counts."""
_NUMBER = re.compile(r"(\d+(?:\.\d*)?)\s*([ymwd]?)(?:ears?|\.)?", re.IGNORECASE)
_YEAR = re.compile(r"(?:19|20)\d\d")


def group(record: Record, kind: str) -> str | None:
    """The group of a recording by one of `COLUMNS`; None where nothing usable is said."""
    for column in COLUMNS[kind]:
        text = str(record.cell(column) or "").strip()
        if text.casefold() not in UNKNOWN:
            return _named(kind, text)
    return None


def of_patients(records: Iterable[Record], kind: str) -> dict[str, str]:
    """The group of each patient of whom it is known: that of the first recording which says it."""
    found: dict[str, str] = {}
    for record in records:
        if (name := group(record, kind)) is not None:
            found.setdefault(record.patient, name)
    return found


def _named(kind: str, text: str) -> str | None:
    if kind == "sex":
        return text[0].upper()
    if kind == "year":
        year = _YEAR.search(text)
        return year[0] if year else None
    if kind == "EF band":
        return _band(float(text), EF_EDGES)
    if kind == "age band" and (age := _NUMBER.fullmatch(text)):
        return _band(0.0 if age[2].lower() in ("m", "w", "d") else float(age[1]), AGE_EDGES)
    return text


def _band(value: float, edges: Sequence[float]) -> str:
    i = bisect(edges, value)
    return f"{edges[i - 1] if i else 0:g} to {edges[i]:g}" if i < len(edges) else f"from {edges[-1]:g}"
