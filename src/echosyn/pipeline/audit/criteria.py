"""What an audit concludes: criteria that must hold, and what may be told to everybody."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from echosyn.pipeline.audit.membership import Attack, Promise
from echosyn.pipeline.audit.positive_controls import SHOWN, Caught, Trial
from echosyn.privacy.attacks import Excess
from echosyn.privacy.calibration import Threshold
from echosyn.privacy.intervals import Rate, Risk
from echosyn.privacy.one_run import Bound
from echosyn.privacy.permutation import holm
from echosyn.privacy.published_rule import PublishedRule
from echosyn.privacy.rejections import GroupRate

LARGEST_RISK = 0.09
"""Re-identification risk that EMA Policy 0070 and Health Canada (PRCI) accept for published clinical data."""
LARGEST_ADVANTAGE = 0.05
"""Distance of an attack's AUC from 0.5, on either side, that is let through even if it is significant."""
SIZE = 0.045
"""Chance that the membership tests of the videos, or of the weights, fail a set from which nothing leaks (Holm's method)."""
TAIL_WEIGHTS = {0: 0.76, 1: 0.06}
"""Share of `SIZE` for the test of few patients learned by heart, by false positives; the areas of all attacks share the rest."""
LINKED = "linkability: halves of a recording"
DIFFERENT_SPLITS = 0.005
"""p-value below which VAL and TEST patients are held to differ; with `SIZE` at most 5 % in all."""

CURES = {
    "weights": "Do not release the weights, or train the models on more patients, for fewer steps, or with differential privacy.",
    "videos": "Release fewer videos, or train the models on more patients or for fewer steps.",
}
"""What to do about an attack that works, by what it needs."""

ATTACKERS = (
    "Has the synthetic videos. Owns recordings of people and wants to know whether one of them is in the training set, or "
    "which synthetic video was made from whom, or what it says of them: nearest video, density ratio, linkability, singling-out, "
    "attribute inference.",
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
    "Copies disguised in ways that are no canary, or listed as exceptions, may be missed.",
    "Rare findings, text that the pixels show and labels other than EF, sex, age and site are not examined.",
    "The audit covers exactly the files whose hash it states and no others.",
)


@dataclass(frozen=True)
class Criterion:
    """One condition of release."""

    name: str
    holds: bool
    asked: str
    found: str
    of: str = "videos"
    """What must not be released if it does not hold: ``videos`` or ``weights``."""
    decided: bool = True
    """False: it does not hold for want of patients or positive controls, not for what was found."""


@dataclass(frozen=True, eq=False)
class Findings:
    """All numbers of an audit."""

    num_videos: int
    flagged: int
    """Videos at or above the threshold."""
    threshold: Threshold
    false_rejection: Trial
    published: PublishedRule | None
    controls: Sequence[Caught]
    risks: Mapping[str, Risk]
    attacks: Sequence[Attack]
    num_train: int
    """Patients."""
    num_held_out: int
    silent_models: int
    """Models that do not say what they were trained on."""
    promise: Promise | None = None
    """Of the image model's differential privacy."""
    leaked: Bound | None = None
    """At least what it has leaked."""
    groups: Sequence[GroupRate] = ()
    """Of held-out patients. Their names are the house's own words, and private."""
    guesses: Mapping[str, Excess] = field(default_factory=dict)
    """What the synthetic videos give away of a patient: `LINKED`, and attributes by name."""
    tails: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    """See `echosyn.pipeline.audit.membership.tails`, of the attacks with ``videos`` and with ``weights``."""


def checked(found: Findings) -> list[Criterion]:
    """Every condition and whether it holds."""
    return [
        Criterion(
            "copies",
            found.flagged == 0,
            "no video is closer to a real patient than the threshold",
            f"{found.flagged} of {found.num_videos} are",
        ),
        _calibration(found),
        _power(found.controls),
        *(_risk(name, risk) for name, risk in found.risks.items()),
        *(line for needs in ("videos", "weights") for line in _inference(found, needs)),
        *([_promise(found.promise, found.leaked)] if found.promise and found.leaked else []),
    ]


def exceptions(controls: Sequence[Caught]) -> list[str]:
    """Kinds of copies that the check does not reliably catch, so that nothing is said of them."""
    missed = [c for c in controls if not c.control.essential and c.enough is not None and not (c.enough and c.shown)]
    return [f"{c.control}: {_caught(c)}" for c in missed]


