"""``echosyn animate``: the LVDM makes stills beat, and the result is a dataset folder."""

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from echosyn import device as devices
from echosyn import rng, weights
from echosyn.data import filelist, stills, video
from echosyn.data.records import Record
from echosyn.data.splits import split_by_order
from echosyn.diffusion.pipelines import LatentVideoPipeline
from echosyn.errors import ConfigError, DataError
from echosyn.files import whole
from echosyn.memory import Fitting
from echosyn.pipeline.finished import Finished
from echosyn.pipeline.folder import new_folder, note
from echosyn.pipeline.generate.animation import (
    EFDistribution,
    Motion,
    beat,
    motion_for,
    record_of,
    requested,
    texture_of,
    textured,
)
from echosyn.pipeline.generate.formats import OF_VIDEOS, files_of_video, parsed, save_video
from echosyn.pipeline.given_stills import as_stills, numbered
from echosyn.pipeline.models import NO_WEIGHTS, video_pipeline
from echosyn.pipeline.privacy_filter.real_videos import sampled
from echosyn.pipeline.workers.compute import HERE, Compute
from echosyn.pipeline.workers.executors import Executor, Lost, one_by_one
from echosyn.progress import Progress, silent
from echosyn.settings.making import AnimateSettings

GIVEN = "given-stills"
"""Folder for stills that came in another form, while they are animated."""


@dataclass(frozen=True, order=True)
class Heart:
    """A still among others."""

    number: int
    file: Path
    """Of the stills that it is among."""
    still: int | None = None
    """Its number there, if that is another one: a still that beats again."""

    @property
    def row(self) -> int:
        """Its number in the file."""
        return self.number if self.still is None else self.still


@dataclass(frozen=True)
class Beat:
    """Work: animates a few hearts and writes their videos; returns their numbers."""

    lvdm: Path
    vae: Path
    motion: Motion
    ef: EFDistribution
    seed: int
    videos: Path
    device: str = "auto"
    config: Path | None = None
    """Settings file with the noise schedule."""
    plain: Path | None = None
    """Folder for some frames of the videos as they were before they got their texture, for the privacy screen."""

    def start(self) -> Callable[[tuple[Heart, ...]], list[int]]:
        """Load the models."""
        device = devices.resolve(self.device)
        pipeline = video_pipeline(self.lvdm, self.vae, device, self.motion.scheduler, self.config)
        batches = Fitting(self.motion.batch_size, f"videos of {self.motion.num_frames} frames")

        def run(hearts: tuple[Heart, ...]) -> list[int]:
            numbers = [heart.number for heart in hearts]
            paths = [self.videos / f"{stills.name(number)}.avi" for number in numbers]
            latents = stills.pick(hearts[0].file, [heart.row for heart in hearts])
            _in_batches(batches, pipeline, numbers, latents, self.seed, self.ef, self.motion, paths, self.plain)
            return numbers

        return run


def animate(
    kept: Path, out: Path, models: Mapping[str, Path], asked: AnimateSettings, compute: Compute = HERE
) -> dict[str, Any]:
    """Animate every still of a folder into a new dataset folder.

    Args:
        kept: folder of stills, or of ``.pt`` latents or images (`echosyn.pipeline.given_stills`).
        out: new dataset folder.
        models: model folders: ``lvdm``, and the ``vae`` whose latents it speaks.
        asked: how; still ``i`` beats with the noise and EF of (seed, i).
        compute: where, by whom, and which part of the videos.
    """
    chosen = _rounds(list(numbered(kept)), asked.num)
    shard = compute.shard
    formats = parsed(asked.save_as, OF_VIDEOS, shard)
    own = shard.of(list(chosen))
    if not own:
        raise ConfigError(f"--shard {shard.number}/{shard.count}: none of {len(chosen)} stills is left for it")
    ef = requested(asked)
    pipeline = video_pipeline(models["lvdm"], models["vae"], NO_WEIGHTS, asked.scheduler, asked.config)
    motion = replace(motion_for(models["lvdm"], asked), formats=formats)
    motion.check(pipeline)
    settings = {"num": len(chosen), "seed": asked.seed, "ef": ef.described()} | motion.described()
    settings |= {"save_as": formats} if formats else {}
    inputs = {"kept": kept} | {stage: weights.resolve(models[stage]) for stage in ("lvdm", "vae")}
    inputs |= {"config": asked.config} if asked.config else {}
    inputs |= texture_of(inputs["vae"], motion)
    executor = compute.workers()
    with new_folder(out, "animate", settings, inputs, shard=shard) as folder, Finished(folder) as finished:
        (folder / filelist.VIDEOS).mkdir(exist_ok=True)
        videos = folder / filelist.VIDEOS
        work = Beat(inputs["lvdm"], inputs["vae"], motion, ef, asked.seed, videos, compute.device, asked.config)
        given = as_stills(kept, folder / GIVEN, inputs["vae"], asked.seed, compute.device)
        files = stills.located(given)
        hearts = [Heart(number, files[chosen[number]], chosen[number]) for number in own]
        lost: set[int] = set()
        size = batch_of(executor, work)

        def made_of(unit: Iterable[Heart]) -> list[Path]:
            names = [stills.name(heart.number) for heart in unit]
            others = [path for name in names for path in files_of_video(folder, name, formats)]
            return [*(videos / f"{name}.avi" for name in names), *others]

        left = [unit for unit in units(hearts, size) if not finished.has(*made_of(unit))]
        done = len(hearts) - sum(map(len, left))
        for unit, result in one_by_one(executor, [work], left):
            if isinstance(result, Lost):
                lost |= {heart.number for heart in unit}
            else:
                finished.add(*made_of(unit))
            done += len(unit)
            compute.progress("animate", done, len(hearts))
        made = [number for number in own if number not in lost]
        if not made:
            raise DataError(
                f"{kept}: the workers died on each of {len(own)} stills; check their logs, then run the same command again"
            )
        still = chosen[made[0]]
        shape = tuple(stills.pick(files[still], [still]).shape)
        records = [record_of(number, ef.draw(asked.seed, number), shape, pipeline, motion) for number in made]
        splits = split_by_order(len(made))
        filelist.write(folder, [replace(r, split=s) for r, s in zip(records, splits, strict=True)])
        shutil.rmtree(folder / GIVEN, ignore_errors=True)
        if lost:
            note(folder, lost=sorted(lost))
    return {"dataset": str(out), "videos": len(made)} | ({"lost": len(lost)} if lost else {})


