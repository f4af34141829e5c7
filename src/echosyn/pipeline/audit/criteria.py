"""What an audit concludes: criteria that must hold, and what may be told to everybody."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from echosyn.pipeline.audit.membership import Attack
from echosyn.pipeline.audit.positive_controls import Caught
from echosyn.privacy.calibration import Threshold
from echosyn.privacy.intervals import Rate, Risk
from echosyn.privacy.published_rule import PublishedRule

LARGEST_RISK = 0.09
"""Re-identification risk that EMA Policy 0070 and Health Canada (PRCI) accept for published clinical data."""
LARGEST_TPR = 0.02
"""True positive rate of membership inference at 1 % false positives; guessing reaches 1 %."""

CURES = {
    "weights": "Do not release the weights, or train the models on more patients, for fewer steps, or with differential privacy.",
    "videos": "Release fewer videos, or train the models on more patients or for fewer steps.",
}
"""What to do about an attack that works, by what it needs."""

ATTACKERS = (
    "Has the synthetic videos. Owns recordings of people and wants to know whether one of them is in the training set, or "
    "which synthetic video was made from whom: nearest video, density ratio, linkability, singling-out.",
    "Also has the weights of the models: loss and proximal-initialisation attacks, where the audit was given the models.",
)
ASSUMPTIONS = (
    "Held-out patients come from the same population as the training patients and were unseen by every audited model.",
    "Videos of one person carry one patient id; people who appear under two ids are compared as two.",
    "The re-identification model and the VAE extract the features an attacker would use.",
)
LIMITS = (
    "No number here says that the set is anonymous. An attack that failed is no proof that a better one fails.",
    "A figure is only as fine as the number of patients allows; the intervals say how fine that is.",
    "Mirrored, strongly moved and strongly cropped copies are missed: see the canaries that are not required.",
    "Rare findings, text that the pixels show and the labels that accompany the videos are not examined.",
    "The audit covers exactly the files whose hash it states and no others.",
)


@dataclass(frozen=True)
class Criterion:
    """One condition of release."""

    name: str
    holds: bool
    asked: str
    found: str


@dataclass(frozen=True, eq=False)
class Findings:
    """All numbers of an audit."""

    num_videos: int
    flagged: int
    """Videos at or above the threshold."""
    threshold: Threshold
    false_rejection: Rate
    published: PublishedRule | None
    controls: Sequence[Caught]
    risks: Mapping[str, Risk]
    attacks: Sequence[Attack]
    num_train: int
    """Patients."""
    num_held_out: int
    silent_models: int
    """Models that do not say what they were trained on."""


def checked(found: Findings) -> list[Criterion]:
    """Every condition and whether it holds."""
    rate = found.threshold.requested_rate
    trial = found.false_rejection
    checked = [
        Criterion(
            "copies",
            found.flagged == 0,
            "no video is closer to a real patient than the threshold",
            f"{found.flagged} of {found.num_videos} are",
        ),
        Criterion(
            "calibration",
            found.threshold.enough and trial.num > 0 and trial.low <= rate <= trial.high,
            f"{_percent(rate)} lies within the confidence interval of the false rejection rate, "
            "and there are enough held-out patients",
            f"{_interval(trial)} of {trial.num} held-out videos"
            + ("" if found.threshold.enough else "; too few held-out patients"),
        ),
        *_power(found.controls),
    ]
    for name, risk in found.risks.items():
        held = risk.high < LARGEST_RISK
        checked.append(
            Criterion(
                f"risk of {name}",
                held,
                f"upper end of the interval below {LARGEST_RISK}",
                f"{risk.value:.3f} ({risk.low:.3f} to {risk.high:.3f})",
            )
        )
    return checked + [_inference(attack) for attack in found.attacks]


def warnings(found: Findings) -> list[str]:
    """What fails no criterion and must be known all the same: attacks that beat guessing."""
    return [
        f"{attack.name}: tells training patients from others better than chance (AUC "
        f"{_estimate(attack.auc.value, attack.auc.low, attack.auc.high)}). {CURES[attack.needs]}"
        for attack in found.attacks
        if attack.auc.low is not None and attack.auc.low > 0.5
    ]


def public(found: Findings, criteria: Sequence[Criterion], videos: str) -> dict[str, Any]:
    """The summary that may be shared: numbers and words, no name, no picture, no path."""
    return {
        "verdict": "pass" if all(criterion.holds for criterion in criteria) else "fail",
        "videos": videos,
        "num_videos": found.num_videos,
        "patients": {"train": found.num_train, "held_out": found.num_held_out},
        "lines": [asdict(criterion) for criterion in criteria],
        "warnings": warnings(found),
        "filter": {
            "threshold": found.threshold.to_json(),
            "innocents_rejected": asdict(found.false_rejection),
            "videos_rejected": found.flagged,
            "published_rule": found.published and found.published.to_json(),
        },
        "canaries": [
            {"kind": c.control.kind, "strength": c.control.strength, "unit": c.control.unit, "must": c.control.must}
            | {"planted": c.rate.num, "caught": c.rate.value, "low": c.rate.low, "high": c.rate.high}
            for c in found.controls
        ],
        "risks": {name: asdict(risk) for name, risk in found.risks.items()},
        "attacks": [attack.to_json() for attack in found.attacks],
        "models_that_do_not_say_what_they_saw": found.silent_models,
        "attackers": ATTACKERS,
        "assumptions": ASSUMPTIONS,
        "limits": LIMITS,
    }


def _power(controls: Sequence[Caught]) -> list[Criterion]:
    asked = [c for c in controls if c.enough is not None]
    missed = [c for c in asked if not c.enough]
    words = "; ".join(
        f"{c.control.kind} {c.control.strength:g} {c.control.unit}: {c.rate.successes} of {c.rate.num}" for c in missed
    )
    return [
        Criterion(
            "canaries",
            not missed and bool(asked),
            "all exact and re-encoded copies caught, and 95 % of mild disguises",
            words or f"all {len(asked)} required disguises",
        )
    ]


def _inference(attack: Attack) -> Criterion:
    """Fails where the attack shows more than the criterion allows: where its whole interval lies above.

    A few hundred patients cannot show a rate below 2 %; they can show one above.
    """
    tpr, auc = attack.tpr, attack.auc
    low = tpr.low if tpr.low is not None else tpr.value
    return Criterion(
        f"inference: {attack.name}",
        low is not None and low <= LARGEST_TPR,
        f"true positives at 1 % false positives not shown to exceed {_percent(LARGEST_TPR)}",
        f"{_estimate(tpr.value, tpr.low, tpr.high)}; AUC {_estimate(auc.value, auc.low, auc.high)} "
        f"({attack.members} against {attack.others})",
    )


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def _interval(rate: Rate) -> str:
    return f"{100 * rate.value:.1f} % ({100 * rate.low:.1f} to {100 * rate.high:.1f})"


def _estimate(value: float | None, low: float | None, high: float | None) -> str:
    shown = "-" if value is None else f"{value:.3f}"
    return shown if low is None or high is None else f"{shown} ({low:.3f} to {high:.3f})"
