"""``echosyn filter``: throw away the hearts that are a real patient's."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from echosyn import device as devices
from echosyn import weights
from echosyn.data import latents, stills
from echosyn.errors import ConfigError, DataError, StoppedError
from echosyn.pipeline.calibrated import RATE, STILLS, Calibrated, opened, refuse_both
from echosyn.pipeline.executing import Executor, InProcess, Lost
from echosyn.pipeline.folder import new_folder, note
from echosyn.pipeline.progress import Progress, silent
from echosyn.pipeline.references import REFERENCE_STRIDE, References, of_latents
from echosyn.pipeline.sharding import WHOLE, Shard
from echosyn.privacy import stored
from echosyn.privacy.calibration import Threshold
from echosyn.privacy.filtering import Verdict
from echosyn.privacy.fingerprints import StillPrints, evenly
from echosyn.privacy.screening import Gallery, Screen, screen

SCALE_PATIENTS = 200
"""Training videos, evenly chosen, that set the scales of the spaces."""


@dataclass(frozen=True, eq=False)
class Filter:
    """A calibrated filter of stills: what candidates are compared with, and from where on they count as copies."""

    fingerprints: StillPrints
    screen: Screen
    patients: list[str]
    """The real patients, sorted."""

    @property
    def threshold(self) -> Threshold:
        """From where on a candidate is rejected."""
        return self.screen.threshold

    def judge(self, candidates: Tensor) -> Verdict:
        """The verdict on latent stills ``(n, C, h, w)``."""
        found = self.screen.judge(self.fingerprints.of_stills(candidates))
        whose = torch.tensor([self.patients.index(str(name)) for name in found.nearest], dtype=torch.int64)
        return Verdict(found.kept, found.score.float(), whose, self.threshold.value)

    def write(self, path: Path) -> None:
        """For workers, see `read`."""
        stored.write(path, self.screen, self.fingerprints.centre)


def read(path: Path, reid: Path, device: str = "auto") -> Filter:
    """The filter that `Filter.write` wrote."""
    found, centre = stored.read(path)
    model = weights.load(reid, "reid").to(devices.resolve(device))
    owners = {owner for names in found.gallery.owners.values() for owner in names}
    return Filter(StillPrints(lambda x: embed(model, x), centre), found, sorted(owners))


def calibrated(
    reid: Path,
    reference: Path,
    *,
    false_rejection_rate: float = 0.05,
    stride: int = REFERENCE_STRIDE,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
) -> Filter:
    """Build the filter: TRAIN frames are the references; VAL and TEST patients, whom no model saw, set the threshold.

    Args:
        reid: model folder of the re-identification model.
        reference: latents folder of the real videos.
        false_rejection_rate: how often an innocent heart may be rejected.
        stride: every n-th frame of a real video counts.
        seed: of the interval's bootstrap.
        device: where to compute.
        progress: told how many videos are embedded.
    """
    model = load_reid(reid, reference, device)
    return of_references(
        model, of_latents(reference, stride, progress), false_rejection_rate=false_rejection_rate, seed=seed
    )


def of_references(model: Any, references: References, *, false_rejection_rate: float = 0.05, seed: int = 0) -> Filter:
    """The filter of a re-identification model and the frames that it compares with."""
    train = references.train
    prints = StillPrints(lambda x: embed(model, x), torch.cat(list(train)).mean(dim=0))
    gallery = Gallery.of([prints.of_references(f) for f in train], references.patients)
    middle = evenly(torch.arange(len(train)), SCALE_PATIENTS).tolist()
    scale = prints.of_stills(torch.stack([train[i][len(train[i]) // 2] for i in middle]))
    owners = [p for p, s in zip(references.held_out_patients, references.held_out, strict=True) for _ in s]
    found = screen(
        gallery,
        (scale, [references.patients[i] for i in middle]),
        (prints.of_stills(torch.cat(list(references.held_out))), owners),
        false_rejection_rate=false_rejection_rate,
        seed=seed,
    )
    return Filter(prints, found, sorted(set(references.patients)))


def load_reid(reid: Path, reference: Path, device: str = "auto") -> Any:
    """The re-identification model, for latents of the VAE it was trained on.

    Raises:
        DataError: the latents come from another VAE.
    """
    return reid_for(reid, latents.info(reference).get("vae"), str(reference), device)


def reid_for(reid: Path, vae: object, whose: str, device: str = "auto") -> Any:
    """As `load_reid`, for latents named ``whose`` that the VAE with this hash made."""
    facts = weights.load_facts(weights.resolve(reid))
    if facts.vae not in (None, vae):
        raise DataError(
            f"{whose}: its latents come from another VAE than those that {reid} was trained on; encode the dataset with "
            "the VAE of the same models"
        )
    return weights.load(weights.resolve(reid), "reid").to(devices.resolve(device))


def filter_stills(
    candidates: Path,
    out: Path,
    *,
    reid: Path,
    reference: Path | None = None,
    calibrated: Path | None = None,
    rule: Literal["calibrated", "published"] = "calibrated",
    false_rejection_rate: float | None = None,
    device: str = "auto",
    executor: Executor | None = None,
    shard: Shard = WHOLE,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Write the stills that are nobody's into a new folder.

    The similarity of every candidate and its nearest patient go to ``private/similarity.csv`` below ``out``: it names
    real patients and must stay in the house. ``rule="published"`` is there for comparison; see
    `echosyn.pipeline.published_filter`. ``calibrated`` is a folder of `echosyn.pipeline.calibrate.calibrate`, instead of
    ``reference`` and ``false_rejection_rate``; it changes nothing else.
    """
    refuse_both(calibrated, reference=reference, false_rejection_rate=false_rejection_rate)
    if calibrated is not None and rule != "calibrated":
        raise ConfigError(f"--calibrated {calibrated} is not of the rule {rule!r}, which needs --reference")
    files = shard.of(stills.shards(candidates))
    if not files:
        raise ConfigError(f"--shard {shard.number}/{shard.count}: {candidates} has fewer files than there are shards")
    earlier = opened(calibrated, {"reid": reid}) if calibrated else None
    rate = RATE if false_rejection_rate is None else false_rejection_rate
    rate = earlier.rate if earlier else rate
    heart_filter, facts = _chosen(rule, reid, earlier or reference, rate, device, progress)
    settings: dict[str, Any] = {"false_rejection_rate": rate, "stride": REFERENCE_STRIDE}
    settings |= {} if rule == "calibrated" else {"rule": rule}
    inputs = {"candidates": candidates, "reid": weights.resolve(reid)} | ({"reference": reference} if reference else {})
    hashes = {name: said for name, said in earlier.hashes.items() if name != "real"} if earlier else {}
    with new_folder(out, "filter", settings, inputs, hashes=hashes, shard=shard) as folder:
        private = folder / "private"
        private.mkdir(exist_ok=True)
        screen = private / "screen"
        if isinstance(heart_filter, Filter):
            if earlier is None:
                heart_filter.write(screen)
            judge = Judge(earlier.folder / STILLS if earlier else screen, inputs["reid"], folder, device)
            judging = (executor or InProcess.of(device)).map([judge], files)
        else:
            judging = ((path, _judged(path, heart_filter, folder)) for path in files)
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
        write_similarity(private, indices, verdict, heart_filter.patients)
        screen.unlink(missing_ok=True)
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