def batch_of(executor: Executor, work: Beat) -> int:
    """How many videos a worker makes at a time; on a CPU one, which is as fast, and every video is then equal to the bit."""
    return work.motion.batch_size if executor.on_gpu(work.device) else 1


def units(hearts: Iterable[Heart], size: int) -> list[tuple[Heart, ...]]:
    """Hearts of one file that are animated together: ``size`` neighbours at most, the same ones in every order of work."""
    found: dict[tuple[Path, int], list[Heart]] = {}
    for heart in hearts:
        found.setdefault((heart.file, heart.number // size), []).append(heart)
    return [tuple(unit) for unit in found.values()]


def first_stills(kept: Path, num: int | None) -> tuple[list[int], Tensor]:
    """Numbers and latents of the first ``num`` stills of a folder; of all by default.

    Raises:
        ConfigError: there are not as many.
    """
    indices, hearts = stills.read(kept)
    first = _first(indices, num, kept)
    return first, hearts[: len(first)]


def _rounds(numbers: list[int], num: int | None) -> dict[int, int]:
    """The still of each of ``num`` videos: the stills one after the other, and once more from the first, as published.

    A video has its still's number; in later rounds numbers go on where the earlier ones end.
    """
    if num is not None and num < 1:
        raise ConfigError(f"--num {num}: expected at least 1")
    count, span = len(numbers), max(numbers) + 1
    wanted = count if num is None else num
    return {numbers[i % count] + i // count * span: numbers[i % count] for i in range(wanted)}


def _first(numbers: list[int], num: int | None, kept: Path) -> list[int]:
    if num is not None and not 1 <= num <= len(numbers):
        raise ConfigError(f"--num {num}: expected 1 to {len(numbers)}, as many as there are stills in {kept}")
    return numbers[:num]


def write_videos(
    pipeline: LatentVideoPipeline,
    indices: Sequence[int],
    hearts: Tensor,
    seed: int,
    ef: EFDistribution,
    motion: Motion,
    folder: Path,
    progress: Progress = silent,
) -> list[Record]:
    """Animate, decode and write ``Videos/*.avi`` and ``FileList.csv``; batches that are complete on disk are skipped."""
    (folder / "Videos").mkdir(exist_ok=True)
    records = [record_of(i, ef.draw(seed, i), tuple(hearts.shape), pipeline, motion) for i in indices]
    splits = split_by_order(len(indices))
    batches = Fitting(motion.batch_size, f"videos of {motion.num_frames} frames")
    for first in range(0, len(indices), motion.batch_size):
        batch = records[first : first + motion.batch_size]
        paths = [folder / "Videos" / f"{r.name}.avi" for r in batch]
        if not all(path.exists() for path in paths):
            part = slice(first, first + motion.batch_size)
            _in_batches(batches, pipeline, indices[part], hearts[part], seed, ef, motion, paths)
        progress("animate", first + len(batch), len(indices))
    records = [replace(r, split=split) for r, split in zip(records, splits, strict=True)]
    filelist.write(folder, records)
    return records


def _in_batches(
    batches: Fitting,
    pipeline: LatentVideoPipeline,
    numbers: Sequence[int],
    hearts: Tensor,
    seed: int,
    ef: EFDistribution,
    motion: Motion,
    paths: Sequence[Path],
    plain: Path | None = None,
) -> None:
    """Animate and write as many at a time as there is memory for."""

    def write(places: Sequence[int]) -> None:
        of = slice(places[0], places[-1] + 1)
        efs = [ef.draw(seed, number) for number in numbers[of]]
        made = beat(pipeline, hearts[of], efs, rng.generators(seed, "motion", numbers[of]), motion)
        for number, path, decoded in zip(numbers[of], paths[of], made, strict=True):
            frames, fps = textured(pipeline, decoded, seed, number, motion), float(pipeline.config.fps)
            if plain is not None and frames is not decoded:
                with whole(plain / f"{path.stem}.npy") as file, file.open("wb") as stream:
                    np.save(stream, decoded[sampled(len(decoded), fps)])
            save_video(path.parents[1], path.stem, frames, fps, motion.formats)
            video.write_avi(path, frames, fps)

    batches.over(write, range(len(numbers)))
