"""``echosyn audit``: is any of these videos a real patient's, and what do attacks learn from them?"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from echosyn import device as devices
from echosyn import weights
from echosyn.data import checksum, filelist, video
from echosyn.data.records import Record
from echosyn.pipeline.audit import criteria, membership, pages, positive_controls
from echosyn.pipeline.audit.criteria import LINKED, Findings
from echosyn.pipeline.audit.read_videos import files_of, labels_of, read_digests, refuse_other_size
from echosyn.pipeline.audit.screen_videos import compared
from echosyn.pipeline.folder import new_folder, read_provenance, write_json
from echosyn.pipeline.models import codec
from echosyn.pipeline.privacy_filter.real_videos import RealVideos, frames_of
from echosyn.pipeline.privacy_filter.screens import Screens, by_group
from echosyn.pipeline.publish.audit_gate import CANARIES
from echosyn.pipeline.trained_on import refuse_both_sides, refuse_seen
from echosyn.pipeline.workers.compute import HERE, Compute
from echosyn.privacy.attacks import singling_out
from echosyn.privacy.calibration import needed_patients
from echosyn.privacy.patient_matches import Exposure, Sides
from echosyn.privacy.positive_controls import DENSE
from echosyn.privacy.rejections import GroupRate
from echosyn.privacy.screen import Screen, ScreeningResult
from echosyn.privacy.shadow_attacks import refuse_odd
from echosyn.privacy.video_digests import REFERENCE_EVERY, VideoDigest
from echosyn.settings.judging import AuditSettings

FAILED = 3
"""Exit code when a criterion fails."""


@dataclass(frozen=True, eq=False)
class Compared:
    """The videos of an audit, and the screen between them."""

    real: Path
    archive: RealVideos
    screens: Screens
    screen: Screen[Sequence[VideoDigest]]
    """Of finished videos."""
    files: Sequence[Path]
    """The synthetic videos."""
    digests: Sequence[VideoDigest]
    """What is seen of them."""
    labels: Sequence[Record | None]
    """What the set says of them."""


def audit(
    synthetic: Path,
    real: Path,
    out: Path,
    models: Mapping[str, Path],
    asked: AuditSettings,
    compute: Compute = HERE,
) -> dict[str, Any]:
    """Write a folder with what was found: ``audit.json``, pages, and tables for the custodian alone.

    Equal inputs give equal files.

    Args:
        synthetic: dataset folder; every video in it is audited, listed or not.
        real: dataset folder of the patients, with TRAIN and held-out (VAL, TEST) videos.
        out: new folder. ``public.json`` and ``public.html`` may be shared; all else is private.
        models: model folders by stage: ``vae`` and ``reid``; with ``lidm`` and ``lvdm`` their weights are attacked too.
        asked: how thoroughly.
        compute: where, and who reads the videos and compares them. Nothing that is found depends on it.

    Returns:
        ``verdict`` (``pass`` or ``fail``), the criteria that failed, and headline figures.

    Raises:
        ConfigError: that number of shadow models cannot have every patient in half of them.
        DataError: there is nothing to audit, or it is of another size, or a model was trained on held-out patients.
    """
    rate, seed = asked.false_rejection_rate, asked.seed
    refuse_odd(asked.shadow_models)
    folders = {stage: weights.resolve(path) for stage, path in models.items()}
    records = filelist.read(real)
    refuse_both_sides(real, records)
    quiet = refuse_seen(folders.values(), [r for r in records if r.split != "TRAIN"])
    files, screens = files_of(synthetic), Screens.of(folders, rate=rate)
    refuse_other_size(files, real)
    settings = {"rate": rate, "canaries": asked.canaries, "seed": seed, "shadow_models": asked.shadow_models}
    with new_folder(out, "audit", settings, {"synthetic": synthetic, "real": real, **folders}, keep=True) as folder:
        (folder / "private").mkdir(exist_ok=True)
        working = folder / "private" / "work"
        shutil.rmtree(working, ignore_errors=True)
        working.mkdir()
        archive, screen = screens.of_videos(real, None, working, compute)
        digests = read_digests(files, folders["vae"], working, compute)
        sets = Compared(real, archive, screens, screen, files, digests, labels_of(synthetic, files))
        sides = Sides.drawn(membership.by_patient(archive)[1], seed=seed)
        judged, exposure = compared(screen, sets.digests, sides, compute.workers(), working, compute.progress)
        found = _findings(sets, (judged, exposure), sides, folders, asked, len(quiet), compute)
        checked = criteria.checked(found)
        summary = criteria.public(found, checked, checksum.videos_hash(synthetic))
        _write(folder, summary, sets, judged, exposure, found.groups)
        shutil.rmtree(working)
    crossed = [criterion.name for criterion in checked if not criterion.holds]
    risk = max(r.main.high for r in found.risks.values())
    return {
        "audit": str(out / "audit.json"),
        "verdict": "cannot say" if summary["conclusions"]["videos"] == "cannot say" else summary["verdict"],
        "videos are": summary["conclusions"]["videos"],
        "weights are": summary["conclusions"]["weights"],
        "crossed": ", ".join(crossed) or None,
        "videos": len(files),
        "videos too close": found.flagged,
        "risk, upper end": risk,
        "published rule rejects innocents": found.published and found.published.false_rejection.value,
        "innocents rejected": found.false_rejection.rate.value,
    }


def foreseen(records: Sequence[Record], asked: AuditSettings) -> list[str]:
    """Why an audit against these recordings can only end in *cannot say*, by the counts alone."""
    held_out, train = ({r.patient for r in records if (r.split == "TRAIN") == side} for side in (False, True))
    needed, planted = needed_patients(asked.false_rejection_rate), min(asked.canaries, len(train))
    found = []
    if len(held_out) < needed:
        found.append(f"{len(held_out)} held-out patients (VAL, TEST), expected at least {needed}")
    if planted < CANARIES:
        found.append(
            f"{planted} positive controls of a kind, expected at least {CANARIES}: more TRAIN patients or --canaries"
        )
    return found


def _findings(
    sets: Compared,
    matches: tuple[ScreeningResult, Exposure],
    sides: Sides,
    models: Mapping[str, Path],
    asked: AuditSettings,
    quiet: int,
    compute: Compute,
) -> Findings:
    """All numbers."""
    judged, exposure = matches
    archive, screen, seed, progress = sets.archive, sets.screen, asked.seed, compute.progress
    device = devices.resolve(compute.device)
    encoder = codec(models["vae"], device)
    names, is_train, _ = membership.by_patient(archive)
    split = dict(zip(names, is_train.tolist(), strict=True))
    index = filelist.VideoIndex(sets.real)
    planted = [archive.records[i] for i in positive_controls.chosen(archive, asked.canaries)]
    redraw = positive_controls.redrawing(models["lidm"], device, seed) if "lidm" in models else None
    caught = positive_controls.plant(
        screen,
        [frames_of(index.path(r), DENSE) for r in planted],
        encoder,
        redraw=redraw,
        relay=positive_controls.relaying(models["vae"], encoder),
        seed=seed,
        progress=progress,
    )
    attacks = membership.on_videos(archive, sets.digests, exposure.highest, screen.prints.centre[0], seed)
    promise = weights.load_facts(models["lidm"]).differential_privacy if "lidm" in models else None
    if "lidm" in models:
        progress("attack the image model", 0, 1)
        attacks += membership.on_images(
            models["lidm"], sets.real, archive, encoder, device, seed, asked.shadow_models, progress
        )
    if "lvdm" in models:
        progress("attack the video model", 0, 1)
        attacks += membership.on_motion(models["lvdm"], sets.real, archive, encoder, device, seed)
    return Findings(
        num_videos=len(sets.digests),
        flagged=int((~judged.kept).sum()),
        threshold=screen.threshold,
        false_rejection=positive_controls.false_rejection(
            screen, {r.patient: r.split for r in reversed(archive.records)}, seed
        ),
        published=positive_controls.published_rule(archive, sets.screens.embed(compute.device)),
        controls=caught,
        risks={"singling-out": singling_out(exposure, sides)},
        attacks=attacks,
        num_train=int(is_train.sum()),
        num_held_out=len(names) - int(is_train.sum()),
        silent_models=quiet,
        groups=by_group(screen, archive.records),
        guesses={LINKED: membership.linked(archive, sets.digests)}
        | membership.inferred(archive, exposure.nearest, sets.labels),
        tails={
            needs: membership.tails([a for a in attacks if a.needs == needs], split) for needs in ("videos", "weights")
        },
        promise=promise,
        leaked=membership.leaked(attacks, split, promise, seed),
    )


def _write(
    folder: Path,
    summary: Mapping[str, Any],
    sets: Compared,
    judged: ScreeningResult,
    exposure: Exposure,
    groups: Sequence[GroupRate],
) -> None:
    """Everything but the provenance, which is there."""
    names, is_train, _ = membership.by_patient(sets.archive)
    threshold = sets.screen.threshold.value
    write_json(folder / "public.json", summary)
    shown = pages.sections(summary)
    pages.write_public(summary, shown, folder / "public.html")
    private = {"too_close": [p.name for p, kept in zip(sets.files, judged.kept.tolist(), strict=True) if not kept]}
    contract = {"videos": summary["videos"], "verdict": summary["verdict"]}
    write_json(folder / "audit.json", contract | {"public": summary, "private": private})
    rows = zip(sets.files, judged.score.tolist(), judged.kept.tolist(), judged.space, judged.nearest, strict=True)
    pages.write_table(
        folder / "private" / "matches.csv",
        ("FileName", "Score", "Kept", "Space", "NearestPatient"),
        [(p.name, f"{score:.6f}", int(kept), space, name) for p, score, kept, space, name in rows],
    )
    pages.write_table(
        folder / "private" / "exposure.csv",
        ("Patient", "Split", "Score", "NearestVideo", "VideosTooClose"),
        [
            (
                name,
                "TRAIN" if train else "held out",
                f"{exposure.highest[i]:.6f}",
                sets.files[exposure.nearest[i]].name,
                int(exposure.close[i]),
            )
            for i, (name, train) in enumerate(zip(names, is_train, strict=True))
        ],
    )
    pages.write_private(
        summary,
        shown,
        _pairs(sets, judged),
        (judged.score.numpy(), sets.screen.held_out.numpy(), threshold),
        groups,
        read_provenance(folder).get("call", {}),
        folder / "index.html",
    )


def _pairs(sets: Compared, judged: ScreeningResult) -> list[pages.Pair]:
    """The most suspicious videos' frames, and the patients' frames they come nearest to."""
    index = filelist.VideoIndex(sets.real)
    first = {r.patient: r for r in reversed(sets.archive.records)}
    worst = judged.score.argsort(descending=True, stable=True)[: pages.SHOWN].tolist()
    pairs = []
    for i in worst:
        synthetic = torch.from_numpy(video.read(sets.files[i]).grey())
        real = frames_of(index.path(first[str(judged.nearest[i])]))
        a, b = synthetic.float(), real.float()[::REFERENCE_EVERY]
        k, j = divmod(int(torch.cdist(a.flatten(1), b.flatten(1)).argmin()), len(b))
        words = f"{judged.score[i]:.1f} ({judged.space[i]})" + ("" if judged.kept[i] else ", too close")
        pairs.append((a[k].byte().numpy(), b[j].byte().numpy(), words))
    return pairs
