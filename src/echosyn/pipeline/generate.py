"""``echosyn generate``: sample, filter, animate until enough videos passed."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from echosyn.data import stills
from echosyn.data.records import Record
from echosyn.diffusion.windows import Blend
from echosyn.errors import ConfigError
from echosyn.pipeline.calibrate import calibrate_into
from echosyn.pipeline.executing import Executor, InProcess
from echosyn.pipeline.folder import new_folder, note
from echosyn.pipeline.generating.estimate import estimate
from echosyn.pipeline.generating.order import Order
from echosyn.pipeline.generating.outcome import Rules, finish
from echosyn.pipeline.generating.search import Found, Search, share, whole
from echosyn.pipeline.generating.works import prepare
from echosyn.pipeline.motion import EFDistribution, record_of
from echosyn.pipeline.progress import Progress, silent
from echosyn.pipeline.sharding import WHOLE, Shard

JOURNAL = "made.jsonl"
"""In the folder of a shard: what was found on its videos."""


def generate(
    out: Path,
    *,
    models: Mapping[str, Path],
    num: int,
    seed: int,
    reference: Path | None = None,
    real: Path | None = None,
    calibrated: Path | None = None,
    num_frames: int = 192,
    ef: EFDistribution | None = None,
    steps: int | None = None,
    guidance_scale: float | None = None,
    scheduler: str | None = None,
    hop: int | None = None,
    blend: Blend = "cut",
    conditions: Mapping[str, str] | None = None,
    batch_size: int = 8,
    false_rejection_rate: float | None = None,
    complete_with_rejected: bool = False,
    require: Sequence[str] = (),
    device: str = "auto",
    executor: Executor | None = None,
    shard: Shard = WHOLE,
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
        calibrated: folder of `echosyn.pipeline.calibrate.calibrate`, instead of ``reference``, ``real`` and
            ``false_rejection_rate``, which it knows. The videos are those that a run with these makes, byte by byte.
        num_frames: length of the videos.
        ef: where requested EFs come from; default uniform 10..90.
        steps: sampling steps of the video model; default what suits it.
        guidance_scale: of the video model; default what suits it.
        scheduler: solver of the video model, one of `echosyn.diffusion.solvers.SOLVERS`; default its own.
        hop: frames between windows of a long video; default half a window.
        blend: how windows become one video.
        conditions: further conditions of the video model by name, alike for all videos.
        batch_size: videos at a time on a GPU, where it moves single pixels by a grey level; fewer where its memory is too
            small. A CPU makes one after the other.
        false_rejection_rate: of the filter; default 5 %.
        complete_with_rejected: if too few hearts pass, take the least similar rejected ones; the provenance then says that
            the set must not be shared.
        require: checks that every video must pass, see `echosyn.pipeline.evaluating.physiology.CHECKS`; those that fail are
            replaced, and what was measured of the others goes into the file list. 0.6 s a video.
        device: where to compute.
        executor: who does the work; default this process. It changes no byte of the result on CPUs.
        shard: make only this part; `echosyn.pipeline.merging` joins all parts to what one job makes.
        progress: told what is done.

    Returns:
        ``dataset``, ``videos``, ``privacy`` (what the provenance says) and, if workers died of some hearts, ``lost``: their
        numbers; others were taken instead.

    Raises:
        DataError: too few hearts passed the filter.
        StoppedError: workers died too often; the same command continues.
    """
    order = Order.of(
        models=models,
        num=num,
        seed=seed,
        reference=reference,
        real=real,
        calibrated=calibrated,
        num_frames=num_frames,
        ef=ef,
        steps=steps,
        guidance_scale=guidance_scale,
        scheduler=scheduler,
        hop=hop,
        blend=blend,
        conditions=conditions,
        batch_size=batch_size,
        false_rejection_rate=false_rejection_rate,
        complete_with_rejected=complete_with_rejected,
        require=require,
        device=device,
    )
    if order.complete and shard != WHOLE:
        raise ConfigError(
            "a shard does not know which rejected hearts are the least similar of all: leave one of the two out"
        )
    executor = executor or InProcess.of(device)
    with new_folder(out, "generate", order.settings(), order.inputs(), hashes=order.hashes(), shard=shard) as folder:
        videos, working = prepare(folder)
        rules = _calibrated(working, order, executor, progress)
        works = order.works(videos, working)
        search = Search(executor, *works, rules.refused, working / JOURNAL, shard, progress)
        if shard == WHOLE:
            limit = rules.still_threshold["value"] if rules.still_threshold else None
            found = whole(search, num, complete=complete_with_rejected, threshold=limit)
        else:
            found = share(search, num, screened=order.screened or bool(require))
        privacy = _finished(folder, search, found, rules, order)
        if shard != WHOLE:
            note(folder, part={"end": found.end, "outcome": search.outcome.to_json(), "rules": rules.to_json()})
            (working / JOURNAL).rename(folder / JOURNAL)
        shutil.rmtree(working)
    lost = {"lost": sorted(search.lost)} if search.lost else {}
    return {"dataset": str(out), "videos": len(found.stay), "privacy": privacy} | lost


def dry_run(workers: int, **asked: Any) -> dict[str, Any]:
    """What `generate` would take with so many workers: hours, disk, memory; writes nothing that stays.

    Args:
        workers: as many machines' worth of this one's, a GPU or a CPU core each.
        **asked: as of `generate`.
    """
    return estimate(Order.of(**asked), workers)


def _calibrated(working: Path, order: Order, executor: Executor, progress: Progress) -> Rules:
    """What videos must pass; the screens are there for the workers then."""
    rules = Rules()
    if (screens := order.screens(working)) is not None:
        who = order.device, executor, progress
        rules = calibrate_into(screens, order.reference, order.real, order.rate, *who)
    return replace(rules, require=list(order.require))


def _finished(folder: Path, search: Search, found: Found, rules: Rules, order: Order) -> dict[str, Any]:
    """Remove what does not stay, and write what the dataset says of the rest."""
    names = {f"{stills.name(number)}.avi" for number in found.stay}
    for path in search.beat.videos.iterdir():
        if path.name not in names:
            path.unlink()
    records: list[Record] = []
    if found.stay:
        shape = tuple(stills.pick(search.stills[found.stay[0]].file, found.stay[:1]).shape)
        records = [record_of(n, order.ef.draw(order.seed, n), shape, order.animator, order.motion) for n in found.stay]
    made = [search.made[number] for number in found.stay]
    measured = {one.measured.name: one.measured for one in made if one.measured is not None}
    tracings = [row for one in made for row in one.tracings]
    return finish(folder, records, measured, tracings, search.outcome, rules, found.stay, found.end)
