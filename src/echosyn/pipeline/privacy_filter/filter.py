"""``echosyn filter``: throw away the hearts that are a real patient's."""

import csv
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from echosyn import weights
from echosyn.data import stills
from echosyn.errors import ConfigError, DataError, StoppedError
from echosyn.files import whole
from echosyn.pipeline.folder import new_folder, note
from echosyn.pipeline.given_stills import as_stills, numbered
from echosyn.pipeline.privacy_filter.parallel_matching import Matcher
from echosyn.pipeline.privacy_filter.published_rule import PublishedFilter, published
from echosyn.pipeline.privacy_filter.reference_frames import REFERENCE_STRIDE
from echosyn.pipeline.privacy_filter.still_filter import calibrated as calibrated_filter
from echosyn.pipeline.privacy_filter.still_filter import load_reid, read
from echosyn.pipeline.privacy_filter.stored import RATE, STILLS, opened, refuse_both
from echosyn.pipeline.workers.compute import HERE, Compute
from echosyn.pipeline.workers.executors import Lost
from echosyn.pipeline.workers.shards import WHOLE
from echosyn.privacy.calibration import Threshold
from echosyn.privacy.filtering import Verdict
from echosyn.settings.making import FilterSettings


def filter_stills(
    candidates: Path, out: Path, reid: Path, asked: FilterSettings, compute: Compute = HERE
) -> dict[str, Any]:
    """Write the stills that are nobody's into a new folder.

    The similarity of every candidate and its nearest patient go to ``private/similarity.csv`` below ``out``: it names
    real patients and must stay in the house. ``rule="published"`` is there for comparison; see
    `echosyn.pipeline.privacy_filter.published_rule`. ``calibrated`` is a folder of
    `echosyn.pipeline.privacy_filter.calibrate.calibrate`, instead of ``reference`` and ``false_rejection_rate``; it
    changes nothing else.
    """
    reference, calibrated, rule = asked.reference, asked.calibrated, asked.rule
    false_rejection_rate, device, shard, progress = (
        asked.false_rejection_rate,
        compute.device,
        compute.shard,
        compute.progress,
    )
    refuse_both(calibrated, reference=reference, false_rejection_rate=false_rejection_rate)
    if calibrated is not None and rule != "calibrated":
        raise ConfigError(f"--calibrated {calibrated} is not of the rule {rule!r}, which needs --reference")
    if asked.percentile is not None and rule != "published":
        raise ConfigError(f"--percentile {asked.percentile:g}: only the published rule has one: give --rule published")
    numbered(candidates)  # a folder without stills is told of before anything is written
    earlier = opened(calibrated, {"reid": reid}) if calibrated else None
    if reference is not None:
        load_reid(reid, reference, device)  # mistakes are told before anything is written
    elif earlier is None:
        raise ConfigError("whom are the hearts compared with? Give --reference, or --calibrated")
    rate = earlier.rate if earlier else RATE if false_rejection_rate is None else false_rejection_rate
    settings: dict[str, Any] = {"false_rejection_rate": rate, "stride": REFERENCE_STRIDE}
    percentile = 95.0 if asked.percentile is None else asked.percentile
    settings |= {} if rule == "calibrated" else {"rule": rule, "percentile": percentile}
    inputs = {"candidates": candidates, "reid": weights.resolve(reid)} | ({"reference": reference} if reference else {})
    hashes = {name: said for name, said in earlier.hashes.items() if name != "real"} if earlier else {}
    with new_folder(out, "filter", settings, inputs, hashes=hashes, shard=shard) as folder:
        private, working = folder / "private", folder / "work"
        shutil.rmtree(working, ignore_errors=True)
        for path in (private, working):
            path.mkdir(exist_ok=True)
        every = stills.shards(as_stills(candidates, working / "given"))
        files = shard.of(every)
        if not files:
            raise ConfigError(
                f"--shard {shard.number}/{shard.count}: {candidates} has fewer files than there are shards"
            )
        executor = compute.workers()
        judging: Iterator[tuple[Path, Any]]
        if reference is not None and rule == "published":
            theirs = published(reid, reference, every, percentile, device)
            patients, facts = theirs.patients, _of_rule(theirs)
            judging = ((path, _judged(path, theirs, folder)) for path in files)
        else:
            screen = earlier.folder / STILLS if earlier else working / "screen"
            if reference is not None:
                match = Matcher(executor, working, progress)
                options: dict[str, Any] = {"folder": working / "files", "match": match, "progress": progress}
                made = calibrated_filter(reid, reference, false_rejection_rate=rate, device=device, **options)
                made.write(screen)
            ours = read(screen, inputs["reid"], device)
            patients, facts = ours.patients, {"threshold": ours.threshold.to_json()}
            judging = executor.map([Judge(screen, inputs["reid"], folder, device)], files)
        verdicts: dict[Path, tuple[list[int], Verdict]] = {}
        for path, verdict in judging:
            if isinstance(verdict, Lost):
                raise StoppedError(f"workers died at {path} each time; too little memory for so many?")
            verdicts[path] = verdict
            progress("filter", len(verdicts), len(files))
        indices = [i for path in files for i in verdicts[path][0]]
        verdict = _joined([verdicts[path][1] for path in files])
        if not verdict.kept.any() and shard == WHOLE:
            raise DataError(
                f"{candidates}: all {len(indices)} candidates are too similar to a real patient (threshold "
                f"{verdict.threshold:.3f}); sample more, or train the LIDM on more patients or for fewer steps"
            )
        write_similarity(private, indices, verdict, patients)
        shutil.rmtree(working)
        facts = counts(verdict) | facts
        note(folder, privacy=facts)
    return {"kept": str(out), **facts}


