"""``echosyn compare``: two reports side by side, and a refusal where their numbers do not mean the same."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from echosyn.errors import DataError

REPORT = "report.json"
OLDEST = "echosyn-v1"
"""The utility protocol of reports that do not name theirs."""
APART, TOGETHER = "differ", "no difference shown"


@dataclass(frozen=True)
class Row:
    """One number of both reports."""

    name: str
    a: Mapping[str, Any]
    """``value`` and perhaps ``low`` and ``high``."""
    b: Mapping[str, Any]
    verdict: str
    """Whether the difference is larger than both intervals explain, or why nothing can be said."""


@dataclass(frozen=True)
class Comparison:
    """Two reports."""

    rows: list[Row]
    warnings: list[str]


def compare(a: Path, b: Path, *, anyway: bool = False) -> Comparison:
    """Compare all numbers that two reports of `evaluate` share.

    Args:
        a: report, or folder with a ``report.json``.
        b: likewise.
        anyway: warn where protocols differ, instead of refusing.

    Raises:
        DataError: a file is no report, the protocols differ, or no number is in both.
    """
    first, second = _read(a), _read(b)
    problems = _contradictions(first, second)
    if problems.refused and not anyway:
        raise DataError(f"{a} and {b}: {problems.refused}; evaluate both with the same protocol, or give --anyway")
    warnings = [problems.refused, *problems.warnings] if problems.refused else problems.warnings
    left, right = dict(_numbers(first)), dict(_numbers(second))
    rows = [
        Row(_name(left[key], key), left[key], right[key], _verdict(key, left[key], right[key], problems.incomparable))
        for key in left
        if key in right
    ]
    if not rows:
        raise DataError(f"{a} and {b}: no number is in both; expected reports of `echosyn evaluate`")
    missing = len(left) + len(right) - 2 * len(rows)
    return Comparison(rows, [*warnings, *([f"{missing} number(s) are in one report only"] if missing else [])])


def as_text(comparison: Comparison) -> str:
    """The table for a terminal."""
    cells = [["", "A", "B", ""]] + [[r.name, _shown(r.a), _shown(r.b), r.verdict] for r in comparison.rows]
    widths = [max(len(row[i]) for row in cells) for i in range(4)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells)


@dataclass(frozen=True)
class _Problems:
    refused: str
    """Empty if the protocols are equal."""
    warnings: list[str]
    incomparable: frozenset[str]
    """Feature spaces whose weights differ."""


def _contradictions(a: Mapping[str, Any], b: Mapping[str, Any]) -> _Problems:
    one, other = (report.get("utility_protocol", {}).get("id", OLDEST) for report in (a, b))
    is_both = "utility" in a and "utility" in b
    refused = f"utility by different protocols, {one} and {other}" if is_both and one != other else ""
    x, y = a.get("fidelity"), b.get("fidelity")
    if x is None or y is None:
        return _Problems(refused, [], frozenset())
    if x["protocol"]["sha256"] != y["protocol"]["sha256"]:
        one, other = (f"{f['protocol']['id']} ({f['protocol']['sha256'][:8]})" for f in (x, y))
        refused = f"evaluated by different protocols, {one} and {other}"
    warnings = []
    if x["sets"]["real"]["sha256"] != y["sets"]["real"]["sha256"]:
        warnings.append("the real sets are not the same")
    if x["seed"] != y["seed"]:
        warnings.append(f"the seeds are {x['seed']} and {y['seed']}: other subsets were drawn")
    shared = x["spaces"].keys() & y["spaces"].keys()
    changed = frozenset(s for s in shared if x["spaces"][s]["sha256"] != y["spaces"][s]["sha256"])
    if changed:
        warnings.append(f"other weights behind {', '.join(sorted(changed))}: their numbers do not compare")
    return _Problems(refused, warnings, changed)


def _read(path: Path) -> dict[str, Any]:
    file = path / REPORT if path.is_dir() else path
    try:
        report = json.loads(file.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{file}: missing or not JSON; expected the {REPORT} of `echosyn evaluate`") from error
    if not isinstance(report, dict) or not any(True for _ in _numbers(report)):
        raise DataError(f"{file}: holds no numbers; expected the {REPORT} of `echosyn evaluate`")
    return report


def _numbers(report: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every mapping with a ``value``, by its place in the report."""
    for name, inner in report.items():
        if not isinstance(inner, Mapping) or name == "provenance":
            continue
        if isinstance(inner.get("value"), int | float) or ("value" in inner and inner["value"] is None):
            yield f"{prefix}{name}", inner
        else:
            yield from _numbers(inner, f"{prefix}{name}: ")


def _name(number: Mapping[str, Any], key: str) -> str:
    if "space" in number and "name" in number:
        return f"{number['name']}, {number['space']} ({number['sampling']})"
    return key


def _verdict(key: str, a: Mapping[str, Any], b: Mapping[str, Any], incomparable: frozenset[str]) -> str:
    if a.get("space") in incomparable:
        return "not comparable"
    if a["value"] is None or b["value"] is None:
        return "missing"
    if a.get("n") != b.get("n") and a.get("number") == "frechet":
        return f"not comparable: n is {a.get('n')} and {b.get('n')}"
    reach = [_half(x) for x in (a, b)]
    if None in reach:
        return ""
    error = sum((r or 0.0) ** 2 for r in reach) ** 0.5
    return APART if abs(a["value"] - b["value"]) > error else TOGETHER


def _half(number: Mapping[str, Any]) -> float | None:
    """Half of the interval's width; intervals of two independent reports add in squares."""
    if number.get("low") is None or number.get("high") is None:
        return None
    return float(max(number["high"] - number["value"], number["value"] - number["low"]))


def _shown(number: Mapping[str, Any]) -> str:
    if number["value"] is None:
        return "-"
    if number.get("low") is None or number.get("high") is None:
        return f"{number['value']:.4g}"
    return f"{number['value']:.4g} [{number['low']:.4g}, {number['high']:.4g}]"