def conclusion(lines: Sequence[Criterion], exceptions: Sequence[str]) -> str:
    """``pass``, ``pass, except ...``, ``cannot say`` or ``fail``, of lines about one thing; ``not examined`` without any."""
    broken = [line for line in lines if not line.holds]
    if any(line.decided for line in broken):
        return "fail"
    if broken:
        return "cannot say"
    if not lines:
        return "not examined"
    return "pass, except " + "; ".join(exceptions) if exceptions else "pass"


def warnings(found: Findings) -> list[str]:
    """What fails no criterion and must be known all the same: attacks that beat guessing, kinds of copies that may be missed."""
    told = [
        f"{attack.name}: tells training patients from others better than chance (AUC "
        f"{_estimate(attack.auc.value, attack.auc.low, attack.auc.high)}). {CURES[attack.needs]}"
        for attack in found.attacks
        if attack.auc.low is not None and attack.auc.high is not None and not attack.auc.low <= 0.5 <= attack.auc.high
    ]
    if differ := sorted({group.kind for group in found.groups if group.differs}):
        told.append(
            f"The false rejection rate differs between groups of held-out patients by {', '.join(differ)}: copies of patients of "
            "a group that is seldom rejected are noticed less often. The custodian's page has the groups."
        )
    return told + [f"Copies of this kind are not excluded: {kind}." for kind in exceptions(found.controls)]


def public(found: Findings, criteria: Sequence[Criterion], videos: str) -> dict[str, Any]:
    """The summary that may be shared: numbers and words, no name, no picture, no path."""
    missed = exceptions(found.controls)
    of = {what: [line for line in criteria if line.of == what] for what in ("videos", "weights")}
    return {
        "verdict": "pass" if all(line.holds for line in of["videos"]) else "fail",
        "conclusions": {
            "videos": conclusion(of["videos"], missed),
            "weights": conclusion(of["weights"], ()),
        },
        "exceptions": missed,
        "videos": videos,
        "num_videos": found.num_videos,
        "patients": {"train": found.num_train, "held_out": found.num_held_out},
        "lines": [asdict(criterion) for criterion in criteria],
        "warnings": warnings(found),
        "filter": {
            "threshold": found.threshold.to_json(),
            "innocents_rejected": asdict(found.false_rejection.rate),
            "val_to_test_p": found.false_rejection.p_value,
            "videos_rejected": found.flagged,
            "published_rule": found.published and found.published.to_json(),
        },
        "canaries": [
            {"kind": c.control.kind, "strength": c.control.strength, "unit": c.control.unit, "must": c.control.must}
            | {"essential": c.control.essential}
            | {"planted": c.rate.num, "caught": c.rate.value, "low": c.rate.low, "high": c.rate.high}
            for c in found.controls
        ],
        "risks": {name: asdict(risk) for name, risk in found.risks.items()},
        "attacks": [attack.to_json() for attack in found.attacks],
        "guesses": {name: asdict(guess) for name, guess in found.guesses.items()},
        "image_model_epsilon": found.leaked
        and {"promised": found.promise and found.promise["epsilon"]} | asdict(found.leaked),
        "learned_by_heart_p": {needs: dict(tails) for needs, tails in found.tails.items()},
        "models_that_do_not_say_what_they_saw": found.silent_models,
        "attackers": ATTACKERS,
        "assumptions": ASSUMPTIONS,
        "limits": LIMITS,
    }


def _calibration(found: Findings) -> Criterion:
    trial, enough = found.false_rejection, found.threshold.enough
    alike = trial.p_value is None or trial.p_value >= DIFFERENT_SPLITS
    words = "" if trial.p_value is None else f" when VAL sets the threshold and TEST is tried (p = {trial.p_value:.3f})"
    return Criterion(
        "calibration",
        enough and alike and trial.rate.num > 0,
        "the false rejection rate is known to 5 points (about 100 held-out patients), and VAL and TEST do not differ in it",
        f"{_interval(trial.rate)} of {trial.rate.num} held-out patients{words}"
        + ("" if enough else "; too few held-out patients")
        + ("" if alike else "; VAL and TEST patients differ"),
        decided=not alike,
    )


def _power(controls: Sequence[Caught]) -> Criterion:
    asked = [c for c in controls if c.control.essential and c.enough is not None]
    missed = [c for c in asked if not c.enough]
    few = [c for c in asked if c.enough and not c.shown]
    least = min((c.rate.low for c in asked), default=0.0)
    return Criterion(
        "canaries",
        not missed and not few and bool(asked),
        f"all exact and re-encoded copies caught, 95 % of mild disguises, and of each kind {_percent(SHOWN)} shown to be",
        "; ".join(f"{c.control}: {_caught(c)}" for c in missed or few)
        or f"all {len(asked)} required disguises; at least {100 * least:.0f} % of each kind are caught",
        decided=bool(missed),
    )


