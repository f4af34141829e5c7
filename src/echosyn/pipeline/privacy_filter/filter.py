"""``echosyn filter``: drop the samples that match a real patient."""

import csv
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from echosyn import device as devices
from echosyn import weights
from echosyn.data import filelist, latents, stills
from echosyn.errors import ConfigError, DataError, StoppedError
from echosyn.files import whole
from echosyn.nn.siamese import min_max
from echosyn.pipeline.folder import new_folder, note
from echosyn.pipeline.given_stills import as_stills, numbered
from echosyn.pipeline.models import embed
from echosyn.pipeline.privacy_filter import reference_frames
from echosyn.pipeline.privacy_filter.screens import STILLS, Screens, refuse_both
from echosyn.pipeline.workers.compute import HERE, Compute
from echosyn.pipeline.workers.executors import Lost
from echosyn.pipeline.workers.shards import WHOLE
from echosyn.privacy import stored
from echosyn.privacy.fingerprints import Vectors
from echosyn.privacy.published_rule import PublishedRule
from echosyn.privacy.screen import Screen, ScreeningResult
from echosyn.settings.making import FilterSettings


def filter_stills(
    candidates: Path, out: Path, reid: Path, asked: FilterSettings, compute: Compute = HERE
) -> dict[str, Any]:
    """Write the stills that match no real patient into a new folder.

    The similarity of every candidate and its nearest patient go to ``private/similarity.csv`` below ``out``: it names
    real patients and must stay in the house. ``rule="published"`` is there for comparison; see
    `echosyn.privacy.published_rule`. ``calibrated`` is a folder of
    `echosyn.pipeline.privacy_filter.calibrate.calibrate`, instead of ``reference`` and ``false_rejection_rate``; it
    changes nothing else.
    """
    reference, calibrated, rule = asked.reference, asked.calibrated, asked.rule
    rate, shard = asked.false_rejection_rate, compute.shard
    refuse_both(calibrated, reference=reference, false_rejection_rate=rate)
    if calibrated is not None and rule != "calibrated":
        raise ConfigError(f"--calibrated {calibrated} is not of the rule {rule!r}, which needs --reference")
    if asked.percentile is not None and rule != "published":
        raise ConfigError(f"--percentile {asked.percentile:g}: only the published rule has one: give --rule published")
    percentile = 95.0 if asked.percentile is None else asked.percentile
    if not 0 <= percentile <= 100:
        raise ConfigError(f"--percentile {percentile:g}: expected 0..100")
    numbered(candidates)  # a folder without stills is told of before anything is written
    if reference is None and calibrated is None:
        raise ConfigError("nothing to compare the samples with: give --reference or --calibrated")
    screens = Screens.opened(calibrated, {"reid": reid}) if calibrated else Screens.of({"reid": reid}, reference, rate)
    settings: dict[str, Any] = {"false_rejection_rate": screens.rate, "stride": reference_frames.REFERENCE_STRIDE}
    settings |= {} if rule == "calibrated" else {"rule": rule, "percentile": percentile}
    inputs = {"candidates": candidates, "reid": screens.reid} | ({"reference": reference} if reference else {})
    hashes = {name: said for name, said in screens.hashes.items() if name != "real"}
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
        judging: Iterator[tuple[Path, Any]]
        if reference is not None and rule == "published":
            theirs = _published(screens, reference, every, percentile, compute.device)
            facts: dict[str, Any] = {
                "rule": "published",
                "threshold": {"value": theirs.threshold, "message": theirs.message},
                "false_rejection": asdict(theirs.false_rejection),
                "false_rejection_predicted": theirs.predicted,
                "says": theirs.message,
            }
            judging = ((path, _judged(path, theirs, folder)) for path in files)
        else:
            if reference is not None:
                screens = replace(screens, folder=working)
                references = reference_frames.of_latents(reference)
                stored.write(working / STILLS, screens.of_stills(references, compute, working / "files"))
            facts = {"threshold": stored.read(screens.path(STILLS), Vectors).threshold.to_json()}
            judging = compute.workers().map([Judge(screens, folder, compute.device)], files)
        verdicts: dict[Path, tuple[list[int], ScreeningResult]] = {}
        for path, verdict in judging:
            if isinstance(verdict, Lost):
                raise StoppedError(
                    f"workers died repeatedly on {path}, perhaps out of memory; reduce --workers and run the same command again"
                )
            verdicts[path] = verdict
            compute.progress("filter", len(verdicts), len(files))
        indices = [i for path in files for i in verdicts[path][0]]
        verdict = ScreeningResult.joined([verdicts[path][1] for path in files])
        if not verdict.kept.any() and shard == WHOLE:
            raise DataError(
                f"{candidates}: all {len(indices)} candidates are too similar to a real patient (threshold "
                f"{facts['threshold']['value']:.3f}); sample more, or train the LIDM on more patients or for fewer steps"
            )
        write_similarity(private, indices, verdict)
        shutil.rmtree(working)
        counts = {"candidates": len(indices), "num_kept": int(verdict.kept.sum())}
        facts = counts | {"rejection_rate": verdict.rejection_rate} | facts
        note(folder, privacy=facts)
    return {"kept": str(out), **facts}


