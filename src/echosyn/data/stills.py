"""A folder of latent stills (candidates, kept): shards of ``index`` ``(n,)`` and ``latents`` ``(n, C, h, w)``.

The index of a still is its identity: the item number that its noise was drawn from. It stays the same through the filter
and in the name of the video.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from echosyn.errors import DataError
from echosyn.files import usual_permissions


def shard(folder: Path, first: int) -> Path:
    """The file of the shard whose first still has the number ``first``."""
    return folder / f"stills-{first:09d}.safetensors"


def write(folder: Path, indices: Sequence[int], latents: Tensor) -> None:
    """Write one shard, whole or not at all."""
    target = shard(folder, indices[0])
    temporary = target.with_suffix(".tmp")
    save_file({"index": torch.tensor(indices), "latents": latents.contiguous()}, temporary)
    usual_permissions(temporary)
    temporary.replace(target)


def read(folder: Path) -> tuple[list[int], Tensor]:
    """All stills: their numbers and latents ``(n, C, h, w)``, in order of their numbers.

    Raises:
        DataError: the folder has no stills, or a damaged shard.
    """
    shards = sorted(folder.glob("stills-*.safetensors"))
    if not shards:
        raise DataError(f"{folder}: no stills; expected the folder that `echosyn sample` or `echosyn filter` wrote")
    indices: list[int] = []
    latents: list[Tensor] = []
    for path in shards:
        try:
            content = load_file(path)
        except SafetensorError as error:
            raise DataError(f"{path}: not readable as stills ({error}); sample again") from error
        indices += content["index"].tolist()
        latents.append(content["latents"])
    return indices, torch.cat(latents)


def name(index: int) -> str:
    """The name of the video made from a still."""
    return f"synthetic_{index:06d}"
