"""``echosyn audit``: is any of these videos a real patient's, and what do attacks learn from them?"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from echosyn import weights
from echosyn.data import checksum, filelist
from echosyn.pipeline.audit import criteria, membership, pages, positive_controls
from echosyn.pipeline.audit.blocks import compared
from echosyn.pipeline.audit.criteria import Findings
from echosyn.pipeline.audit.setup import Desk, files_of, look, prepare
from echosyn.pipeline.folder import new_folder, read_provenance, write_json
from echosyn.pipeline.privacy_filter.parallel_matching import Matcher
from echosyn.pipeline.privacy_filter.real_videos import frames_of
from echosyn.pipeline.trained_on import refuse_both_sides, refuse_seen
from echosyn.pipeline.workers.compute import HERE, Compute
from echosyn.privacy.attacks import linkability, singling_out
from echosyn.privacy.fingerprints import REFERENCE_EVERY, Look
from echosyn.privacy.patient_matches import Exposure, Sides
from echosyn.privacy.positive_controls import DENSE
from echosyn.privacy.screening import Judgement
from echosyn.progress import Progress
from echosyn.settings.judging import AuditSettings

CROSSED = 3
"""Exit code when a line is crossed."""


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
        out: new folder. ``public.json`` and ``public.html`` may leave the house; all else is private.
        models: model folders by stage: ``vae`` and ``reid``; with ``lidm`` and ``lvdm`` their weights are attacked too.
        asked: how hard to look.
        compute: where, and who reads the videos and compares them. Nothing that is found depends on it.

    Returns:
        ``verdict`` (``pass`` or ``fail``), the lines that were crossed, and headline figures.

    Raises:
        DataError: there is nothing to audit, or a model was trained on held-out patients.
    """
    rate, seed, progress = asked.false_rejection_rate, asked.seed, compute.progress
    folders = {stage: weights.resolve(path) for stage, path in models.items()}
    records = filelist.read(real)
    refuse_both_sides(real, records)
    quiet = refuse_seen(folders.values(), [r for r in records if r.split != "TRAIN"])
    files = files_of(synthetic)
    settings = {"rate": rate, "canaries": asked.canaries, "seed": seed}
    with new_folder(out, "audit", settings, {"synthetic": synthetic, "real": real, **folders}, keep=True) as folder:
        (folder / "private").mkdir(exist_ok=True)
        executor = compute.workers()
        working = folder / "private" / "work"
        shutil.rmtree(working, ignore_errors=True)
        working.mkdir()
        match = Matcher(executor, working, progress)
        options: dict[str, Any] = {"seed": seed, "device": compute.device, "executor": executor, "match": match}
        desk = prepare(real, folders, working, false_rejection_rate=rate, progress=progress, **options)
        looks = look(files, desk, working, executor, progress)
        sides = Sides.drawn(membership.by_patient(desk.archive)[1], seed=seed)
        judged, exposure = compared(desk.screen, looks, sides, executor, working, progress)
        found = _findings(desk, looks, (judged, exposure), sides, folders, asked, len(quiet), progress)
        checked = criteria.lines(found)
        summary = criteria.public(found, checked, checksum.videos_hash(synthetic))
        _write(folder, summary, desk, files, judged, exposure)
        shutil.rmtree(working)
    crossed = [line.name for line in checked if not line.holds]
    risk = max(found.risks.values(), key=lambda r: r.high)
    return {
        "audit": str(out / "audit.json"),
        "verdict": summary["verdict"],
        "crossed": ", ".join(crossed) or None,
        "videos": len(files),
        "videos too close": found.flagged,
        "risk, upper end": risk.high,
        "published rule rejects innocents": found.published and found.published.false_rejection.value,
        "innocents rejected": found.false_rejection.value,
    }


