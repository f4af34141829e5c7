"""``echosyn withdraw``: a synthetic dataset without what is near to people who withdrew their consent."""

import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from echosyn import weights
from echosyn.data import filelist, lineage
from echosyn.data.records import Record
from echosyn.errors import ConfigError, DataError
from echosyn.pipeline.audit.read_videos import files_of, read_digests, refuse_other_size
from echosyn.pipeline.audit.screen_videos import BLOCK
from echosyn.pipeline.folder import new_folder, note, read_provenance
from echosyn.pipeline.privacy_filter.real_videos import RealVideos
from echosyn.pipeline.privacy_filter.screens import Screens
from echosyn.pipeline.trained_on import seen
from echosyn.pipeline.workers.compute import HERE, Compute
from echosyn.privacy.calibration import threshold_from_scores
from echosyn.privacy.closeness import Fusion
from echosyn.privacy.fingerprints import VECTORS
from echosyn.privacy.gallery import Gallery
from echosyn.privacy.screen import Screen
from echosyn.privacy.video_digests import VideoDigest
from echosyn.settings.judging import WithdrawSettings

Limit = tuple[Screen[Sequence[VideoDigest]], float]
"""A screen of one patient, and the score from which on a video is near."""


def withdraw(
    synthetic: Path,
    real: Path,
    out: Path,
    models: Mapping[str, Path],
    asked: WithdrawSettings,
    compute: Compute = HERE,
) -> dict[str, Any]:
    """Copy the videos that are no nearer to the patients than held-out patients are.

    Far more is dropped than the screen would reject: what is asked is not whether a video is a copy but whether it looks
    like this person more than ``1 - rate`` of held-out patients do. The result does not say who withdrew, but its difference
    from a set that was published before does: who has recordings of the person compares the videos that are gone. Decoys, drawn
    by the operating system, hide who of them it was, not that the person was among them; a fresh set hides both.

    Args:
        synthetic: dataset folder, also one of other software.
        real: dataset folder of the patients, those who withdrew still in it.
        out: new dataset folder.
        models: model folders by stage, ``vae`` and ``reid`` at least.
        asked: who withdrew, and how near is too near.
        compute: where.

    Raises:
        DataError: a patient is not in ``real``, or nothing would be left.
    """
    patients, too_close, rate = asked.exclude, asked.too_close, asked.rate
    if not patients and not too_close:
        raise ConfigError("nothing to remove: give --exclude PATIENT or --too-close")
    known = {r.patient for r in filelist.read(real)}
    if missing := sorted(set(patients) - known):
        raise DataError(f"{real}: has no patient {missing[0]!r}; expected names of its column PatientId or FileName")
    foreign = lineage.unrecorded(synthetic)
    if not foreign:
        lineage.required(synthetic, lineage.VIDEOS, "take videos out of")
    files, screens = files_of(synthetic), Screens.of(models, rate=rate)
    refuse_other_size(files, real)
    with new_folder(
        out, "withdraw", {"rate": rate, "too_close": too_close}, {"synthetic": synthetic, "real": real}
    ) as folder:
        working = folder / "work"
        shutil.rmtree(working, ignore_errors=True)
        archive, screen = screens.of_videos(real, None, working, compute)
        digests = read_digests(files, models["vae"], working, compute)
        left = [*patients, *_decoys(filelist.read(real), patients, asked.decoys)]
        limits = [_limit(archive, screen, patient, rate) for patient in left]
        near = np.concatenate(list(_near(screen, limits, digests, too_close)))
        kept = {path.stem for path, dropped in zip(files, near.tolist(), strict=True) if not dropped}
        records = [r for r in filelist.read(synthetic, extra=True) if r.name in kept]
        if not records:
            raise DataError(
                f"{synthetic}: all {len(files)} videos are too close to {'the withdrawn' if patients else 'real'} patients; "
                "generate a new set from models trained "
                + ("without them" if patients else "on more patients or for fewer steps")
            )
        shutil.rmtree(folder / filelist.VIDEOS, ignore_errors=True)
        (folder / filelist.VIDEOS).mkdir()
        index = filelist.VideoIndex(synthetic)
        for record in records:
            shutil.copyfile(index.path(record), folder / filelist.VIDEOS / index.path(record).name)
        filelist.write(folder, records)
        origin = {} if foreign else read_provenance(synthetic)
        shutil.rmtree(working)
        note(folder, origin={k: origin[k] for k in ("call", "privacy") if k in origin}, withdrawn=int(near.sum()))
    return {
        "dataset": str(out),
        "videos": len(records),
        "dropped": int(near.sum()),
        "saw them": ", ".join(sorted(s for s, m in models.items() if _saw(m, real, patients) is True)) or None,
        "may have seen them": ", ".join(sorted(s for s, m in models.items() if _saw(m, real, patients) is None))
        or None,
        "to do": "audit what is left"
        + ("; train the models that saw them again without them" if patients else "")
        + (
            "; if SYNTHETIC was published, publish a fresh set instead: the difference shows who withdrew"
            if patients
            else ""
        ),
    }


