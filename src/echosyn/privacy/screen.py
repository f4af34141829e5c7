"""The privacy screen: is an item closer to a real patient than held-out patients, whom no model saw, are?"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor

from echosyn.privacy import parts, registration
from echosyn.privacy.by_patient import nearest_of_each
from echosyn.privacy.calibration import Threshold, threshold_from_scores
from echosyn.privacy.closeness import UNLIKE, Fusion, Match, closeness, closest
from echosyn.privacy.fingerprints import VECTORS, Embed, Prints, StillPrints, VideoPrints, Views, evenly
from echosyn.privacy.gallery import Gallery
from echosyn.privacy.matching import nearest
from echosyn.privacy.registration import picture
from echosyn.privacy.video_digests import LazySequence, VideoDigest
from echosyn.progress import Progress, silent

SCALE_PATIENTS = 200
"""Training videos, evenly chosen, that set the scales of the spaces."""
HELD_OUT_VIDEOS = 2000
"""Held-out videos, evenly chosen, that set a threshold, at most; for rates below 1 in 200 it is ten over the rate."""

PICTURES_OF_EACH = {registration.SPACE: registration.registered_of_each, parts.SPACE: parts.parted_of_each}
"""Spaces whose vectors are compared in a way of their own."""

EMBEDDED_FRAMES = 128
"""Frames of stills that are embedded together: five times as fast as one by one."""

Items = TypeVar("Items")
Others = TypeVar("Others")
Owned = tuple[Sequence[Views], Sequence[str]]
"""Views of items, and the patient of each."""


@dataclass(frozen=True, eq=False)
class ScreeningResult:
    """What a screen decided on items. All but the number of kept ones is private."""

    kept: Tensor
    """Bool ``(n,)``."""
    score: Tensor
    """See `echosyn.privacy.closeness.Fusion`, float64 ``(n,)``."""
    space: Sequence[str]
    """In which each item comes closest."""
    nearest: Sequence[str | None]
    """The patient it is closest to."""

    @classmethod
    def joined(cls, parts: Sequence["ScreeningResult"]) -> "ScreeningResult":
        """What was decided on all items of at least one part."""
        kept, score = (torch.cat([getattr(part, name) for part in parts]) for name in ("kept", "score"))
        return cls(kept, score, [s for part in parts for s in part.space], [n for part in parts for n in part.nearest])

    @property
    def rejection_rate(self) -> float:
        """Share of the items that are rejected; 0 when there is none."""
        return int((~self.kept).sum()) / len(self.kept) if len(self.kept) else 0.0


@dataclass(frozen=True, eq=False)
class Screen(Generic[Items]):
    """A gallery with a calibrated threshold, and how the items that it judges become vectors."""

    gallery: Gallery
    fusion: Fusion
    threshold: Threshold
    held_out: Tensor
    """Scores of the held-out items, float64 ``(n,)``."""
    held_out_patients: Sequence[str]
    prints: Prints[Items]

    def judge(self, items: Items, patients: Sequence[str] | None = None) -> ScreeningResult:
        """Reject each item whose score is at least the threshold; references of ``patients`` are skipped."""
        views = self.prints.of_queries(items)
        if not len(views):
            return ScreeningResult(torch.zeros(0, dtype=torch.bool), torch.zeros(0), [], [])
        found = closeness(views, self.gallery, patients)
        each = self.fusion.by_space(found.similarity)
        score, space = each.max(dim=1)
        chosen = space.tolist()
        return ScreeningResult(
            score < self.threshold.value,
            score,
            [found.spaces[s] for s in chosen],
            [found.nearest[s][i] for i, s in enumerate(chosen)],
        )

    def rejects(self, items: Items) -> Tensor:
        """Whether each item is rejected, as `judge` says, bool ``(n,)``.

        A space is asked only about items that no space before it rejects, the dear ones last (ADR 99).
        """
        views = list(self.prints.of_queries(items))
        rejected = torch.zeros(len(views), dtype=torch.bool)
        for s, space in enumerate(self.gallery.references):
            left = (~rejected).nonzero()[:, 0]
            similarity, _ = closest([views[i] for i in left.tolist()], space, self.gallery)
            rejected[left] = self.fusion.in_space(torch.from_numpy(similarity), s) >= self.threshold.value
        return rejected

    def by_patient(self, items: Items) -> tuple[list[str], Tensor, ScreeningResult]:
        """Every patient, sorted; the score of each item against each, float64 ``(n, patients)``; what `judge` says of them."""
        views, names = list(self.prints.of_queries(items)), self.gallery.patients
        place = {name: i for i, name in enumerate(names)}
        score = torch.full((len(views), len(names)), -torch.inf, dtype=torch.float64)
        spaces = [""] * len(views)
        for s, (space, references) in enumerate(self.gallery.references.items()):
            find = PICTURES_OF_EACH.get(space, nearest_of_each)
            present, found = find([view[space] for view in views], references, self.gallery.owners[space])
            similarity = torch.full((len(views), len(names)), UNLIKE)
            similarity[:, [place[name] for name in present]] = found
            found = self.fusion.in_space(similarity, s)
            closer = (found.amax(dim=1) > score.amax(dim=1)).tolist()
            spaces = [space if new else old for new, old in zip(closer, spaces, strict=True)]
            score = score.maximum(found)
        best, nearest_one = score.max(dim=1)
        named = [names[i] for i in nearest_one.tolist()]
        return names, score, ScreeningResult(best < self.threshold.value, best, spaces, named)

    def through(self, prints: Prints[Others]) -> "Screen[Others]":
        """The same screen for items that become vectors in another way; `echosyn.privacy.fingerprints.VECTORS` for vectors."""
        return Screen(self.gallery, self.fusion, self.threshold, self.held_out, self.held_out_patients, prints)


@dataclass(frozen=True)
class Calibration:
    """How a screen is calibrated."""

    false_rejection_rate: float = 0.05
    """Of items of held-out patients, in 0..1."""
    folder: Path | None = None
    """Private, for the vectors, as long as the screen is used; None keeps them in memory."""
    match: Match = nearest
    """Finds the best matches."""
    progress: Progress = silent
    """Told how many videos are embedded."""


def vector_screen(
    gallery: Gallery, train: Owned, held_out: Owned, how: Calibration = Calibration()
) -> Screen[Sequence[Views]]:
    """Calibrate: scale by training patients, threshold by held-out patients, each compared with the others' references.

    Args:
        gallery: References, of whichever splits; candidates will be compared with all of them.
        train: Items of training patients.
        held_out: Items of held-out patients.
        how: Its folder and progress are not used.

    Raises:
        DataError: No held-out item, or what `echosyn.privacy.closeness.closeness` refuses.
    """
    scale = train if len(gallery.patients) > 1 else ([], [])
    fusion = Fusion.of(closeness(scale[0], gallery, scale[1], how.match).similarity)
    scores = fusion.score(closeness(held_out[0], gallery, held_out[1], how.match).similarity)
    threshold = threshold_from_scores(scores.numpy(), held_out[1], false_rejection_rate=how.false_rejection_rate)
    return Screen(gallery, fusion, threshold, scores, list(held_out[1]), VECTORS)


@dataclass(frozen=True, eq=False)
class References:
    """Latent frames ``(n, C, h, w)`` of each video, in memory or read when they are asked for, and whose each video is."""

    train: Sequence[Tensor]
    patients: Sequence[str]
    held_out: Sequence[Tensor]
    held_out_patients: Sequence[str]
    vae: str | None
    """Hash of the weights of the VAE that made them."""


def still_screen(references: References, embed: Embed, how: Calibration = Calibration()) -> Screen[Tensor]:
    """The screen of latent stills ``(n, C, h, w)``: frames of TRAIN videos are compared with, held-out ones set the threshold.

    Args:
        references: Frames of both.
        embed: The re-identification network.
        how: Calibration.
    """
    train, owners = references.train, references.patients
    prints = StillPrints(embed, _mean(train))
    gallery = Gallery.of(_embedded(prints, train, how.progress), owners, how.folder)
    scale = _some(len(train), SCALE_PATIENTS)
    middle = prints.of_queries(torch.stack([frames[len(frames) // 2] for frames in (train[i] for i in scale)]))
    held_out: list[tuple[Views, str]] = []
    for i in _some(len(references.held_out), most_held_out(how.false_rejection_rate)):
        held_out += [(view, references.held_out_patients[i]) for view in prints.of_queries(references.held_out[i])]
    views, patients = [view for view, _ in held_out], [patient for _, patient in held_out]
    return vector_screen(gallery, (middle, [owners[i] for i in scale]), (views, patients), how).through(prints)


def video_screen(
    digests: Sequence[VideoDigest],
    patients: Sequence[str],
    is_train: Sequence[bool],
    embed: Embed,
    how: Calibration = Calibration(),
) -> Screen[Sequence[VideoDigest]]:
    """The screen of finished videos: every real video is compared with, held-out ones set the threshold.

    Args:
        digests: Of the real videos, taken as they are needed.
        patients: Whose each is.
        is_train: Whether it is in TRAIN.
        embed: The re-identification network.
        how: Calibration.
    """
    sides = [[i for i, train in enumerate(is_train) if train is side] for side in (True, False)]
    prints = VideoPrints(embed, _mean(picture(digests[i].thumbnails)[None] for i in sides[0]))

    def references() -> Iterator[Views]:
        for i, digest in enumerate(digests):
            yield prints.of_reference(digest)
            how.progress("embed", i + 1, len(digests))

    gallery = Gallery.of(references(), patients, how.folder)

    def queries(positions: Sequence[int], num: int) -> Owned:
        chosen = [positions[i] for i in _some(len(positions), num)]
        return prints.of_queries(LazySequence(len(chosen), lambda i: digests[chosen[i]])), [patients[i] for i in chosen]

    train, held_out = queries(sides[0], SCALE_PATIENTS), queries(sides[1], most_held_out(how.false_rejection_rate))
    return vector_screen(gallery, train, held_out, how).through(prints)


def scale_videos(is_train: Sequence[bool]) -> list[int]:
    """Positions of the TRAIN videos that `video_screen` compares with others: every frame of them should be looked at."""
    train = [i for i, of_train in enumerate(is_train) if of_train]
    return [train[i] for i in _some(len(train), SCALE_PATIENTS)]


def most_held_out(false_rejection_rate: float) -> int:
    """How many held-out videos may set a threshold for that rate: more would make calibration longer and hardly better.

    With 2,000 patients a rejection rate of 5 % is known to about 1 % (95 % interval). If there are fewer, all are used.
    """
    return max(HELD_OUT_VIDEOS, math.ceil(10 / false_rejection_rate))


def _some(total: int, num: int) -> list[int]:
    """So many positions, evenly chosen."""
    chosen: list[int] = evenly(torch.arange(total), num).tolist()
    return chosen


def _mean(videos: Iterable[Tensor]) -> Tensor:
    """Mean frame of videos ``(n, ...)``, at least one."""
    total, num = torch.zeros(()), 0
    for frames in videos:
        total, num = total + frames.double().sum(dim=0), num + len(frames)
    return (total / num).float()


def _embedded(prints: StillPrints, videos: Sequence[Tensor], progress: Progress) -> Iterator[Views]:
    """Of each video; short ones are embedded together."""
    waiting: list[Tensor] = []
    for i in range(len(videos)):
        waiting.append(videos[i])
        if sum(map(len, waiting)) >= EMBEDDED_FRAMES or i + 1 == len(videos):
            yield from prints.of_references(waiting)
            waiting.clear()
            progress("embed", i + 1, len(videos))
