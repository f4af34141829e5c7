"""``echosyn generate``: sample, filter, animate until enough videos passed."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from echosyn.data import filelist, stills
from echosyn.data.records import Record
from echosyn.errors import ConfigError
from echosyn.files import journal
from echosyn.pipeline.finished import Finished
from echosyn.pipeline.folder import new_folder, note
from echosyn.pipeline.generate.animation import record_of
from echosyn.pipeline.generate.estimate import estimate
from echosyn.pipeline.generate.outcome import as_json, finish
from echosyn.pipeline.generate.request import GenerateRequest
from echosyn.pipeline.generate.search import Found, Search, share, whole
from echosyn.pipeline.generate.tasks import prepare
from echosyn.pipeline.privacy_filter.calibrate import calibrate_into
from echosyn.pipeline.privacy_filter.rules import Rules
from echosyn.pipeline.workers.compute import HERE, Compute
from echosyn.pipeline.workers.shards import WHOLE
from echosyn.settings.making import GenerateSettings

JOURNAL = "made.jsonl"
"""In the folder of a shard: what was found on its videos."""


def generate(out: Path, models: Mapping[str, Path], asked: GenerateSettings, compute: Compute = HERE) -> dict[str, Any]:
    """Write a synthetic dataset folder of ``asked.num`` videos.

    Args:
        out: new dataset folder.
        models: model folders by stage: ``vae``, ``lidm``, ``lvdm`` and, with a reference, ``reid``.
        asked: what; item ``i`` depends on (seed, i) alone, through stills, EF and motion.
        compute: where, by whom, and which part; on CPUs it changes no byte of the result.

    Returns:
        ``dataset``, ``videos``, ``privacy`` (what the provenance says) and, if workers died of some hearts, ``lost``: their
        numbers; others were taken instead.

    Raises:
        DataError: too few hearts passed the filter.
        StoppedError: workers died too often; the same command continues.
    """
    request = GenerateRequest.of(models, asked, compute.device)
    shard = compute.shard
    if request.complete and shard != WHOLE:
        raise ConfigError(
            "complete_with_rejected with a shard: a single shard cannot rank the rejected samples of all shards; "
            "leave one of the two out"
        )
    executor = compute.workers()
    with (
        new_folder(
            out, "generate", request.settings(), request.inputs(), hashes=request.hashes(), shard=shard
        ) as folder,
        Finished(folder) as finished,
    ):
        videos, working = prepare(folder)
        rules = _calibrated(working, request, compute, finished)
        works = request.works(videos, working)
        search = Search(executor, *works, rules.refused, finished, shard, compute.progress)
        if shard == WHOLE:
            limit = rules.still_threshold["value"] if rules.still_threshold else None
            found = whole(search, asked.num, complete=asked.complete_with_rejected, threshold=limit)
        else:
            found = share(search, asked.num, screened=request.screened or bool(asked.require))
        privacy = _finished(folder, search, found, rules, request)
        if shard != WHOLE:
            note(folder, part={"end": found.end, "outcome": search.outcome.to_json(), "rules": rules.to_json()})
            with journal(folder / JOURNAL) as remember:
                for number in sorted(search.made):
                    remember(as_json(search.made[number]))
        shutil.rmtree(working)
        if (tracings := folder / filelist.TRACINGS).is_file():
            finished.add(tracings)
    lost = {"lost": sorted(search.lost)} if search.lost else {}
    return {"dataset": str(out), "videos": len(found.stay), "privacy": privacy} | lost


def dry_run(workers: int, models: Mapping[str, Path], asked: GenerateSettings, device: str = "auto") -> dict[str, Any]:
    """What `generate` would take with so many workers: hours, disk, memory; writes nothing that stays.

    Args:
        workers: as many machines' worth of this one's, a GPU or a CPU core each.
        models: as of `generate`.
        asked: likewise.
        device: where to compute.
    """
    return estimate(GenerateRequest.of(models, asked, device), workers)


def _calibrated(working: Path, request: GenerateRequest, compute: Compute, finished: Finished) -> Rules:
    """What videos must pass; the screens are there for the workers then."""
    screens = request.screens_in(working)
    rules = calibrate_into(screens, request.reference, request.real, compute, finished) if screens else Rules()
    return replace(rules, require=list(request.require))


def _finished(folder: Path, search: Search, found: Found, rules: Rules, request: GenerateRequest) -> dict[str, Any]:
    """Remove what does not stay, and write what the dataset says of the rest."""
    names = {f"{stills.name(number)}.avi" for number in found.stay}
    for path in search.beat.videos.iterdir():
        if path.name not in names:
            path.unlink()
    records: list[Record] = []
    if found.stay:
        shape = tuple(stills.pick(search.stills[found.stay[0]].file, found.stay[:1]).shape)
        records = [
            record_of(n, request.ef.draw(request.seed, n), shape, request.animator, request.motion) for n in found.stay
        ]
    made = [search.made[number] for number in found.stay]
    measured = {one.measured.name: one.measured for one in made if one.measured is not None}
    tracings = [row for one in made for row in one.tracings]
    return finish(folder, records, measured, tracings, search.outcome, rules, found.stay, found.end)
