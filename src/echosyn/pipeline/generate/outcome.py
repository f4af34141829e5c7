"""What became of the hearts, and what the finished dataset says of it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from echosyn.data import filelist
from echosyn.data.records import Record, Tracing
from echosyn.data.splits import split_by_order
from echosyn.pipeline.folder import note
from echosyn.pipeline.generate.tasks import Made
from echosyn.pipeline.privacy_filter.rules import Rules
from echosyn.pipeline.tracking import measure
from echosyn.pipeline.tracking import tracings as labels
from echosyn.pipeline.tracking.measure import Measured
from echosyn.privacy.calibration import needed_patients

MEASUREMENTS = "measurements.csv"


@dataclass
class Outcome:
    """What became of each heart, by number. Hearts that are in no set below became videos that stay."""

    stills: set[int] = field(default_factory=set)
    """Rejected by the filter."""
    close: set[int] = field(default_factory=set)
    """Their videos are too close to a patient."""
    unfit: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """Their videos are not what was required: the flags."""
    lost: set[int] = field(default_factory=set)
    """Workers died of them."""

    def rejected(self) -> set[int]:
        """All of them."""
        return self.stills | self.close | set(self.unfit) | self.lost

    def add(self, made: Made, refused: set[str]) -> None:
        """Count a finished video."""
        if not made.apart:
            self.close.add(made.number)
        elif made.measured is not None and (flags := refused & set(made.measured.flags)):
            self.unfit[made.number] = tuple(sorted(flags))

    def up_to(self, end: int) -> "Outcome":
        """Of the hearts below a number."""
        return Outcome(
            {n for n in self.stills if n < end},
            {n for n in self.close if n < end},
            {n: flags for n, flags in self.unfit.items() if n < end},
            {n for n in self.lost if n < end},
        )

    def joined(self, other: "Outcome") -> "Outcome":
        """With those of another part."""
        unfit = self.unfit | other.unfit
        return Outcome(self.stills | other.stills, self.close | other.close, unfit, self.lost | other.lost)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `from_json`."""
        unfit = [[number, *flags] for number, flags in sorted(self.unfit.items())]
        return {"stills": sorted(self.stills), "close": sorted(self.close), "unfit": unfit, "lost": sorted(self.lost)}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "Outcome":
        """What `to_json` said."""
        unfit = {number: tuple(flags) for number, *flags in said["unfit"]}
        return cls(set(said["stills"]), set(said["close"]), unfit, set(said["lost"]))


def facts(outcome: Outcome, rules: Rules, stay: Sequence[int], end: int) -> dict[str, Any]:
    """What the provenance says about privacy: of all hearts up to the last one that was needed, without a name or a number."""
    of = outcome.up_to(end)
    lost = {"lost": len(of.lost)} if of.lost else {}
    if rules.still_threshold is None:
        said = {"filter": "none", "releasable": False, "warning": "no privacy filter: no --reference was given"}
        return said | lost
    kept = end - len(of.stills)
    completed = len(set(stay) & (outcome.stills | outcome.close | set(outcome.unfit)))
    found: dict[str, Any] = {
        "candidates": end,
        "num_kept": kept,
        "rejection_rate": len(of.stills) / end,
        "threshold": dict(rules.still_threshold),
        "filter": "calibrated",
    }
    if of.stills & set(stay):
        found["completed_with_rejected"] = len(of.stills & set(stay))
    if rules.video_threshold is None:
        return found | lost | {"releasable": not completed and rules.still_threshold["enough"]}
    too_close = len(outcome.close & set(stay))
    found["final_check"] = {
        "videos_checked": kept - len(of.lost),
        "videos_rejected": len(of.close),
        "videos_too_close": too_close,
        "compared_with": rules.compared_with,
        "threshold": dict(rules.video_threshold),
    }
    enough = rules.still_threshold["enough"] and rules.video_threshold["enough"]
    vouched = bool(enough and not too_close and "completed_with_rejected" not in found)
    return found | lost | {"releasable": vouched, "audit": "none; publishing asks for one"}


def unfit_to_share(privacy: Mapping[str, Any]) -> str | None:
    """Why a set with these `facts` is not releasable, in a few words; None if it is."""
    if privacy.get("releasable"):
        return None
    if privacy.get("filter") == "none":
        return "no --reference: the samples were not filtered"
    if rejected := privacy.get("completed_with_rejected"):
        return f"too few samples passed the privacy filter, and the set was completed with {rejected} rejected ones"
    if close := privacy.get("final_check", {}).get("videos_too_close"):
        return f"{close} videos are too close to real ones"
    if "threshold" not in privacy:
        return "it has not passed a privacy filter"
    few = min((privacy["threshold"], privacy.get("final_check", privacy)["threshold"]), key=lambda t: t["num_patients"])
    return (
        f"how often the privacy filter rejects strangers is not known well enough: {few['num_patients']} held-out patients, "
        f"expected at least {needed_patients(few['requested_rate'])}"
    )


def finish(
    folder: Path,
    records: Sequence[Record],
    measured: Mapping[str, Measured],
    tracings: Sequence[Tracing],
    outcome: Outcome,
    rules: Rules,
    stay: Sequence[int],
    end: int,
) -> dict[str, Any]:
    """Write file list, labels and provenance of the videos that stay; returns what it says about privacy.

    Args:
        folder: of the dataset.
        records: of the videos that stay, in their order; the split is by this order.
        measured: by name, if anything was required.
        tracings: of those videos.
        outcome: of all hearts.
        rules: that they had to pass.
        stay: numbers of the videos that stay.
        end: one more than the last heart that was needed.
    """
    splits = split_by_order(len(records))
    rows = [replace(r, split=split) for r, split in zip(records, splits, strict=True)]
    if rules.require:
        rows = [labels.labelled(record, measured[record.name]) for record in rows]
        measure.write_csv(folder / MEASUREMENTS, [measured[r.name] for r in rows])
        of = outcome.up_to(end)
        reasons = {flag: sum(flag in flags for flags in of.unfit.values()) for flag in sorted(rules.refused)}
        looked_at = end - len(of.stills) - len(of.lost)
        note(folder, required={"checks": list(rules.require), "videos_measured": looked_at,
                               "replaced": len(of.unfit), "reasons": reasons})  # fmt: skip
    filelist.write(folder, rows)
    if tracings:
        filelist.write_tracings(folder, tracings)
    privacy = facts(outcome, rules, stay, end)
    note(folder, privacy=privacy)
    return privacy


def as_json(made: Made) -> dict[str, Any]:
    """Plain values, for `from_json`."""
    return asdict(made)


def from_json(said: Mapping[str, Any]) -> Made:
    """What `as_json` said."""
    measured = said["measured"]
    if measured is not None:
        measured = Measured(**(measured | {"flags": tuple(measured["flags"])}))
    return Made(said["number"], said["apart"], measured, tuple(Tracing(**row) for row in said["tracings"]))
