"""Fidelity numbers for people: a table of a page, a few lines of a terminal, warnings."""

from collections.abc import Mapping
from typing import Any

from echosyn.metrics.plots import pair_of_curves
from echosyn.pipeline.report.page import Report, Section

READ: Mapping[str, str] = {
    "frechet": "lower is better",
    "kernel": "lower is better, 0 for equal sets",
    "precision": "synthetic among real",
    "recall": "real among synthetic",
    "density": "synthetic among real, without outliers",
    "coverage": "real among synthetic, without outliers",
    "inception_score": "higher is more varied",
    "retrieval": "training set within reach",
    "classifier": "0.5 is right: cannot be told apart; 1 is told every time",
    "power_ratio": "1 is right",
    "persistence": "0 is right",
}
"""How to read each number."""

BACKGROUND: Mapping[str, str] = {
    "raw": "as in the files; it alone may distinguish the two sets",
    "zeroed": "set to black in both sets",
}
"""What a protocol does with the background."""


def rows(numbers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A line of a table for each number: ``metric``, ``space``, ``value``, ``low``, ``high``, ``floor``, ``n`` and ``note``."""
    return [
        {name: shown.get(name) for name in ("value", "low", "high", "n")}
        | {"metric": shown["name"], "space": f"{shown['space']} ({shown['sampling']})"}
        | {"floor": (shown.get("real_against_real") or {}).get("value"), "note": _note(shown)}
        for shown in numbers.values()
    ]


def missing(numbers: Mapping[str, Any]) -> list[str]:
    """A line for each reason why numbers are missing, with their names."""
    by_reason: dict[str, list[str]] = {}
    for shown in numbers.values():
        if shown["value"] is None:
            by_reason.setdefault(shown["reason"], []).append(f"{shown['name']} ({shown['space']})")
    return [
        f"{len(names)} of {len(numbers)} numbers are missing: {reason}: {', '.join(names)}"
        for reason, names in by_reason.items()
    ]


def _note(shown: Mapping[str, Any]) -> str:
    if shown.get("reason"):
        return str(shown["reason"])
    unreliable = "" if shown.get("reliable", True) else "; unreliable: fewer than ten patients for each dimension"
    blind = "; below its floor: this space cannot see the difference" if shown.get("blind") else ""
    band = f"; {shown['band']}, the band furthest from it" if "band" in shown else ""
    return f"{READ[shown['number']]}{band}{unreliable}{blind}"


def section(fidelity: Mapping[str, Any]) -> Section:
    """The table of a report's page."""
    sets = fidelity["sets"]
    fewer = any((r["n"] or 0) < sets["synthetic"]["videos"] for r in fidelity["rows"] if r["value"] is not None)
    halved = (
        "Each figure takes equally many videos of both sets, at most half of the real ones, so that one half of these can be "
        "compared with the other at the same number. "
    )
    return {
        "title": "Fidelity",
        "explanation": f"Protocol {fidelity['protocol']['id']}: {sets['synthetic']['videos']} synthetic videos against "
        f"{sets['real']['videos']} real ones. Brackets: 95 % interval over patients. Real against real is what a perfect "
        "generator would score at the same number of videos. "
        f"{halved if fewer else ''}Distances in different feature spaces do not compare. "
        f"Around the sector: {BACKGROUND[fidelity['protocol'].get('background', 'raw')]}.",
        "columns": ["Metric", "Features", "Value", "Real against real", "Videos per set", "Interpretation"],
        "rows": [
            [r["metric"], r["space"], {k: r[k] for k in ("value", "low", "high")}, r["floor"], r["n"], r["note"]]
            for r in fidelity["rows"]
        ],
    }


def bands(fidelity: Mapping[str, Any]) -> Section | None:
    """Every band of the curves, and a plot of both sides' curves; None where the protocol has none."""
    found = [n for n in fidelity["numbers"].values() if n.get("bands")]
    if not found:
        return None
    titles = {"power_ratio": "Power (squared grey levels)", "persistence": "Correlation of the grain"}
    return {
        "title": "Texture, band by band",
        "explanation": "Power of synthetic over real videos in each octave of frequency, in space and in time, inside the "
        "sector: below 1 blurred, above 1 noisy. Persistence: how much better (above 0) or worse the grain of a frame is "
        "found again at the same place in later frames than in real videos.",
        "columns": ["Figure", "Features", "Band", "Value", "Real against real"],
        "rows": [
            [n["name"], f"{n['space']} ({n['sampling']})", b["band"], {k: b[k] for k in ("value", "low", "high")},
             (b.get("real_against_real") or {}).get("value")]
            for n in found for b in n["bands"]
        ],
        "plots": [
            (pair_of_curves(n["curves"], n["curves"]["unit"], titles[n["number"]], n["number"] == "power_ratio"),
             f"{titles[n['number']]} of real and of synthetic videos. {n['curves']['unit']}")
            for n in found
        ],
    }  # fmt: skip


def report(fidelity: Mapping[str, Any], provenance: Mapping[str, Any]) -> Report:
    """A page of nothing else."""
    sets = fidelity["sets"]
    return {
        "title": "Fidelity of a synthetic echo dataset",
        "subtitle": f"{sets['synthetic']['videos']} synthetic videos against {sets['real']['videos']} real ones",
        "warnings": warnings(fidelity),
        "sections": [section(fidelity), *([texture] if (texture := bands(fidelity)) else [])],
        "provenance": dict(provenance)
        | {"fidelity": {name: fidelity[name] for name in ("protocol", "sets", "spaces")}},
    }


def headline(fidelity: Mapping[str, Any]) -> dict[str, Any]:
    """The values for a terminal."""
    return {
        f"{shown['name']} ({shown['space']})": shown["value"]
        for shown in fidelity["numbers"].values()
        if shown["value"] is not None
    }


def told_apart(fidelity: Mapping[str, Any]) -> dict[str, Any]:
    """The classifiers' areas, for a page that has room for few numbers."""
    numbers = fidelity.get("numbers", {}).values()
    return {f"{n['name']} ({n['space']})": n["value"] for n in numbers if n.get("number") == "classifier"}


def warnings(fidelity: Mapping[str, Any]) -> list[str]:
    """What a reader must know before believing a number."""
    numbers = fidelity["numbers"].values()
    found = [f"{n['name']} ({n['space']}) is missing: {n['reason']}." for n in numbers if n.get("reason")]
    if low := sorted({f"{n['space']}" for n in numbers if not n.get("reliable", True)}):
        found.append(
            f"Fewer than ten patients for each dimension: the Fréchet distances in {', '.join(low)} are unreliable."
        )
    if blind := sorted({f"{n['name']} ({n['space']})" for n in numbers if n.get("blind")}):
        found.append(
            f"Below the distance of real to other real videos: {', '.join(blind)}. These spaces cannot see the difference; "
            "judge by the others."
        )
    for sampling, said in fidelity["left_out"].items():
        counts = ", ".join(f"{count} {side}" for side, count in said.items() if side != "reason" and count)
        found.append(f"{counts} video(s) are {said['reason']} and left out of {sampling}.")
    return found
