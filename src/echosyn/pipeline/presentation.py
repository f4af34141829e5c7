"""The numbers of an evaluation as a page for people."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from echosyn.data import filelist, video
from echosyn.data.records import Record
from echosyn.metrics.plots import scatter
from echosyn.pipeline.progress import Progress, silent
from echosyn.pipeline.report.page import Card, Media, Report, Section, Verdict, render

if TYPE_CHECKING:
    from echosyn.pipeline.evaluate import Sets
    from echosyn.pipeline.predict import Predictions

NUM_SHOWN = 8
"""Videos shown of each side."""

FIGURES = ("r2", "mae", "rmse", "bias", "pearson")


def headline(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """The few numbers for a terminal."""
    utility = numbers["utility"]
    adherence = numbers["ef_adherence"]
    vae = numbers.get("vae") or {}
    return {
        "EF adherence, R2": adherence["r2"]["value"],
        "EF adherence, MAE (points)": adherence["mae"]["value"],
        "EF adherence, correlation": adherence["pearson"]["value"],
        "EF R2 on real, trained on real": utility["train on real"]["r2"]["value"],
        "EF R2 on real, trained on synthetic": utility["train on synthetic"]["r2"]["value"],
        "EF MAE on real, trained on real": utility["train on real"]["mae"]["value"],
        "EF MAE on real, trained on synthetic": utility["train on synthetic"]["mae"]["value"],
        "Fréchet distance (echosyn-ef)": numbers["frechet"]["value"],
        "Fréchet floor, real against real": numbers["frechet"].get("floor", {}).get("mean"),
        "VAE PSNR (dB)": vae.get("psnr"),
        "VAE SSIM": vae.get("ssim"),
        "Hearts rejected by the privacy filter": (numbers.get("privacy") or {}).get("rejection_rate"),
    }


def write_page(
    path: Path, numbers: Mapping[str, Any], sets: "Sets", measured: "Predictions", progress: Progress = silent
) -> None:
    """Write the self-contained page; it shows real videos and must stay in the house."""
    media = _media(sets.real, sets.held_out, "real", None, progress)
    media += _media(sets.synthetic, sets.synthetic_records, "synthetic", measured.ef, progress)
    requested = [r.ef if r.ef is not None else float("nan") for r in sets.synthetic_records]
    plot = scatter(requested, measured.ef, "EF of the synthetic videos")
    counts = numbers["counts"]
    report: Report = {
        "title": "Evaluation of a synthetic echo dataset",
        "subtitle": f"{counts['synthetic']} synthetic videos against {counts['real_held_out']} held-out real ones",
        "verdict": _verdict(numbers),
        "cards": _cards(numbers),
        "warnings": warnings(numbers),
        "sections": _sections(numbers, plot),
        "provenance": numbers["provenance"],
    }
    render(report, media, path)


def warnings(numbers: Mapping[str, Any]) -> list[str]:
    """What a reader must know before believing a number."""
    found: list[str] = []
    privacy = numbers.get("privacy") or {}
    if not privacy or privacy.get("filter") == "none":
        found.append("The synthetic set was not filtered for copies of real patients.")
    if "completed_with_rejected" in privacy:
        found.append(
            f"{privacy['completed_with_rejected']} video(s) show hearts that the privacy filter rejected: do not share this set."
        )
    threshold = privacy.get("threshold") or {}
    if threshold and not threshold["enough"]:
        found.append(f"Privacy filter: {threshold['message']}.")
    frechet = numbers["frechet"]
    if frechet["value"] is None or not frechet["floor"]["reliable"]:
        found.append(
            f"The Fréchet distance is unreliable: {frechet.get('n', 0)} videos a side for {_dim(frechet)} feature dimensions."
        )
    if numbers["counts"]["real_held_out"] < 20:
        found.append(f"Only {numbers['counts']['real_held_out']} held-out real videos: the intervals are wide.")
    return found


def _dim(frechet: Mapping[str, Any]) -> int | str:
    dim: int | str = frechet.get("floor", {}).get("dim", "more")
    return dim


def _verdict(numbers: Mapping[str, Any]) -> Verdict:
    privacy = numbers.get("privacy") or {}
    if privacy.get("releasable"):
        return {
            "status": "info",
            "headline": "Every heart passed the calibrated privacy filter",
            "text": "The filter checks still hearts only. A release also needs an audit of the final videos.",
        }
    return {
        "status": "warn",
        "headline": "Not to be shared",
        "text": "The privacy filter does not vouch for this set; see the warnings below.",
    }


def _cards(numbers: Mapping[str, Any]) -> list[Card]:
    head = headline(numbers)
    names = {
        "EF adherence, correlation": "requested against measured EF",
        "EF MAE on real, trained on synthetic": "points, on held-out real videos",
        "EF MAE on real, trained on real": "points, on held-out real videos",
        "Hearts rejected by the privacy filter": "share of invented hearts",
    }
    return [{"label": name, "value": head[name], "detail": detail} for name, detail in names.items()]


def _sections(numbers: Mapping[str, Any], plot: bytes) -> list[Section]:
    def row(name: str, figures: Mapping[str, Any]) -> list[Any]:
        return [name, figures["n"], *(figures[key] for key in FIGURES)]

    columns = ["", "n", "R2", "MAE", "RMSE", "Bias", "Correlation"]
    frechet, vae, privacy = numbers["frechet"], numbers.get("vae"), numbers.get("privacy")
    sections: list[Section] = [
        {
            "title": "Utility: EF regression on held-out real videos",
            "explanation": "The same small regressor, trained on the TRAIN videos of each side and tested on real VAL and TEST "
            f"videos ({numbers['counts']['real_train']} real and {numbers['counts']['synthetic_train']} synthetic training "
            "videos). Brackets: 95 % bootstrap interval over patients.",
            "columns": columns,
            "rows": [row(name, figures) for name, figures in numbers["utility"].items()],
        },
        {
            "title": "EF adherence: requested against measured",
            "explanation": "Measured twice: by the regressor that was trained on real videos (plotted), and by tracking the left "
            "ventricle's area, which no network taught and which needs an apical four-chamber view. The last row says how "
            "good the tracking is, on real videos.",
            "columns": columns,
            "rows": [
                row("synthetic, by regressor", numbers["ef_adherence"]),
                row("synthetic, by LV area", numbers["ef_by_area"]["synthetic"]),
                row("real, by LV area", numbers["ef_by_area"]["real"]),
            ],
            "plot": plot,
            "plot_alt": "Scatter plot of measured over requested ejection fraction of the synthetic videos",
        },
        {
            "title": "Fidelity: Fréchet distance",
            "explanation": f"Feature space: {frechet['space']} (this run's regressor). The floor is real against real at the "
            "same number of videos; lower is better.",
            "columns": ["Distance", "Floor", "Videos a side"],
            "rows": [[frechet["value"], frechet.get("floor", {}).get("mean"), frechet.get("n")]],
        },
    ]
    if vae:
        sections.append(
            {
                "title": "VAE: reconstruction of held-out frames",
                "columns": ["PSNR (dB)", "SSIM", "Frames"],
                "rows": [[vae["psnr"], vae["ssim"], vae["frames"]]],
            }
        )
    if privacy and "threshold" in privacy:
        threshold = privacy["threshold"]
        sections.append(
            {
                "title": "Privacy filter",
                "explanation": f"Higher similarity is riskier. {threshold['message'].capitalize()}.",
                "columns": ["Hearts invented", "Rejected", "Threshold", "Held-out patients"],
                "rows": [
                    [
                        privacy["candidates"],
                        privacy["rejection_rate"],
                        {"value": threshold["value"], "low": threshold["low"], "high": threshold["high"]},
                        threshold["num_patients"],
                    ]
                ],
            }
        )
    return sections


def _media(
    dataset: Path, records: Sequence[Record], side: Any, measured: np.ndarray | None, progress: Progress
) -> list[Media]:
    index, shown = filelist.VideoIndex(dataset), _spread_by_ef(records)
    media = []
    for done, i in enumerate(shown):
        recording = video.read(index.path(records[i]))
        caption = "EF unknown" if records[i].ef is None else f"EF {records[i].ef:.0f} %"
        if measured is not None:
            caption += f" asked, {measured[i]:.0f} % measured"
        media.append(Media(records[i].name, caption, mp4(recording.grey(), recording.fps), side))
        progress("page", done + 1, len(shown))
    return media


def _spread_by_ef(records: Sequence[Record]) -> list[int]:
    order = sorted(range(len(records)), key=lambda i: (records[i].ef is None, records[i].ef))
    picks = np.linspace(0, len(order) - 1, min(NUM_SHOWN, len(order))).round().astype(int)
    return [order[p] for p in picks]


def mp4(frames: np.ndarray, fps: float) -> bytes:
    """Grey frames as an MP4 that browsers play."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        video.write_mp4(path, frames, fps)
        return path.read_bytes()
