"""``echosyn encode``: videos to latents."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from echosyn import device as devices
from echosyn import rng, weights
from echosyn.data import filelist, latents, table, video
from echosyn.data.records import Record
from echosyn.diffusion.codec import LatentCodec, check_frames
from echosyn.errors import DataError, ModelError, StoppedError
from echosyn.pipeline.folder import new_folder, note
from echosyn.pipeline.ingest import review
from echosyn.pipeline.models import codec
from echosyn.pipeline.tracking.course import course_of
from echosyn.pipeline.workers.compute import HERE, Compute
from echosyn.pipeline.workers.executors import Executor, Lost
from echosyn.progress import Progress
from echosyn.settings.making import EncodeSettings

Posterior = Literal["sample", "mean"]
USUAL_SPREAD = (0.8, 1.25)
LARGEST_SPREAD = (0.5, 2.0)
SCALE_VIDEOS, SCALE_FRAMES = 16, 8
"""Videos, and frames of each, on which the scale is checked."""


@dataclass(frozen=True)
class Encode:
    """Work: encodes a video, given as ``(position, record)``, into a latents folder; says whether its course was found."""

    dataset: Path
    folder: Path
    vae: Path
    posterior: Posterior
    seed: int
    courses: bool
    device: str = "auto"
    grey: str = "luma"
    every: int = 1

    def start(self) -> Callable[[tuple[int, Record]], bool]:
        """Load the VAE."""
        encoder, index = codec(self.vae, devices.resolve(self.device)), filelist.VideoIndex(self.dataset)

        def run(item: tuple[int, Record]) -> bool:
            record = item[1]
            if not latents.path(self.folder, record).exists():
                pixels = video.read(index.path(record), grey=self.grey == "luma").grey()[:: self.every]
                frames = torch.from_numpy(pixels)
                check_frames(frames.shape[1:])
                noise = None
                if self.posterior == "sample":
                    shape = (len(frames), *encoder.latent_shape(frames.shape[1:]))
                    noise = rng.normal(shape, self.seed, f"encode {hashlib.sha256(pixels.tobytes()).hexdigest()}", [0])[
                        0
                    ]
                course = course_of(pixels, record) if self.courses else None
                latents.write(self.folder, record, encoder.encode(frames, noise), course)
            return self.courses and latents.read_course(self.folder, record) is not None

        return run


@dataclass(frozen=True)
class Decode:
    """Work: decodes a video, given as ``(position, record)``; completes its record, or says what is wrong with it."""

    dataset: Path
    device: str = "cpu"

    def start(self) -> Callable[[tuple[int, Record]], Record | str]:
        """Nothing to load."""
        index = filelist.VideoIndex(self.dataset)

        def run(item: tuple[int, Record]) -> Record | str:
            try:
                found = video.read(index.path(item[1]))
                check_frames(found.frames.shape[1:3])
            except DataError as error:
                return str(error)
            return completed(item[1], found)

        return run


def completed(record: Record, found: video.Video) -> Record:
    """A record with the frames that its video has, whatever was said, and with what was not said at all."""
    num_frames, height, width = found.frames.shape[:3]
    return replace(
        record,
        num_frames=num_frames,
        height=record.height or height,
        width=record.width or width,
        fps=record.fps or video.exact_fps(found.fps),
    )


def encode(
    dataset: Path, out: Path, vae: Path, asked: EncodeSettings | None = None, compute: Compute = HERE
) -> dict[str, Any]:
    """Encode every video of a dataset into a latents folder.

    Args:
        dataset: dataset folder.
        out: new latents folder.
        vae: model folder.
        asked: how; a frame is one posterior sample, as published, or its mean, drawn by the seed and
            the video's pixels: the same wherever the video stands, and another one for another video.
        compute: where, by whom, and which part of the videos. It changes no byte on CPUs.

    Returns:
        ``latents`` (the folder), ``videos`` (how many), with ``courses`` how many were ``tracked`` and, if the latents' scale
        is unusual, ``warning``.

    Raises:
        ModelError: the VAE's scale does not fit these videos (see `check_scale`) or their size does not.
        DataError: the dataset is not one, or ``out`` exists.
    """
    asked = asked or EncodeSettings()
    posterior: Posterior = "mean" if asked.mean else "sample"
    seed, courses, shard, progress = asked.seed, asked.courses, compute.shard, compute.progress
    records = filelist.read(dataset)
    index = filelist.VideoIndex(dataset)
    encoder = codec(vae, devices.resolve("cpu"))
    settings: dict[str, Any] = {"posterior": posterior, "seed": seed, "courses": courses}
    settings |= {} if asked.grey == "luma" else {"grey": asked.grey}
    sparse = {} if asked.every == 1 else {"every": asked.every}
    folder_of_vae = weights.resolve(vae)
    executor = compute.workers()
    own = shard.of(list(enumerate(records)))
    result: dict[str, Any] = {"latents": str(out), "videos": len(own)}
    with new_folder(
        out, "encode", settings | sparse, {"dataset": dataset, "vae": folder_of_vae}, shard=shard
    ) as folder:
        own = _counted(dataset, own, executor, progress)
        measured = weights.load_facts(folder_of_vae).stage is not None
        if warning := check_scale(_spread(encoder, index, records), vae, must_fit=measured and not asked.any_scale):
            result["warning"] = warning
            note(folder, warnings=[warning])
        latents.write_info(
            folder, vae=weights.latents_hash(folder_of_vae), pixels=encoder.pixels.name, posterior=posterior, **sparse
        )
        work = Encode(dataset, folder, folder_of_vae, posterior, seed, courses, compute.device, asked.grey, asked.every)
        found: list[bool] = []
        for (_, record), tracked in executor.map([work], own):
            if isinstance(tracked, Lost):
                raise StoppedError(
                    f"{index.path(record)}: workers died at this video each time; replace it or remove it from the dataset, and "
                    "encode again"
                )
            found.append(tracked)
            progress("encode", len(found), len(own))
        if courses:
            result["tracked"] = sum(found)
        filelist.write(folder, [record for _, record in own])
        if review.is_open(dataset):
            note(folder, needs_review=True)
    return result


def _counted(
    dataset: Path, own: Sequence[tuple[int, Record]], executor: Executor, progress: Progress
) -> list[tuple[int, Record]]:
    """Decode all videos and complete their records, before hours of encoding end at a damaged one; all bad ones at once."""
    bad: dict[int, str] = {}
    good: dict[int, Record] = {}
    for done, ((i, record), found) in enumerate(executor.map([Decode(dataset)], own), 1):
        if isinstance(found, Record):
            good[i] = found
        else:
            bad[i] = f"{record.name}: workers died while reading it" if isinstance(found, Lost) else found
        progress("check videos", done, len(own))
    if bad:
        rows = [f"  {bad[i]}" for i in sorted(bad)]
        raise DataError(table.listing(f"{dataset}: {len(bad)} bad video(s)", rows))
    return sorted(good.items())


def check_scale(spread: float, vae: Path, *, must_fit: bool) -> str | None:
    """Whether latents have about the unit variance that diffusion models expect.

    Patients differ by about 5 % (0.95..1.04 over 40 phantom patients, seen and unseen; five real clips through the phantom's
    VAE 0.97..1.00), so beyond 0.8..1.25 something is unusual, and a factor of two is no accident: a forgotten factor
    misses by 3 to 8. A VAE of others has a scale that belongs to the models trained with it, whatever its value, so it
    is only remarked on.

    Args:
        spread: standard deviation of the scaled latents.
        vae: the model folder, for the message.
        must_fit: refuse what is beyond a factor of two; else only warn.

    Returns:
        A warning, or None.

    Raises:
        ModelError: ``must_fit`` and the spread is outside 0.5..2.
    """
    low, high = USUAL_SPREAD
    if low <= spread <= high:
        return None
    found = f"{vae}: the scaled latents of these videos have a standard deviation of {spread:.3g}, expected about 1"
    low, high = LARGEST_SPREAD
    if must_fit and not low <= spread <= high:
        raise ModelError(
            f"{found} ({low:g}..{high:g}): its scaling_factor was changed, or it was trained on other pictures; restore its "
            "config.json, train a VAE on these videos, or encode with --any-scale if this is meant"
        )
    return f"{found}; models of other latents will not fit these"


def _spread(encoder: LatentCodec, index: filelist.VideoIndex, records: Sequence[Record]) -> float:
    """Standard deviation of the scaled latents of a few frames of a few videos, evenly spaced."""
    values = []
    for record in records[:: -(-len(records) // SCALE_VIDEOS)]:
        frames = video.read(index.path(record)).grey()
        check_frames(frames.shape[1:])
        values.append(encoder.encode(torch.from_numpy(frames[:: -(-len(frames) // SCALE_FRAMES)])).flatten())
    return float(torch.cat(values).std())
