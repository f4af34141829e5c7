"""The report page: everything in one HTML file, which opens from a disk without a network and prints well."""

import base64
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from jinja2 import Environment, PackageLoader, StrictUndefined

from echosyn.files import whole

Status = Literal["pass", "warn", "fail", "info"]
Side = Literal["real", "synthetic"]

_SIDES: tuple[Side, ...] = ("real", "synthetic")
_MISSING = "\N{EN DASH}"
_MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Media:
    """A video to show."""

    title: str
    """Name under the video."""
    caption: str
    """What is known about it, such as ``EF 43 %``."""
    mp4: bytes = field(repr=False)
    """The file's content: H.264, yuv420p, so that every browser plays it."""
    side: Side


class Mosaic(TypedDict):
    """Many videos in one, in rows and columns."""

    mp4: bytes
    columns: Sequence[str]
    rows: Sequence[Side]
    """Who is shown, from top to bottom, in bands of equal height."""
    alt: str


class Verdict(TypedDict):
    """The answer in one line, at the top of the page."""

    status: Status
    headline: str
    text: NotRequired[str]


class Card(TypedDict):
    """A headline figure. ``value`` is what a table cell may be."""

    label: str
    value: Any
    detail: NotRequired[str]
    status: NotRequired[Status]


class Section(TypedDict):
    """A table with its explanation and, if there is one, its plot."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    """Cells: text, number, bool, ``None``, or ``{"value", "low", "high", "reason"}`` as the metrics' ``to_json``."""
    explanation: NotRequired[str]
    plot: NotRequired[bytes | None]
    """PNG."""
    plot_alt: NotRequired[str]
    """What the plot shows, for those who cannot see it."""
    plots: NotRequired[Sequence[tuple[bytes, str]]]
    """Several: PNG, and what it shows."""


class Report(TypedDict):
    """All that the page says."""

    title: str
    subtitle: NotRequired[str]
    verdict: NotRequired[Verdict]
    cards: NotRequired[Sequence[Card]]
    warnings: NotRequired[Sequence[str]]
    of_phantoms: NotRequired[bool]
    """Whether no patient is behind the real side either."""
    mosaic: NotRequired[Mosaic | None]
    pairs: NotRequired[Sequence[tuple[Media, Media, float]]]
    """Synthetic videos, the real ones most like them, and the similarity; they make the page private."""
    sections: NotRequired[Sequence[Section]]
    provenance: NotRequired[Mapping[str, Any]]
    """Nested as it likes; shown flat, with dotted names."""


@dataclass(frozen=True)
class Cell:
    """A value as the page shows it."""

    text: str
    detail: str = ""
    is_number: bool = False


def render(report: Report | Mapping[str, Any], media: Sequence[Media], out_html: Path) -> None:
    """Write the report as one self-contained HTML page.

    The page loads nothing: style, script, videos and plots are inside, and its content security policy forbids the
    rest. All text is escaped. Videos of real patients are shown beside synthetic ones and the page says that it is
    therefore private.

    Args:
        report: See `Report`; JSON's types are enough, except for plots.
        media: Videos, in the order to show them on their side.
        out_html: File to write; its folder must exist.

    Raises:
        ValueError: An unknown key, a missing title or a row that does not fit its columns.
    """
    _check(report)
    page = _environment().get_template("report.html.j2")
    content = {key: report.get(key, default) for key, default in _DEFAULTS.items()}
    shown = {side: [item for item in media if item.side == side] for side in _SIDES}
    flat = list(flattened(report.get("provenance") or {}))
    tiles, pairs = report.get("mosaic"), report.get("pairs")
    is_private = bool(shown["real"] or pairs or (tiles and "real" in tiles["rows"]))
    moves = bool(media or tiles or pairs)
    html = page.render(content | {"media": shown, "moves": moves, "is_private": is_private, "provenance": flat})
    with whole(out_html) as temporary:
        temporary.write_text(html, encoding="utf-8")


def cell(value: Any) -> Cell:
    """A value of a table or card in words: ``{"value": .81, "low": .79, "high": .83}`` -> 0.810, 0.790 to 0.830."""
    if isinstance(value, Mapping):
        shown = cell(value.get("value"))
        low, high = value.get("low"), value.get("high")
        interval = f"{number(low)} to {number(high)}" if low is not None and high is not None else ""
        return Cell(shown.text, interval or str(value.get("reason") or ""), shown.is_number)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return Cell(_MISSING)
    if isinstance(value, bool):
        return Cell("yes" if value else "no")
    if isinstance(value, Integral | Real):
        return Cell(number(int(value) if isinstance(value, Integral) else float(value)), is_number=True)
    return Cell(str(value))


def number(value: float) -> str:
    """About three significant digits, thousands separated, whole numbers whole."""
    if math.isinf(value):
        return "∞" if value > 0 else f"{_MINUS}∞"
    if isinstance(value, int) or value == 0:
        text = f"{value:,.0f}"
    elif abs(value) < 0.001:
        text = f"{value:.1e}"
    else:
        decimals = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
        text = f"{value:,.{decimals}f}"
    return text.replace("-", _MINUS)


def flattened(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The leaves of a nested mapping as (dotted name, text)."""
    for key, value in record.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flattened(value, f"{name}.")
        elif isinstance(value, list | tuple):
            yield name, ", ".join(map(str, value))
        else:
            yield name, _MISSING if value is None else str(value)


_DEFAULTS: dict[str, Any] = {
    "title": "",
    "subtitle": "",
    "verdict": None,
    "cards": (),
    "warnings": (),
    "of_phantoms": False,
    "mosaic": None,
    "pairs": (),
    "sections": (),
}


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("echosyn.pipeline.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = cell
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode("ascii")
    return environment


def _check(report: Mapping[str, Any]) -> None:
    _check_keys("report", report, Report)
    for what, kind in (("sections", Section), ("cards", Card)):
        for item in report.get(what, ()):
            _check_keys(what, item, kind)
    for section in report.get("sections", ()):
        for row in section["rows"]:
            if len(row) != len(section["columns"]):
                raise ValueError(
                    f"section {section['title']!r}: a row has {len(row)} cells, expected {len(section['columns'])}: "
                    f"{list(section['columns'])}"
                )


def _check_keys(what: str, given: Mapping[str, Any], kind: Any) -> None:
    unknown = sorted(set(given) - set(kind.__annotations__))
    missing = sorted(kind.__required_keys__ - set(given))
    if unknown or missing:
        raise ValueError(f"{what}: unknown key(s) {unknown}, missing key(s) {missing}")