@dataclass(frozen=True)
class Judge:
    """Work: judges the stills of a file and writes those that are nobody's."""

    screen: Path
    reid: Path
    folder: Path
    device: str = "auto"

    def start(self) -> Callable[[Path], tuple[list[int], Verdict]]:
        """Load filter and model."""
        found = read(self.screen, self.reid, self.device)
        return lambda path: _judged(path, found, self.folder)


def _judged(path: Path, heart_filter: Any, folder: Path) -> tuple[list[int], Verdict]:
    content = stills.read_shard(path)
    numbers, verdict = content["index"].tolist(), heart_filter.judge(content["latents"])
    kept = [n for n, keep in zip(numbers, verdict.kept.tolist(), strict=True) if keep]
    if kept:
        stills.write(folder, kept, content["latents"][verdict.kept])
    return numbers, verdict


def _joined(parts: Sequence[Verdict]) -> Verdict:
    kept, similarity, nearest = (torch.cat([getattr(p, n) for p in parts]) for n in ("kept", "similarity", "nearest"))
    return Verdict(kept, similarity, nearest, parts[0].threshold)


def _of_rule(theirs: PublishedFilter) -> dict[str, Any]:
    """What is said of the published rule."""
    return {
        "rule": "published",
        "threshold": {"value": theirs.threshold, "message": theirs.message},
        "false_rejection": asdict(theirs.false_rejection),
        "false_rejection_predicted": theirs.predicted,
        "says": theirs.message,
    }


def summary(threshold: Threshold, verdict: Verdict) -> dict[str, Any]:
    """What the filter did, without a name in it."""
    return counts(verdict) | {"threshold": threshold.to_json()}


def counts(verdict: Verdict) -> dict[str, Any]:
    """How many candidates there were and stayed."""
    return {
        "candidates": len(verdict.kept),
        "num_kept": int(verdict.kept.sum()),
        "rejection_rate": verdict.rejection_rate,
    }


def write_similarity(folder: Path, indices: Sequence[int], verdict: Verdict, patients: Sequence[str]) -> None:
    """Write every candidate's nearest real patient: for the custodian's eyes."""
    folder.mkdir(exist_ok=True)
    with whole(folder / "similarity.csv") as path, path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Still", "Similarity", "Kept", "NearestPatient"])
        for row in zip(
            indices, verdict.similarity.tolist(), verdict.kept.tolist(), verdict.nearest.tolist(), strict=True
        ):
            writer.writerow([row[0], f"{row[1]:.6f}", int(row[2]), patients[row[3]]])
