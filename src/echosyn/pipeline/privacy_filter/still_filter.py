"""The filter of invented hearts: whom a still looks like, and from where on it counts as a copy."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from echosyn import device as devices
from echosyn import weights
from echosyn.data import latents
from echosyn.errors import DataError
from echosyn.pipeline.privacy_filter.reference_frames import REFERENCE_STRIDE, References, of_latents
from echosyn.privacy import stored
from echosyn.privacy.calibration import Threshold
from echosyn.privacy.filtering import Verdict
from echosyn.privacy.fingerprints import StillPrints, Views, evenly
from echosyn.privacy.gallery import Gallery
from echosyn.privacy.matching import nearest
from echosyn.privacy.screening import SCALE_PATIENTS, Match, Screen, most_held_out, screen
from echosyn.progress import Progress, silent


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
    return Filter(StillPrints(lambda x: embed(model, x), centre), found, found.gallery.patients)


def calibrated(
    reid: Path,
    reference: Path,
    *,
    false_rejection_rate: float = 0.05,
    stride: int = REFERENCE_STRIDE,
    seed: int = 0,
    device: str = "auto",
    folder: Path | None = None,
    match: Match = nearest,
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
        folder: private, for the vectors, as long as the filter is used; None keeps them in memory.
        match: finds the best matches.
        progress: told how many videos are embedded.
    """
    settings: dict[str, Any] = {"false_rejection_rate": false_rejection_rate, "seed": seed, "match": match}
    model = load_reid(reid, reference, device)
    return of_references(model, of_latents(reference, stride), folder, progress=progress, **settings)


def of_references(
    model: Any,
    references: References,
    folder: Path | None = None,
    *,
    false_rejection_rate: float = 0.05,
    seed: int = 0,
    match: Match = nearest,
    progress: Progress = silent,
) -> Filter:
    """The filter of a re-identification model and the frames that it compares with; see `calibrated`."""
    train, owners = references.train, references.patients
    prints = StillPrints(lambda x: embed(model, x), _mean(train))

    def of_all() -> Iterator[Views]:
        for i, frames in enumerate(train):
            yield prints.of_references(frames)
            progress("embed", i + 1, len(train))

    gallery = Gallery.of(of_all(), owners, folder)
    scale = evenly(torch.arange(len(train)), SCALE_PATIENTS).tolist()
    middle = prints.of_stills(torch.stack([frames[len(frames) // 2] for frames in (train[i] for i in scale)]))
    found = screen(
        gallery,
        (middle, [owners[i] for i in scale]),
        _strangers(references, prints, most_held_out(false_rejection_rate)),
        false_rejection_rate=false_rejection_rate,
        seed=seed,
        match=match,
    )
    return Filter(prints, found, sorted(set(owners)))


def _mean(videos: Sequence[Tensor]) -> Tensor:
    """Mean frame ``(C, h, w)``."""
    total, num = torch.zeros(videos[0].shape[1:], dtype=torch.float64), 0
    for frames in videos:
        total, num = total + frames.double().sum(dim=0), num + len(frames)
    return (total / num).float()


def _strangers(references: References, prints: StillPrints, most: int) -> tuple[list[Views], list[str]]:
    """Frames of held-out videos as they are matched, and whose they are."""
    views: list[Views] = []
    owners: list[str] = []
    for i in evenly(torch.arange(len(references.held_out)), most).tolist():
        found = prints.of_stills(references.held_out[i])
        views += found
        owners += [references.held_out_patients[i]] * len(found)
    return views, owners


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


@torch.no_grad()
def embed(model: Any, frames: Tensor, batch_size: int = 256, *, scaled: bool = False) -> Tensor:
    """Embeddings ``(n, d)`` of latent frames ``(n, C, h, w)``, on the CPU; the one way in for real and synthetic.

    Frames that are ``scaled`` already are not scaled again.
    """
    device = next(model.parameters()).device
    embedding = model.features if scaled else model.embed

    def parts() -> Iterator[Tensor]:
        for part in frames.split(batch_size):
            yield embedding(part.to(device)).cpu()

    return torch.cat(list(parts())) if len(frames) else torch.zeros(0, model.config.embedding_size)
