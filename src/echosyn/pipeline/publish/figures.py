"""What of an evaluation and of an audit leaves the house: figures by a schema, none with more than a few digits."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from echosyn.metrics.regression import FIGURES
from echosyn.pipeline.tracking.measure import CHECKS

DIGITS = 3
"""Of a figure: more of them can be the exact score of one patient."""

_ESTIMATE = dict.fromkeys(("value", "low", "high"))
_AGREEMENT = (
    dict.fromkeys(FIGURES, _ESTIMATE)
    | dict.fromkeys(("n", "num_patients", "num_bootstrap", "unmeasured"))
    | {"auc": dict.fromkeys(("35", "40", "45", "50"), _ESTIMATE)}
)
_RANGE = dict.fromkeys(("n", "median", "p5", "p95"))
_PHYSIOLOGY = dict.fromkeys(("heart_rate", "beats", "irregularity", "change", "jump"), _RANGE) | {
    "n": None,
    "flagged": None,
    "flags": dict.fromkeys(CHECKS.values()),
}
_ROW = {"n": None} | dict.fromkeys(("r2", "mae", "rmse", "ratio"), _ESTIMATE)
_SIDES = ("synthetic", "real")
_SCHEMA: Mapping[str, Any] = {
    "counts": dict.fromkeys(("synthetic", "synthetic_train", "real_train", "real_held_out")),
    "utility": {f"train on {side}": _AGREEMENT for side in _SIDES},
    "ef_adherence": _AGREEMENT,
    "ef_by_area": dict.fromkeys(_SIDES, _AGREEMENT),
    "physiology": dict.fromkeys(_SIDES, _PHYSIOLOGY),
    "vae": dict.fromkeys(("psnr", "ssim", "frames")),
}
"""Figures (None) by name; what is not named here stays."""

_FIDELITY = _ESTIMATE | dict.fromkeys(("n", "reliable", "blind")) | {"real_against_real": _ESTIMATE}
_WORD = re.compile(r"[a-z0-9_.-]{1,40}")
ARMS = (
    "real",
    "synthetic",
    "real through the VAE",
    "real and synthetic",
    "synthetic, relabelled",
    "synthetic, recalibrated",
)
"""The training sets of the utility grid that this package names."""


def of_evaluation(report: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of an evaluation's report: no word of a user, no column, no seed, no hash.

    A row of the utility grid whose set has a name of the user's is called ``another set``.
    """
    found = _taken(report, _SCHEMA)
    if rows := _items((report.get("grid") or {}).get("rows")):
        found["grid"] = {
            "rows": [{"name": r["name"] if r.get("name") in ARMS else "another set"} | _taken(r, _ROW) for r in rows]
        }
    fidelity = report.get("fidelity") or {}
    if numbers := fidelity.get("numbers"):
        known = {name: n for name, n in numbers.items() if all(_WORD.fullmatch(part) for part in name.split("/"))}
        found["fidelity"] = {"numbers": {name: _taken(number, _FIDELITY) for name, number in known.items()}}
        protocol = str(fidelity.get("protocol", {}).get("id"))
        found["fidelity"] |= {"protocol": {"id": protocol}} if _WORD.fullmatch(protocol) else {}
    return found


def rounded(value: Any) -> Any:
    """The same with every number of `DIGITS` significant digits."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {name: rounded(one) for name, one in value.items()}
    return [rounded(one) for one in value] if isinstance(value, list | tuple) else value


def _taken(value: Any, schema: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {}
    found = {}
    for name in schema.keys() & value.keys():
        if schema[name] is None:
            if value[name] is None or isinstance(value[name], bool | int | float):
                found[name] = rounded(value[name])
        elif inner := _taken(value[name], schema[name]):
            found[name] = inner
    return found


def _items(rows: Any) -> Sequence[Mapping[str, Any]]:
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