def _findings(
    desk: Desk,
    looks: Sequence[Look],
    matches: tuple[Judgement, Exposure],
    sides: Sides,
    models: Mapping[str, Path],
    asked: AuditSettings,
    quiet: int,
    progress: Progress,
) -> Findings:
    """All numbers."""
    judged, exposure = matches
    archive, screen, seed = desk.archive, desk.screen.screen, asked.seed
    names, is_train, _ = membership.by_patient(archive)
    index = filelist.VideoIndex(desk.real)
    planted = [archive.records[i] for i in positive_controls.chosen(archive, asked.canaries)]
    redraw = positive_controls.redrawing(models["lidm"], desk.device, seed) if "lidm" in models else None
    caught = positive_controls.plant(
        desk.screen,
        planted,
        [frames_of(index.path(r), DENSE) for r in planted],
        desk.codec,
        redraw=redraw,
        seed=seed,
        progress=progress,
    )
    attacks = membership.on_videos(archive, looks, exposure.highest, desk.screen.prints.centre, seed)
    if "lidm" in models:
        progress("attack the image model", 0, 1)
        attacks += membership.on_images(models["lidm"], desk.real, archive, desk.codec, desk.device, seed)
    if "lvdm" in models:
        progress("attack the video model", 0, 1)
        attacks += membership.on_motion(models["lvdm"], desk.real, archive, desk.codec, desk.device, seed)
    return Findings(
        num_videos=len(looks),
        flagged=int((~judged.kept).sum()),
        threshold=screen.threshold,
        false_rejection=positive_controls.false_rejection(screen, screen.threshold.requested_rate),
        published=positive_controls.published_rule(archive, desk.embed),
        canaries=caught,
        risks={
            "linkability": linkability(exposure, is_train),
            "singling-out": singling_out(exposure, sides),
        },
        attacks=attacks,
        num_train=int(is_train.sum()),
        num_held_out=len(names) - int(is_train.sum()),
        silent_models=quiet,
    )


def _write(
    folder: Path,
    summary: Mapping[str, Any],
    desk: Desk,
    files: Sequence[Path],
    judged: Judgement,
    exposure: Exposure,
) -> None:
    """Everything but the provenance, which is there."""
    names, is_train, _ = membership.by_patient(desk.archive)
    threshold = desk.screen.screen.threshold.value
    write_json(folder / "public.json", summary)
    pages.write_public(summary, folder / "public.html")
    private = {"too_close": [p.name for p, kept in zip(files, judged.kept.tolist(), strict=True) if not kept]}
    contract = {"videos": summary["videos"], "verdict": summary["verdict"]}
    write_json(folder / "audit.json", contract | {"public": summary, "private": private})
    rows = zip(files, judged.score.tolist(), judged.kept.tolist(), judged.space, judged.nearest, strict=True)
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
                files[exposure.nearest[i]].name,
                int(exposure.close[i]),
            )
            for i, (name, train) in enumerate(zip(names, is_train, strict=True))
        ],
    )
    pages.write_private(
        summary,
        _pairs(desk, files, judged),
        (judged.score.numpy(), desk.screen.screen.held_out.numpy(), threshold),
        read_provenance(folder).get("call", {}),
        folder / "index.html",
    )


def _pairs(desk: Desk, files: Sequence[Path], judged: Judgement) -> list[pages.Pair]:
    """The most suspicious videos' middle frames, and the patients' frames they come nearest to."""
    index = filelist.VideoIndex(desk.real)
    first = {r.patient: r for r in reversed(desk.archive.records)}
    worst = judged.score.argsort(descending=True, stable=True)[: pages.SHOWN].tolist()
    pairs = []
    for i in worst:
        synthetic, real = frames_of(files[i]), frames_of(index.path(first[str(judged.nearest[i])]))
        a, b = synthetic.float()[::REFERENCE_EVERY], real.float()[::REFERENCE_EVERY]
        k, j = divmod(int(torch.cdist(a.flatten(1), b.flatten(1)).argmin()), len(b))
        words = f"{judged.score[i]:.1f} ({judged.space[i]})" + ("" if judged.kept[i] else ", too close")
        pairs.append((a[k].byte().numpy(), b[j].byte().numpy(), words))
    return pairs
