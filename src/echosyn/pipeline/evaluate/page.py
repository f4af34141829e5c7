"""The numbers of an evaluation as a page for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from echosyn.data import lineage
from echosyn.data.records import Record
from echosyn.pipeline.evaluate import media, sections
from echosyn.pipeline.evaluate.fidelity import tables
from echosyn.pipeline.evaluate.look_alikes import nearest
from echosyn.pipeline.generate.outcome import unfit_to_share
from echosyn.pipeline.report.page import Card, Report, Section, Verdict, number, render
from echosyn.pipeline.tracking.measure import Measured
from echosyn.progress import Progress, silent

if TYPE_CHECKING:
    from echosyn.pipeline.evaluate.evaluate import Sets

NUM_PAIRS = 4
"""Synthetic videos that are shown beside the real one most like them."""


def headline(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """The few numbers for a terminal."""
    utility = numbers["utility"]
    adherence = numbers["ef_adherence"]
    vae = numbers.get("vae") or {}
    distances = (numbers.get("fidelity") or {}).get("numbers", {}).values()
    return {
        "EF adherence, R2": adherence["r2"]["value"],
        "EF adherence, MAE (points)": adherence["mae"]["value"],
        "EF adherence, correlation": adherence["pearson"]["value"],
        "EF R2 on real, trained on real": utility["train on real"]["r2"]["value"],
        "EF R2 on real, trained on synthetic": utility["train on synthetic"]["r2"]["value"],
        "EF MAE on real, trained on real": utility["train on real"]["mae"]["value"],
        "EF MAE on real, trained on synthetic": utility["train on synthetic"]["mae"]["value"],
        **tables.told_apart(numbers.get("fidelity") or {}),
        **{f"{n['name']} ({n['space']})": n["value"] for n in distances if n["number"] == "frechet"},
        "VAE PSNR (dB)": vae.get("psnr"),
        "VAE SSIM": vae.get("ssim"),
        "Hearts rejected by the privacy filter": (numbers.get("privacy") or {}).get("rejection_rate"),
    }


@dataclass(frozen=True, eq=False)
class Readings:
    """What was read off single videos, for plots and captions."""

    sets: "Sets"
    measured: NDArray[np.float64]
    """EF of the synthetic videos by the regressor that was trained on real ones, percent, ``(n,)``."""
    tested: Sequence[Record]
    """Real videos on which the regressors were tested."""
    predicted: Mapping[str, NDArray[np.float64]]
    """Their EF by the regressor of each side, ``(m,)``."""
    tracked: Sequence[Measured]
    """Synthetic videos whose ventricle was tracked."""


def write_page(
    path: Path, numbers: Mapping[str, Any], readings: Readings, *, public: bool = False, progress: Progress = silent
) -> None:
    """Write the self-contained page. Unless ``public``, it shows real videos and must not leave the institution."""
    sets = readings.sets
    made, known = (sets.synthetic, sets.synthetic_records), (sets.real, sets.held_out)
    shown = [] if public else media.videos(*known, "real", None, progress)
    shown += media.videos(*made, "synthetic", readings.measured.tolist(), progress)
    tiles = media.mosaic([("synthetic", *made), *([] if public else [("real", *known)])])  # type: ignore[list-item]
    counts = numbers["counts"]
    report: Report = {
        "title": "Evaluation of a synthetic echo dataset",
        "subtitle": f"{counts['synthetic']} synthetic videos against {counts['real_held_out']} held-out real ones",
        "verdict": verdict(numbers),
        "cards": _cards(numbers),
        "warnings": warnings(numbers),
        "of_phantoms": lineage.steps(sets.real) == ["phantom"],
        "mosaic": tiles,
        "sections": _sections(numbers, readings, public),
        "provenance": _protocol(numbers) | numbers["provenance"],
    }
    if not public:
        found = nearest(*made, sets.real, sets.real_records, NUM_PAIRS, progress)
        report["pairs"] = media.pairs(found, sets.synthetic, sets.real)
    render(report, shown, path)


def warnings(numbers: Mapping[str, Any]) -> list[str]:
    """What a reader must know before believing a number."""
    found: list[str] = []
    privacy = numbers.get("privacy") or {}
    if not privacy:
        found.append("Nothing says that the synthetic set was filtered for copies of real patients: audit it.")
    elif privacy.get("filter") == "none":
        found.append("The synthetic set was not filtered for copies of real patients.")
    if "completed_with_rejected" in privacy:
        found.append(
            f"{privacy['completed_with_rejected']} video(s) come from samples that the privacy filter rejected: do not "
            "share this set."
        )
    threshold = privacy.get("threshold") or {}
    if threshold and not threshold["enough"]:
        found.append(f"Privacy filter: {threshold['message']}.")
    if fidelity := numbers.get("fidelity"):
        found += tables.warnings(fidelity)
    if numbers["counts"]["real_held_out"] < 20:
        found.append(f"Only {numbers['counts']['real_held_out']} held-out real videos: the intervals are wide.")
    return found


def verdict(numbers: Mapping[str, Any]) -> Verdict:
    """May it be shared, and is it of use: the answer in two sentences."""
    privacy, head = numbers.get("privacy") or {}, headline(numbers)
    synthetic, real = (head[f"EF R2 on real, trained on {side}"] for side in ("synthetic", "real"))
    use = ""
    if synthetic is not None and real is not None:
        use = (
            f" On real patients a regressor trained on {numbers['counts']['synthetic_train']} synthetic videos reaches an R2 of "
            f"{number(synthetic)}, one trained on {numbers['counts']['real_train']} real videos {number(real)}."
        )
    why = unfit_to_share(privacy)
    if why is None:
        return {
            "status": "info",
            "headline": "Every still passed the calibrated privacy filter",
            "text": f"A release also needs an audit of the final videos.{use}",
        }
    if not privacy:
        return {
            "status": "warn",
            "headline": "Not to be shared without an audit",
            "text": f"No privacy filter is recorded for this set; `echosyn audit` looks for real patients in it.{use}",
        }
    return {"status": "warn", "headline": "Not to be shared", "text": f"{why[0].upper()}{why[1:]}.{use}"}


def _cards(numbers: Mapping[str, Any]) -> list[Card]:
    head = headline(numbers)
    names = {
        "EF adherence, correlation": "requested against measured EF",
        "EF MAE on real, trained on synthetic": "points, on held-out real videos",
        "EF MAE on real, trained on real": "points, on held-out real videos",
        "Hearts rejected by the privacy filter": "share of sampled stills",
    }
    return [{"label": name, "value": head[name], "detail": detail} for name, detail in names.items()]


def _protocol(numbers: Mapping[str, Any]) -> dict[str, Any]:
    fidelity = numbers.get("fidelity")
    known = fidelity.get("protocol") if isinstance(fidelity, Mapping) else None
    return {"protocol": known} if known else {}


def _sections(numbers: Mapping[str, Any], readings: Readings, public: bool) -> list[Section]:
    known = np.array([r.ef for r in readings.tested], np.float64)
    requested = np.array([np.nan if r.ef is None else r.ef for r in readings.sets.synthetic_records], np.float64)
    found = [
        sections.utility(numbers, known, readings.predicted, public),
        sections.grid(numbers),
        sections.low_ef(numbers),
        sections.groups(numbers),
        sections.adherence(numbers, requested, readings.measured),
        sections.physiology(numbers),
        sections.fidelity(numbers),
        sections.texture(numbers),
        sections.vae(numbers),
        sections.privacy(numbers),
    ]
    return list(sections.present(found))
