"""An audit for reading: the custodian's page with pictures of patients, and the public page without."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from echosyn.files import whole
from echosyn.metrics.plots import power_curves, similarity_histogram
from echosyn.pipeline.report.page import Report, Section, render
from echosyn.privacy.rejections import GroupRate

SHOWN = 12
"""Most suspicious videos that are shown beside their nearest patients."""
Pair = tuple[NDArray[np.uint8], NDArray[np.uint8], str]
"""A synthetic frame, the real one it comes nearest to, and what to write above."""


def write_public(summary: Mapping[str, Any], shown: Sequence[Section], path: Path) -> None:
    """The summary as a page."""
    render(_page("Privacy audit: public summary", summary, shown), [], path)


def write_private(
    summary: Mapping[str, Any],
    shown: Sequence[Section],
    pairs: Sequence[Pair],
    scores: tuple[NDArray[np.float64], NDArray[np.float64], float],
    groups: Sequence[GroupRate],
    provenance: Mapping[str, Any],
    path: Path,
) -> None:
    """The custodian's page.

    Args:
        summary: The public one.
        shown: Its `sections`.
        pairs: The most suspicious frames.
        scores: Of synthetic videos, of held-out ones, and the threshold.
        groups: Of held-out patients, and how many of each are rejected.
        provenance: What the audit was made from.
        path: File to write.
    """
    pictures: Section = {
        "title": "Most suspicious videos",
        "explanation": "Upper rows: synthetic frames; below each, the nearest real frame. The real frames show patients.",
        "columns": [],
        "rows": [],
        "plot": _side_by_side(pairs) if pairs else None,
        "plot_alt": "Synthetic frames above their nearest real frames",
    }
    histogram: Section = {
        "title": "Closeness to the nearest patient",
        "explanation": "Screening score; higher is riskier, 0 is typical of an unseen patient.",
        "columns": [],
        "rows": [],
        "plot": similarity_histogram(*scores, title="Closeness to the nearest patient"),
        "plot_alt": "Histogram of scores of synthetic and of held-out real videos",
    }
    by_group: Section = {
        "title": "False rejections by group",
        "explanation": "Held-out patients. The intervals hold for all groups at once; where one excludes the requested rate, the "
        "threshold is wrong for these patients. Groups of fewer than 20 are pooled.",
        "columns": ["kind", "group", "patients", "rejected", "differs"],
        "rows": [[g.kind, g.group, g.patients, g.rate and _rate(asdict(g.rate)), g.differs] for g in groups],
    }
    page = _page("Privacy audit", summary, [pictures, histogram, by_group, *shown])
    page["warnings"] = [
        "Private: this page shows frames of real patients and must not leave your institution. Only public.html, public.json "
        "and the 'public' part of audit.json may be shared.",
        *page.get("warnings", ()),
    ]
    page["provenance"] = provenance
    render(page, [], path)


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A private table."""
    with whole(path) as temporary, temporary.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def _page(title: str, summary: Mapping[str, Any], shown: Sequence[Section]) -> Report:
    passed, concluded = summary["verdict"] == "pass", summary["conclusions"]
    broken = [line["name"] for line in summary["lines"] if not line["holds"] and line["of"] == "videos"]
    limited = " except those listed as not excluded" if summary["exceptions"] else ""
    texts = {
        "pass": f"Copies of all examined kinds{limited} would have been noticed; this is no proof of anonymity.",
        "cannot say": "Nothing was found, and too little was examined to say that there is nothing: do not share these videos.",
        "fail": "Do not share these videos.",
    }
    return {
        "title": title,
        "subtitle": f"{summary['num_videos']} videos, SHA-256 {summary['videos'][:16]}...; {summary['patients']['train']} "
        f"training and {summary['patients']['held_out']} held-out patients",
        "verdict": {
            "status": "pass" if passed else "fail",
            "headline": f"Videos: {concluded['videos']}"
            + (f" ({', '.join(broken)})" if broken else "")
            + f". Weights: {concluded['weights']}",
            "text": texts[concluded["videos"].split(",")[0]],
        },
        "warnings": list(summary["warnings"]),
        "sections": list(shown),
    }