def _caught(c: Caught) -> str:
    return f"{c.rate.successes} of {c.rate.num} caught, which shows at least {100 * c.rate.low:.0f} %"


def _risk(name: str, risk: Risk) -> Criterion:
    """The success itself, not what it is beyond a control: a patient is not helped by others' being found as well."""
    return Criterion(
        f"risk of {name}",
        risk.main.high < LARGEST_RISK,
        f"upper end of the share of training patients below {LARGEST_RISK}",
        f"{risk.main.value:.3f} ({risk.main.low:.3f} to {risk.main.high:.3f}) of {risk.main.num}; of held-out patients "
        f"{risk.control.value:.3f}",
        decided=risk.main.low >= LARGEST_RISK or risk.main.value >= LARGEST_RISK,
    )


def _inference(found: Findings, needs: str) -> list[Criterion]:
    """Fails where an exact test shows that training patients are told from others; all tests of a side share `SIZE`."""
    attacks, tails = [a for a in found.attacks if a.needs == needs], found.tails.get(needs, {})
    guesses = found.guesses if needs == "videos" else {}
    p_values = {a.name: a.p_value for a in attacks} | {name: guess.p_value for name, guess in guesses.items()}
    tests = {name: (p, (1 - sum(TAIL_WEIGHTS.values())) / len(p_values)) for name, p in p_values.items()}
    shown = holm(tests | {f"tail {k}": (p, TAIL_WEIGHTS[k]) for k, p in tails.items()}, SIZE)
    lines = []
    for attack in attacks:
        auc = attack.auc
        apart = abs((auc.value or 0.5) - 0.5) > LARGEST_ADVANTAGE
        lines.append(
            Criterion(
                f"inference: {attack.name}",
                not (shown[attack.name] and apart),
                f"AUC not shown to differ from 0.5 by more than {LARGEST_ADVANTAGE:g} on either side",
                f"{_estimate(auc.value, auc.low, auc.high)}, p = {attack.p_value:.4f}; {_few_false_alarms(attack)}"
                f" ({attack.members} against {attack.others})",
                needs,
            )
        )
    for name, guess in guesses.items():
        main, control = guess.risk.main, guess.risk.control
        lines.append(
            Criterion(
                name if name == LINKED else f"attribute inference: {name}",
                not shown[name],
                "no more training patients than held-out ones whose two halves are nearest to the same video"
                if name == LINKED
                else "the nearest video's label is right of no more training patients than held-out ones",
                f"{_interval(main)} of {main.num} against {_interval(control)} of {control.num}, p = {guess.p_value:.4f}; a "
                f"naive guess: {_percent(guess.naive)}",
            )
        )
    if tails:
        lines.append(
            Criterion(
                f"inference from {needs}: patients learned by heart",
                not any(shown[f"tail {k}"] for k in tails),
                "no more training patients among the highest scores than chance puts there",
                "p = " + ", ".join(f"{p:.4f} ({k} held-out above)" for k, p in tails.items()),
                needs,
            )
        )
    return lines


def _few_false_alarms(attack: Attack) -> str:
    """What is found at 1 % false positives."""
    tpr = attack.tpr
    if tpr.value is None:
        return "too few held-out patients to speak of 1 % false positives"
    return f"true positives at 1 % false positives {_estimate(tpr.value, tpr.low, tpr.high)}"


def _promise(promise: Promise, leaked: Bound) -> Criterion:
    """Replacing a patient is leaving one out and adding one."""
    return Criterion(
        "differential privacy",
        leaked.epsilon <= 2 * promise["epsilon"],
        f"guesses who was in do not refute epsilon = {promise['epsilon']:.3g} (twice that if a patient is replaced)",
        f"at least {leaked.epsilon:.2f} if a patient is replaced: {leaked.correct} of {leaked.guesses} guesses right",
        "weights",
    )


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _interval(rate: Rate) -> str:
    return f"{100 * rate.value:.1f} % ({100 * rate.low:.1f} to {100 * rate.high:.1f})"


def _estimate(value: float | None, low: float | None, high: float | None) -> str:
    shown = "-" if value is None else f"{value:.3f}"
    return shown if low is None or high is None else f"{shown} ({low:.3f} to {high:.3f})"
