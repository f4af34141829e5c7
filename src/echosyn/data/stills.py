"""A folder of latent stills (candidates, kept): shards of ``index`` ``(n,)`` and ``latents`` ``(n, C, h, w)``.

The index of a still is its identity: the item number that its noise was drawn from. It stays the same through the filter
and in the name of the video.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from echosyn.errors import DataError
from echosyn.files import usual_permissions, whole
from echosyn.tensors import aligned


def shard(folder: Path, first: int) -> Path:
    """The file of the shard whose first still has the number ``first``."""
    return folder / f"stills-{first:09d}.safetensors"


def write(folder: Path, indices: Sequence[int], latents: Tensor, more: Mapping[str, Tensor] | None = None) -> None:
    """Write one shard, whole or not at all; with ``more`` tensors ``(n, ...)`` by name."""
    target = shard(folder, indices[0])
    tensors = {"index": torch.tensor(indices), "latents": latents.contiguous()}
    with whole(target) as temporary:
        save_file(tensors | {name: value.contiguous() for name, value in (more or {}).items()}, temporary)
        usual_permissions(temporary)


def shards(folder: Path) -> list[Path]:
    """The files of a folder, in order.

    Raises:
        DataError: the folder has no stills.
    """
    found = sorted(folder.glob("stills-*.safetensors"))
    if not found:
        raise DataError(f"{folder}: no stills; expected the folder that `echosyn sample` or `echosyn filter` wrote")
    return found


def read(folder: Path) -> tuple[list[int], Tensor]:
    """All stills: their numbers and latents ``(n, C, h, w)``, in order of their numbers.

    Raises:
        DataError: the folder has no stills, or a damaged shard.
    """
    indices: list[int] = []
    latents: list[Tensor] = []
    for path in shards(folder):
        content = read_shard(path)
        indices += content["index"].tolist()
        latents.append(content["latents"])
    return indices, torch.cat(latents)


def read_shard(path: Path) -> dict[str, Tensor]:
    """What `write` wrote into one file: ``index``, ``latents`` and more.

    Raises:
        DataError: it is damaged.
    """
    with _opened(path) as file:
        return {name: aligned(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118


def located(folder: Path) -> dict[int, Path]:
    """The file of each still of a folder, in order of their numbers."""
    found: dict[int, Path] = {}
    for path in shards(folder):
        with _opened(path) as file:
            found |= dict.fromkeys(file.get_tensor("index").tolist(), path)
    return found


def pick(path: Path, numbers: Sequence[int]) -> Tensor:
    """Latents ``(n, C, h, w)`` of some stills of a file."""
    with _opened(path) as file:
        rows = {number: row for row, number in enumerate(file.get_tensor("index").tolist())}
        stored = file.get_slice("latents")
        return torch.stack([stored[rows[n]] for n in numbers])


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise DataError(f"{path}: not readable as stills ({error}); sample again") from error


def name(index: int) -> str:
    """The name of the video made from a still."""
    return f"synthetic_{index:06d}"
