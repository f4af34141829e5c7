"""``echosyn decode``: latent stills as images, or images through the VAE and back, for metrics that read folders of images."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from echosyn import device as devices
from echosyn import weights
from echosyn.data import images, stills
from echosyn.diffusion.codec import LatentCodec, grey
from echosyn.errors import ConfigError, DataError
from echosyn.pipeline.folder import new_folder
from echosyn.pipeline.given_stills import as_stills, read_alike
from echosyn.pipeline.models import codec
from echosyn.pipeline.workers.compute import HERE, Compute
from echosyn.settings.making import DecodeSettings


def decode(source: Path, out: Path, vae: Path, asked: DecodeSettings, compute: Compute = HERE) -> dict[str, Any]:
    """Write grey images: ``synthetic_000012.png`` of each still, or each image of a folder, reconstructed, under its path.

    A reconstruction decodes the posterior's mean, as published.

    Args:
        source: stills (also as ``.pt`` files), or images, below sub-folders too.
        out: new folder.
        vae: model folder.
        asked: how.
        compute: where.

    Raises:
        DataError: there is neither, or a file is damaged.
    """
    if asked.batch_size < 1:
        raise ConfigError(f"--batch-size {asked.batch_size}: expected at least 1")
    if not source.is_dir():
        raise DataError(f"{source}: no such folder; expected stills of `echosyn sample` or `echosyn filter`, or images")
    decoder = codec(vae, devices.resolve(compute.device))
    pictures = sorted(path for path in source.rglob("*") if images.is_image(path))
    are_stills = any(source.glob("stills-*.safetensors")) or any(source.glob("*.pt"))
    settings = {"format": asked.image_format}
    with new_folder(out, "decode", settings, {"source": source, "vae": weights.resolve(vae)}) as folder:
        working = folder / "stills"
        if are_stills or not pictures:
            files = stills.located(as_stills(source, working))
            made, total = _decoded(files, decoder, asked.batch_size), len(files)
        else:
            made, total = _reconstructed(source, pictures, decoder, asked.batch_size), len(pictures)
        done = 0
        for names, frames in made:
            for name, image in zip(names, grey(frames).numpy(), strict=True):
                path = folder / f"{name}.{asked.image_format}"
                path.parent.mkdir(parents=True, exist_ok=True)
                images.write(path, image)
            done += len(names)
            compute.progress("decode", done, total)
        shutil.rmtree(working, ignore_errors=True)
    return {"images": str(out), "of": "stills" if are_stills else "images", "number": total}


def _decoded(files: dict[int, Path], decoder: LatentCodec, size: int) -> Iterator[tuple[Sequence[str], Tensor]]:
    by_file: dict[Path, list[int]] = {}
    for number, path in files.items():
        by_file.setdefault(path, []).append(number)
    for path, numbers in by_file.items():
        for i in range(0, len(numbers), size):
            part = numbers[i : i + size]
            yield [stills.name(number) for number in part], decoder.decode(stills.pick(path, part))


def _reconstructed(
    source: Path, pictures: Sequence[Path], decoder: LatentCodec, size: int
) -> Iterator[tuple[Sequence[str], Tensor]]:
    for i in range(0, len(pictures), size):
        part = pictures[i : i + size]
        names = [path.relative_to(source).with_suffix("").as_posix() for path in part]
        yield names, decoder.decode(decoder.encode(read_alike(part)))
