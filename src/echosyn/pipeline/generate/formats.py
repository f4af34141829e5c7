"""Stills and videos in further formats beside those that the next verb reads: what ``--save-as`` asks for."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from echosyn.data import images, stills, video
from echosyn.data.frames import Frames
from echosyn.diffusion.codec import LatentCodec, grey
from echosyn.errors import ConfigError
from echosyn.files import whole
from echosyn.pipeline.workers.shards import WHOLE, Shard

IMAGES, LATENTS = "images", "latents"
"""Folders of decoded stills, and of their latents as ``.pt``, where EchoNet-Synthetic has them."""
OF_STILLS = ("png", "jpg", "pt")
OF_VIDEOS = ("avi", "mp4", "gif", "jpg", "png", "pt")


def parsed(text: str | None, known: Sequence[str], shard: Shard) -> tuple[str, ...]:
    """``avi,jpg`` as names of formats, without AVI, which is always written.

    Raises:
        ConfigError: one is unknown, or is asked of a part of a set, which `merge` joins without it.
    """
    names = tuple(dict.fromkeys(name.strip().lower() for name in (text or "").split(",") if name.strip()))
    if odd := [name for name in names if name not in known]:
        raise ConfigError(f"--save-as {odd[0]}: expected some of {','.join(known)}")
    names = tuple(name for name in names if name != "avi")
    if names and shard != WHOLE:
        raise ConfigError(
            f"--save-as {','.join(names)}: `echosyn merge` joins parts without them: leave it or --shard out"
        )
    return names


def save_stills(
    folder: Path, numbers: Sequence[int], latents: Tensor, formats: Sequence[str], decoder: LatentCodec | None
) -> None:
    """Write stills ``(n, C, h, w)`` below a folder: ``images/NAME.png`` decoded, ``latents/NAME.pt`` as they are."""
    for kind in formats:
        (folder / (LATENTS if kind == "pt" else IMAGES)).mkdir(exist_ok=True)
    names = [stills.name(number) for number in numbers]
    if "pt" in formats:
        for name, one in zip(names, latents, strict=True):
            _save_tensor(folder / LATENTS / f"{name}.pt", one)
    shown = [kind for kind in formats if kind != "pt"]
    if shown and decoder is not None:
        for name, image in zip(names, grey(decoder.decode(latents)).numpy(), strict=True):
            for kind in shown:
                images.write(folder / IMAGES / f"{name}.{kind}", image)


def files_of_stills(folder: Path, numbers: Sequence[int], formats: Sequence[str]) -> list[Path]:
    """What `save_stills` writes."""
    places = {kind: folder / (LATENTS if kind == "pt" else IMAGES) for kind in formats}
    return [place / f"{stills.name(number)}.{kind}" for kind, place in places.items() for number in numbers]


def files_of_video(folder: Path, name: str, formats: Sequence[str]) -> list[Path]:
    """What `save_video` writes: files, and folders of images."""
    return [folder / kind / (name if kind in ("png", "jpg") else f"{name}.{kind}") for kind in formats]


def save_video(folder: Path, name: str, frames: Frames, fps: float, formats: Sequence[str]) -> None:
    """Write a grey video ``(T, H, W)`` as ``FORMAT/NAME``: a file, or for images and a clip's tensor what others read.

    ``pt`` is uint8 ``(T, H, W, 3)``, as EchoNet-Synthetic writes it.
    """
    for kind in formats:
        path = folder / kind / name
        path.parent.mkdir(exist_ok=True)
        if kind in ("mp4", "gif"):
            write = video.write_mp4 if kind == "mp4" else video.write_gif
            write(path.with_name(f"{name}.{kind}"), frames, fps)
        elif kind in ("png", "jpg"):
            shutil.rmtree(path, ignore_errors=True)
            video.write_images(path, frames, f".{kind}")
        elif kind == "pt":
            _save_tensor(path.with_name(f"{name}.pt"), torch.from_numpy(frames[..., None].repeat(3, axis=-1)))


def _save_tensor(path: Path, tensor: Tensor) -> None:
    with whole(path) as temporary:
        torch.save(tensor.clone(), temporary)
