"""How like the real videos are the synthetic ones: a protocol on two sets, as numbers that say what they were made from."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from echosyn.config import near_miss
from echosyn.data import filelist
from echosyn.errors import ConfigError, DataError, MissingExtraError
from echosyn.pipeline.evaluate.fidelity import extraction, tables, video_sets
from echosyn.pipeline.evaluate.fidelity.estimators import of_measure
from echosyn.pipeline.evaluate.fidelity.extraction import CHUNK, Extract, Features, beforehand, extract
from echosyn.pipeline.evaluate.fidelity.feature_sets import Side, scale_of
from echosyn.pipeline.evaluate.fidelity.feature_spaces import Places, Space, spaces
from echosyn.pipeline.evaluate.fidelity.protocols import Measure, Number, Protocol, load
from echosyn.pipeline.evaluate.fidelity.protocols import Side as Name
from echosyn.pipeline.evaluate.fidelity.video_sets import VideoSet
from echosyn.pipeline.folder import new_folder, read_provenance, write_json
from echosyn.pipeline.report.page import render
from echosyn.pipeline.workers.compute import HERE, Compute
from echosyn.pipeline.workers.executors import Executor, InProcess
from echosyn.progress import Progress, silent
from echosyn.settings.judging import ProtocolSettings

DEFAULT = "echosyn-v3"
FEATURES = "features"
STYLEGAN_V = {"fid50k_full": "FID", "is50k": "IS", "fvd2048_16f": "FVD16", "fvd2048_128f": "FVD128"}
"""What StyleGAN-V's program calls the numbers of ``echonet-synthetic-v1``."""