@dataclass(frozen=True)
class Judge:
    """Work: judges the stills of a file and writes those that match no real patient."""

    screens: Screens
    folder: Path
    device: str = "auto"

    def start(self) -> Callable[[Path], tuple[list[int], ScreeningResult]]:
        """Load screen and model."""
        screen = self.screens.stills(self.device)
        return lambda path: _judged(path, screen, self.folder)


def _published(
    screens: Screens, reference: Path, candidates: Sequence[Path], percentile: float, device: str
) -> PublishedRule:
    """The published rule of a latents folder.

    Latents are scaled to -1..1 as published: a real frame by the extremes of its video, a synthetic still by those of
    all candidates.
    """
    latents.info(reference)
    records = filelist.read(reference)
    model = weights.load(screens.reid, "reid").to(devices.resolve(device))
    scaled = model.config.normalize
    embedded = partial(embed, model, scaled=True)

    def first(position: int) -> Tensor:
        video = latents.read(reference, records[position])
        whole_video = min_max(video.flatten(0, 1)[None])[0] if scaled else video.flatten(0, 1)
        return whole_video[: video.shape[1]]

    splits, patients = [r.split for r in records], [r.patient for r in records]
    rule = PublishedRule.of(splits, patients, first, embedded, percentile)
    if rule is None:
        raise DataError(
            f"{reference}: lacks TRAIN, VAL or TEST videos; the published rule needs TRAIN, TEST and, to be tried on, VAL"
        )
    each = [torch.aminmax(stills.read_shard(path)["latents"]) for path in candidates]
    low, high = min(float(one.min) for one in each), max(float(one.max) for one in each)
    across = max(high - low, 1e-8)
    return replace(rule, embed=lambda items: embedded((items - low) / across * 2 - 1 if scaled else items))


def _judged(path: Path, screen: Screen[Tensor] | PublishedRule, folder: Path) -> tuple[list[int], ScreeningResult]:
    content = stills.read_shard(path)
    numbers, verdict = content["index"].tolist(), screen.judge(content["latents"])
    kept = [n for n, keep in zip(numbers, verdict.kept.tolist(), strict=True) if keep]
    if kept:
        stills.write(folder, kept, content["latents"][verdict.kept])
    return numbers, verdict


def write_similarity(folder: Path, indices: Sequence[int], verdict: ScreeningResult) -> None:
    """Write every candidate's nearest real patient: for the custodian's eyes."""
    folder.mkdir(exist_ok=True)
    rows = zip(indices, verdict.score.float().tolist(), verdict.kept.tolist(), verdict.nearest, strict=True)
    with whole(folder / "similarity.csv") as path, path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Still", "Similarity", "Kept", "NearestPatient"])
        writer.writerows([number, f"{score:.6f}", int(kept), patient] for number, score, kept, patient in rows)
