"""``echosyn generate``: sample, filter, animate until enough videos passed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from echosyn import device as devices
from echosyn import weights
from echosyn.diffusion.windows import Blend
from echosyn.errors import ConfigError, DataError
from echosyn.pipeline import filtering, final_check
from echosyn.pipeline.animate import EFDistribution, motion_for, write_videos
from echosyn.pipeline.evaluating import physiology
from echosyn.pipeline.filtering import Filter
from echosyn.pipeline.folder import new_folder, note
from echosyn.pipeline.models import image_pipeline, video_pipeline
from echosyn.pipeline.progress import Progress, silent
from echosyn.pipeline.requirement import Requirement
from echosyn.pipeline.sample import invent

MAX_CANDIDATES_PER_VIDEO = 20
"""Give up when that many candidates a video did not yield enough."""


@dataclass(frozen=True, eq=False)
class Hearts:
    """The hearts that will beat, and how they were found."""

    indices: list[int]
    latents: Tensor
    facts: dict[str, Any]
    """What the provenance says about privacy; no name in it."""
    similarity: Tensor
    """Of every candidate to its nearest real frame; empty without a filter."""
    candidates: Tensor | None = None
    """All that were invented, to continue with."""


def generate(
    out: Path,
    *,
    models: Mapping[str, Path],
    num: int,
    seed: int,
    reference: Path | None = None,
    real: Path | None = None,
    num_frames: int = 192,
    ef: EFDistribution | None = None,
    steps: int | None = None,
    guidance_scale: float | None = None,
    scheduler: str | None = None,
    hop: int | None = None,
    blend: Blend = "cut",
    conditions: Mapping[str, str] | None = None,
    batch_size: int = 8,
    false_rejection_rate: float = 0.05,
    complete_with_rejected: bool = False,
    require: Sequence[str] = (),
    device: str = "auto",
    progress: Progress = silent,
) -> dict[str, Any]:
    """Write a synthetic dataset folder of ``num`` videos.

    Args:
        out: new dataset folder.
        models: model folders by stage: ``vae``, ``lidm``, ``lvdm`` and, with a reference, ``reid``.
        num: how many videos.
        seed: item ``i`` depends on (seed, i) alone, through stills, EF and motion.
        reference: latents of the real videos, for the filter; without it nothing is filtered, and the provenance says so.
        real: dataset folder that ``reference`` was made from, for the check of the finished videos; without it they are
            compared with the decoded reference.
        num_frames: length of the videos.
        ef: where requested EFs come from; default uniform 10..90.
        steps: sampling steps of the video model; default what suits it.
        guidance_scale: of the video model; default what suits it.
        scheduler: solver of the video model, one of `echosyn.diffusion.solvers.SOLVERS`; default its own.
        hop: frames between windows of a long video; default half a window.
        blend: how windows become one video.
        conditions: further conditions of the video model by name, alike for all videos.
        batch_size: videos at a time; does not change them.
        false_rejection_rate: of the filter.
        complete_with_rejected: if too few hearts pass, take the least similar rejected ones; the provenance then says that
            the set must not be shared.
        require: checks that every video must pass, see `echosyn.pipeline.evaluating.physiology.CHECKS`; those that fail are
            replaced, and what was measured of the others goes into the file list. 0.6 s a video.
        device: where to compute.
        progress: told what is done.

    Raises:
        DataError: too few hearts passed the filter.
    """
    if num < 1:
        raise ConfigError(f"--num {num}: expected at least 1 video")
    where = devices.resolve(device)
    needed = ("vae", "lidm", "lvdm", *(["reid"] if reference is not None else []))
    folders = {stage: weights.resolve(models[stage]) for stage in needed}
    animator = video_pipeline(folders["lvdm"], folders["vae"], where, scheduler)
    windows: dict[str, Any] = {"hop": hop, "blend": blend}
    asked = (num_frames, steps, guidance_scale, batch_size, conditions, scheduler)
    known = weights.load_facts(folders["lidm"]).only  # all its hearts are of that view
    motion = replace(motion_for(folders["lvdm"], *asked, **windows), columns=known)
    motion.check(animator)
    ef = ef or EFDistribution()
    settings = {"num": num, "seed": seed, "ef": ef.described()} | motion.described()
    settings |= {"rate": false_rejection_rate, "complete": complete_with_rejected}
    if require:
        physiology.required(require)
        settings["require"] = list(require)
    inputs = folders | ({"reference": reference} if reference is not None else {}) | ({"real": real} if real else {})
    with new_folder(out, "generate", settings, inputs) as folder:
        screen = None
        if reference is not None:
            screen = filtering.calibrated(
                folders["reid"], reference, false_rejection_rate=false_rejection_rate, device=device, progress=progress
            )
        hearts = find_hearts(folders["lidm"], screen, num, seed, complete_with_rejected, where, progress)

        def write(some: Hearts) -> None:
            write_videos(animator, some.indices, some.latents, seed, ef, motion, folder, progress)

        requirement = Requirement(folder, require, progress) if require else None
        find = partial(
            find_hearts,
            folders["lidm"],
            screen,
            seed=seed,
            complete_with_rejected=complete_with_rejected,
            device=where,
        )
        check = None
        if reference is not None:
            check = final_check.calibrated(
                folders["vae"], folders["reid"], reference, real, false_rejection_rate, device, progress
            )
        facts = final_check.replaced(
            folder,
            hearts,
            num,
            check,
            find,
            write,
            complete=complete_with_rejected,
            fits=requirement.fits if requirement else None,
        )
        if requirement is not None:
            note(folder, required=requirement.finish())
        note(folder, privacy=facts)
    return {"dataset": str(out), "videos": num, "privacy": facts}


def find_hearts(
    lidm: Path,
    screen: Filter | None,
    num: int,
    seed: int,
    complete_with_rejected: bool,
    device: torch.device,
    progress: Progress = silent,
    known: Tensor | None = None,
) -> Hearts:
    """Invent and filter in rounds until ``num`` hearts passed; the first ``num`` that do are taken.

    ``known`` are the first candidates, if some were invented already.
    """
    pipeline = image_pipeline(lidm, device)
    steps = weights.load_facts(lidm).num_inference_steps
    if screen is None:
        facts = {"filter": "none", "releasable": False, "warning": "no privacy filter: no --reference was given"}
        return Hearts(list(range(num)), invent(pipeline, range(num), seed, steps), facts, torch.empty(0))
    candidates = torch.empty(0) if known is None else known
    verdict = screen.judge(torch.empty(0, *_shape(pipeline)) if known is None else known)
    while int(verdict.kept.sum()) < num and len(candidates) < num * MAX_CANDIDATES_PER_VIDEO:
        missing = num - int(verdict.kept.sum())
        more = range(len(candidates), len(candidates) + max(8, round(1.25 * missing)))
        invented = invent(pipeline, more, seed, steps)
        candidates = torch.cat([candidates, invented]) if len(candidates) else invented
        verdict = screen.judge(candidates)
        progress("hearts that are nobody's", min(num, int(verdict.kept.sum())), num)
    facts = filtering.summary(screen.threshold, verdict) | {"filter": "calibrated"}
    chosen = verdict.kept.nonzero()[:num, 0]
    if len(chosen) < num:
        if not complete_with_rejected:
            raise DataError(
                f"only {len(chosen)} of {len(candidates)} invented hearts are nobody's, {num} are needed (threshold "
                f"{screen.threshold.value:.3f}); train the LIDM on more patients or for fewer steps, or ask for fewer videos"
            )
        rejected = (~verdict.kept).nonzero()[:, 0]
        least = rejected[verdict.similarity[rejected].argsort(stable=True)][: num - len(chosen)]
        facts["completed_with_rejected"] = len(least)
        chosen = torch.cat([chosen, least]).sort().values
    facts["releasable"] = screen.threshold.enough and "completed_with_rejected" not in facts
    return Hearts(chosen.tolist(), candidates[chosen], facts, verdict.similarity, candidates)


def _shape(pipeline: Any) -> tuple[int, int, int]:
    config = pipeline.unet.config
    return config.out_channels, config.sample_size, config.sample_size