def _near(
    screen: Screen[Sequence[VideoDigest]], limits: Sequence[Limit], digests: Sequence[VideoDigest], too_close: bool
) -> Iterator[NDArray[np.bool_]]:
    """Which videos are nearer to a patient than the limit, or too close to anybody, by blocks."""
    for first in range(0, len(digests), BLOCK):
        items = list(screen.prints.of_queries(digests[first : first + BLOCK]))
        near = np.zeros(len(items), bool)
        if too_close:
            near |= screen.through(VECTORS).rejects(items).numpy()
        for alone, limit in limits:
            near |= alone.through(VECTORS).by_patient(items)[1][:, 0].numpy() >= limit
        yield near


def _decoys(records: Sequence[Record], patients: Sequence[str], each: int) -> list[str]:
    """So many TRAIN patients for each that withdrew, who did not, in no order that anybody could repeat.

    Raises:
        ConfigError: a negative number, or there are not as many.
    """
    others = sorted({r.patient for r in records if r.split == "TRAIN"} - set(patients))
    if not 0 <= each * len(patients) <= len(others):
        raise ConfigError(
            f"--decoys {each}: expected 0..{len(others) // max(1, len(patients))}, of {len(others)} other patients"
        )
    return secrets.SystemRandom().sample(others, each * len(patients))


def _limit(archive: RealVideos, screen: Screen[Sequence[VideoDigest]], patient: str, rate: float) -> Limit:
    """A screen of one patient, and the score that ``rate`` of the other held-out patients reach."""
    own: dict[str, Any] = {}
    for space, references in screen.gallery.references.items():
        rows = screen.gallery.owners[space].rows(patient)
        if len(rows):
            own[space] = references.rows[rows]
    spaces = list(screen.gallery.references)
    chosen = [spaces.index(space) for space in own]
    fusion = Fusion([screen.fusion.centre[i] for i in chosen], [screen.fusion.spread[i] for i in chosen])
    gallery = Gallery.joined(own, {space: [patient] * len(vectors) for space, vectors in own.items()})
    alone = replace(screen, gallery=gallery, fusion=fusion)
    others = [i for i in archive.held_out if archive.records[i].patient != patient]
    blocks = (others[start : start + BLOCK] for start in range(0, len(others), BLOCK))
    scores = [alone.by_patient([archive.digests[i] for i in block])[1][:, 0] for block in blocks]
    found = threshold_from_scores(
        torch.cat(scores).numpy() if scores else np.zeros(0),
        archive.patients(others),
        false_rejection_rate=rate,
    )
    return alone, min(found.value, screen.threshold.value)


def _saw(model: Path, real: Path, patients: Sequence[str]) -> bool | None:
    """Whether a model was trained on one of the patients; None if it does not say."""
    training = seen(weights.resolve(model))
    if training is None:
        return None
    return any(training.has(r) for r in filelist.read(real) if r.patient in patients)