def fidelity(
    real: Path,
    synthetic: Path,
    folder: Path,
    protocol: Protocol,
    *,
    places: Places | None = None,
    given: Mapping[str, Space] | None = None,
    metrics: str | None = None,
    seed: int = 0,
    chunk: int = CHUNK,
    executor: Executor | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Compare two sets by a protocol.

    Args:
        real: dataset folder, folder of folders of images, or folder of images, each a still.
        synthetic: likewise.
        folder: for the features; a call that was killed goes on with what it finds there.
        protocol: what to compute.
        places: where weights are.
        given: feature spaces to use instead of loading them, by name.
        metrics: only these of the protocol's numbers, as `ProtocolSettings`; each is what it is among all of them.
        seed: of subsets, splits and starts.
        chunk: videos in a file of features; changes no number.
        executor: who extracts features; default this process.
        progress: told what is done.

    Returns:
        ``protocol``, ``seed``, ``sets`` and ``spaces`` with hashes, and ``numbers`` by ``number/space/sampling``; each with
        its value, interval, n, and real against real, or with the reason why there is none.
    """
    sides: dict[Name, VideoSet] = {"real": _real(real, protocol), "synthetic": _all(synthetic, protocol)}
    asked = chosen(protocol, metrics)
    stills = [name for name, videos in sides.items() if videos.are_stills]
    possible = [m for m in asked if not stills or takes_stills(protocol, m)]
    names = {measure.space for measure in possible}
    loaded, missing = _loaded(names, places or Places(), given)
    measures = [m for m in possible if m.space in loaded]
    moving = {m.space: f"the {' and the '.join(stills)} side is stills, which do not move" for m in asked}
    if any("retrieval" in m.numbers for m in measures) and video_sets.is_dataset(real):
        train = [r for r in filelist.read(real) if r.split == "TRAIN"]
        sides["train"] = video_sets.of_records(real, train, protocol.order)
    if given is None:
        who = executor or InProcess.of((places or Places()).device)
        for side, videos in sides.items():
            plan = {name: tuple(s.name for s in found) for name, found in _plan(side, measures, loaded).items()}
            work = Extract(side, protocol, plan, places or Places(), folder / side, seed)
            beforehand(videos, work, who, chunk=chunk, progress=progress)
    features = {
        side: extract(videos, side, protocol, _plan(side, measures, loaded), folder / side,
                      seed=seed, chunk=chunk, progress=progress)
        for side, videos in sides.items()
    }  # fmt: skip
    numbers: dict[str, Any] = {}
    for done, measure in enumerate(asked, 1):
        found: dict[Number, dict[str, Any]]
        if measure not in measures:
            empty = {"value": None, "reason": (moving if measure not in possible else missing)[measure.space]}
            found = dict.fromkeys(measure.numbers, empty)
        else:
            found = _numbers(measure.sampling, loaded[measure.space], list(measure.numbers), features, protocol, seed)
        for number, shown in measure.numbers.items():
            known = {"name": shown, "number": number, "space": measure.space, "sampling": measure.sampling}
            numbers[f"{number}/{measure.space}/{measure.sampling}"] = known | found[number]
        progress("compare features", done, len(asked))
    return {
        "protocol": {"id": protocol.id, "sha256": protocol.sha256, "background": protocol.background},
        "seed": seed,
        "sets": {
            side: {"videos": len(v.items), "patients": int(v.patients.max(initial=-1)) + 1, "sha256": v.sha256}
            for side, v in sides.items()
        },
        "left_out": _left_out(features, protocol, measures),
        "spaces": {name: {"sha256": space.sha256} for name, space in loaded.items()},
        "numbers": numbers,
        "rows": tables.rows(numbers),
    }


def in_folder(
    real: Path, synthetic: Path, folder: Path, protocol: Protocol, *, progress: Progress = silent, **options: Any
) -> dict[str, Any]:
    """`fidelity` in a report's folder; a finished one is not computed again, and its features do not stay."""
    said = folder / "fidelity.json"
    if not said.is_file():
        write_json(said, fidelity(real, synthetic, folder / FEATURES, protocol, progress=progress, **options))
    shutil.rmtree(folder / FEATURES, ignore_errors=True)
    numbers: dict[str, Any] = json.loads(said.read_text())
    return numbers


def evaluate_fidelity(
    synthetic: Path,
    real: Path,
    out: Path,
    asked: ProtocolSettings,
    compute: Compute = HERE,
    *,
    places: Places | None = None,
    chunk: int = CHUNK,
) -> dict[str, Any]:
    """``echosyn evaluate --only fidelity``: `fidelity` alone, on sets that need no EF; nothing is trained.

    Args:
        synthetic: dataset folder, folder of folders of images, or folder of images, each a still.
        real: likewise.
        out: new folder, for ``report.json`` and ``index.html``.
        asked: which protocol, and the seed of subsets, splits and starts.
        compute: who extracts features.
        places: where weights are.
        chunk: videos in a file of features; changes no number.
    """
    loaded = load(asked.protocol)
    check(loaded, real, synthetic, places, asked.metrics)
    settings = {"only": "fidelity", "protocol": loaded.sha256, "seed": asked.seed}
    settings |= {"metrics": asked.metrics} if asked.metrics else {}
    with new_folder(out, "evaluate", settings, {"synthetic": synthetic, "real": real}, keep=True) as folder:
        how: dict[str, Any] = {"places": places, "seed": asked.seed, "chunk": chunk, "executor": compute.executor}
        how["metrics"] = asked.metrics
        numbers = in_folder(real, synthetic, folder, loaded, progress=compute.progress, **how)
        record = read_provenance(folder)
        write_json(folder / "report.json", {"fidelity": numbers, "provenance": record})
        render(tables.report(numbers, record), [], folder / "index.html")
    return {"report": str(out / "report.json"), "page": str(out / "index.html"), **tables.headline(numbers)}


def check(
    protocol: Protocol, real: Path, synthetic: Path, places: Places | None = None, metrics: str | None = None
) -> None:
    """Refuse what a protocol cannot compare, and weights that are not there, before anything is computed."""
    measures = chosen(protocol, metrics)
    for folder in (real, synthetic):
        if not folder.is_dir():
            raise DataError(
                f"{folder}: no such folder; expected a dataset folder, or one folder of images for each video"
            )
    # by name: their order says nothing here, and that by content reads every image
    sets = [video_sets.of_images(f, "name") for f in (real, synthetic) if not video_sets.is_dataset(f)]
    if any(one.are_stills for one in sets):
        measures = [measure for measure in measures if takes_stills(protocol, measure)]
        if not measures:
            raise ConfigError(f"{synthetic}: stills do not move, and every number asked of {protocol.id} needs clips")
    _loaded({measure.space for measure in measures}, places or Places(), None)
    in_time = any(protocol.samplings[measure.sampling].fps is not None for measure in measures)
    for folder in (real, synthetic):
        if in_time and not video_sets.is_dataset(folder):
            raise ConfigError(
                f"{folder}: images have no frame rate, which {protocol.id} needs; give a dataset folder with videos, or "
                "take --protocol echonet-synthetic-v1"
            )


def chosen(protocol: Protocol, metrics: str | None) -> list[Measure]:
    """The measures of a protocol, with those numbers only that are asked for: ``FID,IS``; all by default.

    Raises:
        ConfigError: the protocol has no such number.
    """
    if metrics is None:
        return list(protocol.measures)
    known = [shown for measure in protocol.measures for shown in measure.numbers.values()]
    wanted = {STYLEGAN_V.get(name.strip(), name.strip()) for name in metrics.split(",")}
    for name in wanted - set(known):
        raise ConfigError(f"--metrics {name}: {protocol.id} has no such number{near_miss(name, known)}")
    parts = [(m, {n: shown for n, shown in m.numbers.items() if shown in wanted}) for m in protocol.measures]
    return [measure.model_copy(update={"numbers": numbers}) for measure, numbers in parts if numbers]


def takes_stills(protocol: Protocol, measure: Measure) -> bool:
    """Whether a measure looks at single frames, and not at clips or at several frames of a video."""
    return protocol.samplings[measure.sampling].num_frames in (None, 1)


def _loaded(
    names: set[str], places: Places, given: Mapping[str, Space] | None
) -> tuple[Mapping[str, Space], Mapping[str, str]]:
    """The spaces, and why some are missing: an optional package is no reason to stop."""
    if given is not None:
        return given, {}
    loaded: dict[str, Space] = {}
    missing: dict[str, str] = {}
    try:
        return spaces(names, places), {}
    except MissingExtraError as error:
        reason = str(error)
    for name in sorted(names):
        try:
            loaded |= spaces({name}, places)
        except MissingExtraError:
            missing[name] = reason
    return loaded, missing


def _plan(side: Name, measures: Sequence[Measure], loaded: Mapping[str, Space]) -> dict[str, list[Space]]:
    """Which features of which frames a side needs."""
    plan: dict[str, list[Space]] = {}
    for measure in measures:
        if side != "train" or "retrieval" in measure.numbers:
            plan.setdefault(measure.sampling, []).append(loaded[measure.space])
    return plan


def _numbers(
    sampling: str,
    space: Space,
    wanted: Sequence[Number],
    features: Mapping[Name, Features],
    protocol: Protocol,
    seed: int,
) -> dict[Number, dict[str, Any]]:
    key = extraction.key(sampling, space.name)
    sides = {
        side: Side(found, key, np.flatnonzero(found.counts[key]))
        for side, found in features.items()
        if key in found.counts
    }
    if space.standardized and len(sides["real"].chosen) >= 2:
        scale = scale_of(sides["real"])
        sides = {name: Side(side.features, key, side.chosen, scale) for name, side in sides.items()}
    return of_measure(wanted, space, sides["real"], sides["synthetic"], sides.get("train"), protocol, seed)


def _real(folder: Path, protocol: Protocol) -> VideoSet:
    if not video_sets.is_dataset(folder):
        return video_sets.of_images(folder, protocol.order)
    splits = protocol.splits or ("VAL", "TEST")
    records = [r for r in filelist.read(folder) if r.split in splits]
    if not records:
        raise DataError(f"{folder}: no video of split {' or '.join(splits)}, which {protocol.id} compares with")
    return video_sets.of_records(folder, records, protocol.order)


def _all(folder: Path, protocol: Protocol) -> VideoSet:
    if not video_sets.is_dataset(folder):
        return video_sets.of_images(folder, protocol.order)
    return video_sets.of_records(folder, filelist.read(folder), protocol.order)


def _left_out(features: Mapping[Name, Features], protocol: Protocol, measures: Sequence[Any]) -> dict[str, Any]:
    """How many videos a sampling left out on each side, and why."""
    found: dict[str, Any] = {}
    for measure in measures:
        sampling = protocol.samplings[measure.sampling]
        key = extraction.key(measure.sampling, measure.space)
        counts = {s: int((f.counts[key] == 0).sum()) for s, f in features.items() if key in f.counts}
        if any(counts.values()) and sampling.max_videos is None and sampling.max_synthetic_images is None:
            found[measure.sampling] = counts | {"reason": extraction.too_short(sampling)}
    return found