def sections(summary: Mapping[str, Any]) -> list[Section]:
    """Of the public summary, on both pages; its figure takes seconds."""
    calibration, published = summary["filter"]["threshold"], summary["filter"]["published_rule"]
    innocent = summary["filter"]["innocents_rejected"]
    rows: list[list[Any]] = [
        ["this audit's rule", calibration["requested_rate"], _rate(innocent), innocent["num"]],
    ]
    if published:
        of = published["false_rejection"]
        rows.append(["published rule", published["predicted"], _rate(of), of["num"]])
    return [
        {
            "title": "Criteria",
            "explanation": "If any about the videos is not met, their release is refused; likewise the weights must stay.",
            "columns": ["criterion", "of", "met", "required", "found"],
            "rows": [[x["name"], x["of"], x["holds"], x["asked"], x["found"]] for x in summary["lines"]],
        },
        {
            "title": "False rejections",
            "explanation": f"{calibration['message'].capitalize()}.",
            "columns": ["rule", "expected", "rejected", "patients"],
            "rows": rows,
        },
        {
            "title": "Power of the check",
            "explanation": "Share of planted copies that are caught, over the strength of the disguise, with its 95 % "
            "interval; dashed: 95 %. The figures are in the table below.",
            "columns": [],
            "rows": [],
            "plot": power_curves(_curves(summary["canaries"])),
            "plot_alt": "Share of canaries caught over the strength of each disguise",
        },
        {
            "title": "Canaries",
            "explanation": "Disguised copies of training videos, planted as positive controls, and how many the check catches.",
            "columns": ["disguise", "strength", "caught", "must", "else"],
            "rows": [
                [
                    c["kind"],
                    f"{c['strength']:g} {c['unit']}".strip(),
                    {"value": c["caught"], **_ends(c)},
                    c["must"],
                    None if c["must"] is None else "fails" if c["essential"] else "is an exception",
                ]
                for c in summary["canaries"]
            ],
        },
        {
            "title": "Risk",
            "explanation": "Share of training patients (main) and of held-out ones (control); the excess is (main - control) / "
            "(1 - control). Naive: without looking at the videos.",
            "columns": ["attack", "excess", "main", "control", "naive", "p"],
            "rows": [_risk(name, r, None, None) for name, r in summary["risks"].items()]
            + [_risk(name, g["risk"], g["naive"], f"{g['p_value']:.4f}") for name, g in summary["guesses"].items()],
        },
        {
            "title": "Membership inference",
            "explanation": "0.5 is chance. The control compares training patients with other training patients: anything "
            "above chance there is noise, not leakage." + _epsilon(summary["image_model_epsilon"]),
            "columns": ["attack", "needs", "AUC", "p", "TPR at 1 % FPR", "control AUC", "groups noticed"],
            "rows": [
                [
                    *(a["name"], a["needs"], a["auc"], f"{a['p_value']:.4f}", a["tpr"], a["control_auc"]),
                    ", ".join(f"{size}: {share:.0%}" for size, share in a["cohorts"].items()),
                ]
                for a in summary["attacks"]
            ],
        },
        *(_words(name, summary[name]) for name in ("attackers", "assumptions", "limits")),
    ]


def _curves(canaries: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[float, float, float, float]]]:
    """Points of every disguise that has several strengths."""
    curves: dict[str, list[tuple[float, float, float, float]]] = {}
    for c in canaries:
        point = (c["strength"], c["caught"], c["low"], c["high"])
        curves.setdefault(f"{c['kind']} ({c['unit']})", []).append(point)
    return {title: points for title, points in curves.items() if len(points) > 1}


def _words(name: str, texts: Sequence[str]) -> Section:
    return {
        "title": name.capitalize(),
        "columns": ["", ""],
        "rows": [[i, text] for i, text in enumerate(texts, start=1)],
    }


def _epsilon(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    return (
        f" Of pairs of a training and a held-out patient, the attack on the image model tells {found['correct']} of "
        f"{found['guesses']} right: if a patient is replaced, epsilon is at least {found['epsilon']:.2f}."
    )


def _risk(name: str, risk: Mapping[str, Any], *more: Any) -> list[Any]:
    return [name, {"value": risk["value"], **_ends(risk)}, _rate(risk["main"]), _rate(risk["control"]), *more]


def _ends(numbers: Mapping[str, Any]) -> dict[str, Any]:
    return {"low": numbers["low"], "high": numbers["high"]}


def _rate(rate: Mapping[str, Any]) -> dict[str, Any]:
    return {"value": rate["value"], **_ends(rate)}


def _side_by_side(pairs: Sequence[Pair]) -> bytes:
    columns = min(6, len(pairs))
    rows = 2 * -(-len(pairs) // columns)
    figure = Figure(figsize=(1.5 * columns, 1.72 * rows), dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for i, (synthetic, real, words) in enumerate(pairs):
        row, column = divmod(i, columns)
        for ax, frame, title in zip(
            axes[2 * row : 2 * row + 2, column], (synthetic, real), (words, "real"), strict=True
        ):
            ax.imshow(frame, cmap="gray", vmin=0, vmax=255)
            ax.set_title(title, fontsize=7, parse_math=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
