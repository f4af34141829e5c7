"""``echosyn texture``: the speckle of recordings, for the videos that a VAE decodes (`echosyn.texture`)."""

import shutil
from pathlib import Path
from typing import Any

import torch
from scipy import ndimage  # type: ignore[import-untyped, unused-ignore]
from torch import Tensor

from echosyn import device as devices
from echosyn import weights
from echosyn.data import clips, filelist, video
from echosyn.data.records import Record
from echosyn.diffusion.codec import check_frames, grey
from echosyn.errors import ConfigError, DataError, ModelError
from echosyn.pipeline import trained_on
from echosyn.pipeline.folder import new_folder
from echosyn.pipeline.models import codec
from echosyn.pipeline.workers.compute import HERE, Compute
from echosyn.settings.training import TextureFitSettings
from echosyn.texture import Texture
from echosyn.texture import fit as fit_texture
from echosyn.texture.covariance import LAGS
from echosyn.texture.fitting import LEAST_VIDEOS

SLOWEST = 0.75
"""Least frame rate of recordings, in parts of that of the videos to come, that tell how grain changes from frame to frame."""
STILLS = 16
"""Frames of each recording, at most, where too few are that fast or long enough."""
FLICKER = 0.05
"""Seconds: what a Gaussian of this deviation takes from latents over time, generated ones do not have (docs/adr/0103)."""


def texture(dataset: Path, out: Path, vae: Path, asked: TextureFitSettings, compute: Compute = HERE) -> dict[str, Any]:
    """Write a copy of a VAE's model folder with the texture of a dataset's TRAIN videos, one of each patient.

    Args:
        dataset: dataset folder.
        out: new run folder; ``OUT/model`` is the model folder.
        vae: model folder of the VAE.
        asked: how many videos, and how.
        compute: where.

    Raises:
        DataError: too few videos are long enough or have a sector.
    """
    source = weights.resolve(vae)
    if min(asked.videos, asked.frames, asked.steps) < 1 or not asked.fps > 0:
        raise ConfigError(
            f"--videos {asked.videos} --frames {asked.frames} --steps {asked.steps} --fps {asked.fps:g}: expected numbers above 0"
        )
    settings = {name: getattr(asked, name) for name in ("videos", "frames", "fps", "steps", "seed")}
    with new_folder(out, "texture", settings, {"dataset": dataset, "vae": source}) as folder:
        found, records, moving = learned(dataset, source, asked, compute, _readable(source))
        model = folder / "model"
        shutil.copytree(source, model, dirs_exist_ok=True)
        found.save(model)
        if trained_on.seen(source) is None:
            trained_on.write(model, records, weights.weights_hash(source))
    return {"model": str(out / "model"), "videos": len(records), "motion": "learned" if moving else "kept"}


def learned_or_kept(
    dataset: Path, vae: Path, start: Path | None, asked: TextureFitSettings, compute: Compute = HERE
) -> Texture | None:
    """The texture of recordings; where these are too few, that of the VAE that training started from, if any.

    Where too few are long enough, theirs with the start's course in time.
    """
    kept = None if start is None else Texture.load(start)
    try:
        return learned(dataset, vae, asked, compute, kept)[0]
    except DataError:
        return kept


def learned(
    dataset: Path, vae: Path, asked: TextureFitSettings, compute: Compute = HERE, kept: Texture | None = None
) -> tuple[Texture, list[Record], bool]:
    """The texture of TRAIN videos, one of each patient, evenly spaced in the list.

    Args:
        dataset: dataset folder.
        vae: model folder of the VAE.
        asked: how many videos, and how.
        compute: where.
        kept: where too few videos are long and fast enough to tell how grain changes in time, its course in time is taken.

    Returns:
        It, the videos, and whether its course in time was learned.

    Raises:
        DataError: too few videos have a sector, or, without ``kept``, are long enough.
    """
    by_patient = {r.patient: r for r in reversed(filelist.read(dataset)) if r.split == "TRAIN"}
    candidates = sorted(by_patient.values(), key=lambda record: record.name)
    records = [candidates[i] for i in clips.spaced(len(candidates), min(asked.videos, len(candidates)))]
    index = filelist.VideoIndex(dataset)
    starts, stills, fast = [], [], []
    for i, record in enumerate(records):
        recording = video.read(index.path(record))
        frames = recording.grey()
        check_frames(frames.shape[1:])
        starts.append(frames[clips.resampled(len(frames), recording.fps, asked.fps)[: asked.frames]])
        stills.append(frames[clips.spaced(len(frames), STILLS)])
        if recording.fps >= SLOWEST * asked.fps and len(starts[-1]) > LAGS[0]:
            fast.append(i)
    moving = kept is None or len(fast) >= LEAST_VIDEOS
    chosen = fast if moving and kept else range(len(records))
    recorded = [(starts if moving else stills)[i] for i in chosen]
    encoder, decoded = codec(vae, devices.resolve(compute.device)), []
    for done, frames in enumerate(recorded, 1):
        latents = encoder.encode(torch.from_numpy(frames))
        decoded.append(grey(encoder.decode(steady(latents, asked.fps) if moving else latents)).numpy())
        compute.progress("decode", done, len(recorded))
    fitted = fit_texture(recorded, decoded, asked.seed, asked.steps, compute.progress, None if moving else kept)
    return fitted, [records[i] for i in chosen], moving


def _readable(vae: Path) -> Texture | None:
    """The VAE's texture, if it has one that can be read: one that cannot is what is made anew."""
    try:
        return Texture.load(vae)
    except ModelError:
        return None


def steady(latents: Tensor, fps: float) -> Tensor:
    """Latents ``(T, C, h, w)`` of a recording without their `FLICKER`, as a video model generates them."""
    smooth = ndimage.gaussian_filter1d(latents.numpy(), FLICKER * fps, axis=0, mode="nearest")
    return torch.from_numpy(smooth)
