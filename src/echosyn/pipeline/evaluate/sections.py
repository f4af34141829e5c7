"""The tables and plots of an evaluation, each a section of the page."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from echosyn.metrics.plots import intervals, roc_curves, scatter
from echosyn.metrics.roc import roc
from echosyn.pipeline.evaluate.fidelity import tables
from echosyn.pipeline.report.page import Section

FIGURES = ("r2", "mae", "rmse", "bias", "pearson")
ROC_BELOW = 50.0
"""EF in percent; the threshold whose curves are plotted."""
COLUMNS = ("", "n", "R2", "MAE", "RMSE", "Bias", "Correlation")
Array = NDArray[np.float64]


def utility(numbers: Mapping[str, Any], known: Array, predicted: Mapping[str, Array], public: bool) -> Section:
    """Train on each side, test on real held-out videos.

    Args:
        numbers: of the report.
        known: EFs of the real videos that are the test, ``(n,)``.
        predicted: by side, ``(n,)`` each.
        public: without the plot that has a point for every patient.
    """
    counts = numbers["counts"]
    plots = [] if public else [
        (scatter(known, ef, f"Trained on {side}", "EF (%)", "Predicted EF (%)"),
         f"Scatter plot: predicted over known EF of real held-out videos, trained on {side}")
        for side, ef in predicted.items()
    ]  # fmt: skip
    if (known < ROC_BELOW).any() and not (known < ROC_BELOW).all():
        curves = {f"trained on {side}": roc(-ef, known < ROC_BELOW) for side, ef in predicted.items()}
        lines = {name: (c.false_positive_rate, c.true_positive_rate) for name, c in curves.items()}
        plots.append((roc_curves(lines, f"EF below {ROC_BELOW:g} %"), "ROC curves for detecting a reduced EF"))
    return {
        "title": "Utility: EF regression on held-out real videos",
        "explanation": f"{numbers['utility_protocol']['words']} ({counts['real_train']} real and {counts['synthetic_train']} "
        f"synthetic training videos; protocol {numbers['utility_protocol']['id']}.) Brackets: 95 % bootstrap interval over "
        "patients.",
        "columns": COLUMNS,
        "rows": [_row(name, figures) for name, figures in numbers["utility"].items()]
        + [_row(f"{name}, VAL", figures) for name, figures in numbers.get("utility_on_val", {}).items()],
        "plots": plots,
    }


def low_ef(numbers: Mapping[str, Any]) -> Section | None:
    """Area under the ROC curve at the clinical thresholds."""
    known = {name: figures["auc"] for name, figures in numbers["utility"].items() if figures.get("auc")}
    if not known:
        return None
    thresholds = list(next(iter(known.values())))
    return {
        "title": "Utility: detection of reduced EF",
        "explanation": "Area under the ROC curve: the chance that of two real videos, one below the threshold and one not, "
        "the regressor gives the first a lower EF. 0.5 is chance.",
        "columns": ["", *(f"EF below {t} %" for t in thresholds)],
        "rows": [[name, *(areas[t] for t in thresholds)] for name, areas in known.items()],
    }


def groups(numbers: Mapping[str, Any]) -> Section | None:
    """Errors on parts of the held-out real videos, trained on each side."""
    sides = {name: figures.get("groups") or [] for name, figures in numbers["utility"].items()}
    rows: list[list[Any]] = []
    for found in zip(*sides.values(), strict=True):
        rows.append([f"{found[0]['column']}: {found[0]['group']}", found[0]["n"]])
        rows[-1] += [value for group in found for value in (group["mae"], group["bias"])]
    if not rows:
        return None
    return {
        "title": "Utility: by group",
        "explanation": "Mean absolute error and bias in points, on parts of the held-out real videos; parts of fewer than ten "
        "videos are left out.",
        "columns": ["", "n", *(f"{what}, {name}" for name in sides for what in ("MAE", "bias"))],
        "rows": rows,
    }


def grid(numbers: Mapping[str, Any]) -> Section | None:
    """The utility grid."""
    rows = (numbers.get("grid") or {}).get("rows") or []
    if not rows:
        return None
    lines = [(r["name"], r["r2"]["value"], r["r2"]["low"], r["r2"]["high"]) for r in rows]
    return {
        "title": "Utility grid",
        "explanation": "Regressors trained alike on equally many videos of each kind (real and synthetic together are twice as "
        f"many), {len(rows[0]['seeds'])} training(s) of each; weights are those that were best on VAL videos of their own "
        "kind; tested on real TEST videos. Intervals resample patients and trainings together.",
        "columns": ["Trained on", "R2", "R2 relative to real", "MAE", "RMSE"],
        "rows": [[r["name"], r["r2"], r.get("ratio"), r["mae"], r["rmse"]] for r in rows],
        "plots": [(intervals(lines, "", "R2 on real TEST videos"), "R2 of each training set with its interval")],
    }


def adherence(numbers: Mapping[str, Any], requested: Array, measured: Array) -> Section:
    """Requested against measured EF of the synthetic videos, ``(n,)`` each."""
    by_area = numbers["ef_by_area"]
    return {
        "title": "EF adherence: requested against measured",
        "explanation": "Measured in two ways: by the regressor trained on real videos (plotted), and by tracking the "
        "left ventricle's area, which uses no trained network. The last row gives the accuracy of the tracking on "
        "real videos.",
        "columns": COLUMNS,
        "rows": [
            _row("synthetic, by regressor", numbers["ef_adherence"]),
            _row("synthetic, by LV area", by_area["synthetic"]),
            _row("real, by LV area", by_area["real"]),
        ],
        "plots": [
            (scatter(requested, measured, "EF of the synthetic videos"), "Scatter plot of measured over requested EF of the "
             "synthetic videos")
        ],
    }  # fmt: skip


def physiology(numbers: Mapping[str, Any]) -> Section | None:
    """Rhythm and checks of both sides."""
    sides = numbers.get("physiology")
    if not sides:
        return None
    names = {
        "heart_rate": "Heart rate (beats per minute)",
        "beats": "Beats in a video",
        "irregularity": "Irregularity of beats",
        "change": "Change of the picture over its contrast",
        "jump": "Largest change of a frame over the median one",
    }
    rows: list[list[Any]] = [
        [words, *(_range(sides[s].get(name)) for s in ("synthetic", "real"))] for name, words in names.items()
    ]
    rows += [[f"Flagged: {flag}", *(sides[s]["flags"][flag] for s in ("synthetic", "real"))]
             for flag in sides["real"]["flags"]]  # fmt: skip
    return {
        "title": "Physiology",
        "explanation": f"From the tracked ventricle of {sides['synthetic']['n']} synthetic and {sides['real']['n']} real "
        "videos: median, and 5th to 95th percentile below. videos.csv has a line for each synthetic one; generate "
        "--require replaces videos that fail.",
        "columns": ["", "synthetic", "real"],
        "rows": rows,
    }


def fidelity(numbers: Mapping[str, Any]) -> Section | None:
    """Distances of distributions, each with its floor."""
    found = numbers.get("fidelity")
    return tables.section(found) if found else None


def texture(numbers: Mapping[str, Any]) -> Section | None:
    """Power over frequency and persistence of the grain."""
    found = numbers.get("fidelity")
    return tables.bands(found) if found else None


def vae(numbers: Mapping[str, Any]) -> Section | None:
    """Reconstruction of held-out frames."""
    found = numbers.get("vae")
    if not found:
        return None
    return {
        "title": "VAE: reconstruction of held-out frames",
        "columns": ["PSNR (dB)", "SSIM", "Frames"],
        "rows": [[found["psnr"], found["ssim"], found["frames"]]],
    }


def privacy(numbers: Mapping[str, Any]) -> Section | None:
    """What the filter did."""
    found = numbers.get("privacy")
    if not found or "threshold" not in found:
        return None
    threshold = found["threshold"]
    return {
        "title": "Privacy filter",
        "explanation": f"Higher similarity is riskier. {threshold['message'].capitalize()}.",
        "columns": ["Hearts invented", "Rejected", "Threshold", "Held-out patients"],
        "rows": [
            [
                found["candidates"],
                found["rejection_rate"],
                {"value": threshold["value"], "low": threshold["low"], "high": threshold["high"]},
                threshold["num_patients"],
            ]
        ],
    }


def present(found: Sequence[Section | None]) -> Iterator[Section]:
    """Those that are there."""
    yield from (section for section in found if section)


def _row(name: str, figures: Mapping[str, Any]) -> list[Any]:
    return [name, figures["n"], *(figures[key] for key in FIGURES)]


def _range(figure: Mapping[str, float] | None) -> Any:
    return figure and {"value": figure["median"], "low": figure["p5"], "high": figure["p95"]}
