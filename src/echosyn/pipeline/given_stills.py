"""Stills in other forms than ours: a folder of ``.pt`` latents as EchoNet-Synthetic has them, or of images to be encoded."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from echosyn import device as devices
from echosyn import rng
from echosyn.data import images, stills
from echosyn.diffusion.codec import LatentCodec, check_frames, grey
from echosyn.errors import DataError
from echosyn.pipeline.models import codec
from echosyn.tensors import aligned, read_pt

PER_FILE = 256
"""Stills in one file."""


def numbered(folder: Path) -> dict[int, Path]:
    """The file of each still of a folder, ours or others', in order of their numbers.

    Others' are numbered as their names end (``sample_000012.pt`` is 12), or counted in the order of their names.

    Raises:
        DataError: the folder has no stills.
    """
    files = _others(folder)
    if not files:
        return stills.located(folder)
    ends = [re.search(r"\d+$", path.stem) for path in files]
    numbers = [int(end[0]) for end in ends if end]
    if len(set(numbers)) < len(files) or max(numbers) >= 2**31:
        numbers = list(range(len(files)))
    return dict(sorted(zip(numbers, files, strict=True)))


def as_stills(folder: Path, into: Path, vae: Path | None = None, seed: int = 0, device: str = "auto") -> Path:
    """The folder itself, or ``into`` with its ``.pt`` latents or images as stills of ours; files that are there stay.

    Args:
        folder: stills, ``.pt`` files of latents ``(C, h, w)`` or ``(1, C, h, w)``, or images.
        into: folder for what is written.
        vae: model folder that encodes images: a posterior sample each, which depends on (seed, number) alone.
        seed: of these samples.
        device: where to encode.

    Raises:
        DataError: a file cannot be read or is of another size than the first; or images without a VAE.
    """
    files = _others(folder)
    if not files:
        return folder
    into.mkdir(exist_ok=True)
    read = _latents if files[0].suffix == ".pt" else _encoding(folder, vae, seed, device)
    items = list(numbered(folder).items())
    for start in range(0, len(items), PER_FILE):
        numbers, paths = zip(*items[start : start + PER_FILE], strict=True)
        if not stills.shard(into, numbers[0]).exists():
            stills.write(into, numbers, read(numbers, paths))
    return into


def _others(folder: Path) -> list[Path]:
    """Files that are stills of others: latents, else images; none where there are some of ours."""
    if not folder.is_dir() or next(folder.glob("stills-*.safetensors"), None) is not None:
        return []
    return sorted(path for path in folder.glob("*.pt") if not path.name.startswith(".")) or images.files(folder)


def _latents(_: Sequence[int], paths: Sequence[Path]) -> Tensor:
    found = [read_pt(path).float() for path in paths]
    latents = [one[0] if one.ndim == 4 and len(one) == 1 else one for one in found]
    for path, one in zip(paths, latents, strict=True):
        if one.ndim != 3 or one.shape != latents[0].shape:
            raise DataError(
                f"{path}: holds a tensor {tuple(one.shape)}, expected latents of a still (C, h, w), all of one size"
            )
    return torch.stack([aligned(one) for one in latents])


def _encoding(folder: Path, vae: Path | None, seed: int, device: str) -> Callable[..., Tensor]:
    if vae is None:
        raise DataError(f"{folder}: holds images, expected latents: stills of `echosyn sample`, or .pt files")
    encoder = codec(vae, devices.resolve(device))

    def read(numbers: Sequence[int], paths: Sequence[Path]) -> Tensor:
        return encoded(encoder, read_alike(paths), numbers, seed)

    return read


def encoded(encoder: LatentCodec, pixels: Tensor, numbers: Sequence[int], seed: int) -> Tensor:
    """A posterior sample of each uint8 still ``(n, H, W)``, which depends on (seed, number) alone: ``(n, C, h, w)``."""
    noise = rng.normal(encoder.latent_shape(pixels.shape[1:]), seed, "encode still", numbers)
    return encoder.encode(pixels, noise)


def read_alike(paths: Sequence[Path]) -> Tensor:
    """Images of one size as uint8 grey ``(n, H, W)``.

    Raises:
        DataError: one cannot be read or is of another size.
        ModelError: their size does not fit a VAE.
    """
    found = [images.read(path) for path in paths]
    for path, image in zip(paths, found, strict=True):
        if image.shape[:2] != found[0].shape[:2]:
            height, width = image.shape[:2]
            raise DataError(f"{path}: {width}x{height} pixels, others are of another size; expected all of one")
    check_frames(found[0].shape[:2])
    return torch.stack([grey(torch.from_numpy(np.atleast_3d(image))) for image in found])
