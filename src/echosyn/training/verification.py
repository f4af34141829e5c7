"""Held-out judgement of the re-identification model: are two frames of different cardiac phase of one patient?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from echosyn.data.records import Record
from echosyn.estimate import Estimate
from echosyn.metrics.roc import Roc, area_with_interval, roc

MAX_PATIENTS = 200
FRAMES_PER_PATIENT = 4
LONGEST_HALF_BEAT_S = 0.75
"""Half a beat at 40 beats a minute."""
ENOUGH_VALUES = 1024
"""Of a frame, to see how much two differ."""
NUM_BOOTSTRAP = 200
FEW_FALSE_ALARMS = 0.01


@dataclass(frozen=True, eq=False)
class OppositeFrames:
    """Frames of held-out patients and, of each, one of the same video half a beat later."""

    a: Tensor
    """Shape ``(n, ...)``, as the video was read."""
    b: Tensor
    """Likewise."""
    patients: list[str]
    """Of each pair."""


@dataclass(frozen=True, eq=False)
class Verification:
    """How well a similarity tells frames of one patient from frames of two."""

    auc: Estimate
    """Area under the curve and its interval over patients."""
    curve: Roc

    def numbers(self) -> dict[str, float]:
        """What to log."""
        found = {"auc": self.auc.value, "auc_low": self.auc.low, "auc_high": self.auc.high}
        few = {"tpr_at_1_percent_fpr": self.curve.true_positive_rate_at(FEW_FALSE_ALARMS)}
        return {name: value for name, value in (found | few).items() if value is not None}


def half_beat(video: Tensor, fps: float) -> int:
    """The lag in frames, up to that of a slow heart, at which a video ``(T, ...)`` differs most from itself.

    A lag of a whole beat shows the same phase again, half of one the opposite: no heart rate has to be known.
    """
    x = video.flatten(1)
    x = x[:, :: max(1, x.shape[1] // ENOUGH_VALUES)].float()
    longest = max(1, min(round(LONGEST_HALF_BEAT_S * fps), len(x) // 2))
    return 1 + int(np.argmax([float((x[lag:] - x[:-lag]).square().mean()) for lag in range(1, longest + 1)]))


def opposite_frames(records: Sequence[Record], read: Callable[[Record], Tensor]) -> OppositeFrames:
    """Pairs of frames half a beat apart, evenly over the first video of each patient.

    Args:
        records: Held-out videos; of very many patients an even choice is used.
        read: All frames of a recording, ``(T, ...)``.
    """
    first = list({record.patient: record for record in reversed(records)}.values())[::-1]
    chosen = [
        first[i] for i in sorted({round(x) for x in np.linspace(0, len(first) - 1, min(len(first), MAX_PATIENTS))})
    ]
    a, b, patients = [], [], []
    for record in chosen:
        video = read(record)
        if record.fps is None or len(video) < 2:
            continue
        lag = half_beat(video, record.fps)
        starts = np.linspace(0, len(video) - 1 - lag, FRAMES_PER_PATIENT).round().astype(int)
        a.append(video[starts])
        b.append(video[starts + lag])
        patients += [record.patient] * FRAMES_PER_PATIENT
    if not patients:
        return OppositeFrames(torch.zeros(0), torch.zeros(0), [])
    return OppositeFrames(torch.cat(a), torch.cat(b), patients)


def verify(similarity: Tensor, patients: Sequence[str]) -> Verification:
    """Compare each frame's partner with all frames of other patients.

    Args:
        similarity: Of each frame with each frame half a beat later, shape ``(n, n)``; partners on the diagonal.
        patients: Of each frame, at least two different ones.
    """
    names = np.asarray(patients, dtype=str)
    partner = np.eye(len(names), dtype=bool)
    rows, columns = np.nonzero(partner | (names[:, None] != names[None]))
    scores, same = similarity.double().cpu().numpy()[rows, columns], partner[rows, columns]
    auc = area_with_interval(scores, same, names[rows].tolist(), names[columns].tolist(), num_bootstrap=NUM_BOOTSTRAP)
    return Verification(auc, roc(scores, same))


def plot(curves: Mapping[str, Verification], path: Path) -> None:
    """Draw ROC curves over a logarithmic false positive rate, which is where they differ, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 3.5), dpi=200, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(
        xscale="log", xlim=(1e-4, 1), ylim=(0, 1.02), xlabel="False positive rate", ylabel="True positive rate"
    )
    for (name, found), colour in zip(curves.items(), ("#0072B2", "#D55E00"), strict=False):
        curve = found.curve
        label = f"{name}: AUC {found.auc.value:.3f}"
        axes.step(curve.false_positive_rate, curve.true_positive_rate, color=colour, where="post", label=label)
    axes.set_title("Held-out patients, frames half a beat apart", fontsize=11, loc="left", fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e6ecef", linewidth=0.8)
    axes.legend(loc="lower right", fontsize=8.5, edgecolor="none")
    figure.savefig(path, metadata={"Software": None})