def _chosen(
    rule: str, reid: Path, source: Calibrated | Path | None, rate: float, device: str, progress: Progress
) -> tuple[Any, dict[str, Any]]:
    """The filter of a rule, and what to say of it; from what `calibrate` wrote, or from latents."""
    if source is None:
        raise ConfigError("whom are the hearts compared with? Give --reference, or --calibrated")
    if isinstance(source, Calibrated):
        known = read(source.folder / STILLS, weights.resolve(reid), device)
        return known, {"threshold": known.threshold.to_json()}
    if rule == "calibrated":
        ours = calibrated(reid, source, false_rejection_rate=rate, device=device, progress=progress)
        return ours, {"threshold": ours.threshold.to_json()}
    from echosyn.pipeline.published_filter import published

    theirs = published(reid, source, device)
    said = {"value": theirs.threshold, "message": theirs.message}
    return theirs, {
        "rule": rule,
        "threshold": said,
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
    with (folder / "similarity.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Still", "Similarity", "Kept", "NearestPatient"])
        for row in zip(
            indices, verdict.similarity.tolist(), verdict.kept.tolist(), verdict.nearest.tolist(), strict=True
        ):
            writer.writerow([row[0], f"{row[1]:.6f}", int(row[2]), patients[row[3]]])


@torch.no_grad()
def embed(model: Any, frames: Tensor, batch_size: int = 256) -> Tensor:
    """Embeddings ``(n, d)`` of latent frames ``(n, C, h, w)``, on the CPU; the one way in for real and synthetic."""
    device = next(model.parameters()).device

    def parts() -> Iterator[Tensor]:
        for part in frames.split(batch_size):
            yield model.embed(part.to(device)).cpu()

    return torch.cat(list(parts())) if len(frames) else torch.zeros(0, model.config.embedding_size)
