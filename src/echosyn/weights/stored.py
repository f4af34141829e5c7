"""The weights of a diffusers folder in every form that diffusers writes: one file, shards, half precision, a pickle.

Of several forms the first of `_candidates` is read. Shards are joined, half precision becomes float32, and a pickle
(``.bin``) may hold tensors by name and nothing else.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from torch import Tensor

from echosyn.errors import ModelError
from echosyn.hashing import file_hash
from echosyn.tensors import aligned, read_tensors
from echosyn.weights.pickles import unpickled

STEM = "diffusion_pytorch_model"
WEIGHTS = f"{STEM}.safetensors"

_INDEX = re.compile(rf"{STEM}\.(safetensors|bin)\.index(\.\w+)?\.json")
_FILE = re.compile(rf"{STEM}(\.\w+)?\.(safetensors|bin)")
_SHARD = re.compile(rf"{STEM}(\.\w+)?-\d+-of-\d+\.(safetensors|bin)")
_LIKE_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".msgpack", ".onnx", ".gguf", ".h5")


def files(folder: Path) -> list[Path]:
    """The files that the weights of a model folder are read from: one, or an index and its shards.

    Raises:
        ModelError: there are none, a shard is missing, or variants leave open which is meant.
    """
    chosen = _chosen(folder)
    return [chosen, *_shards(chosen)] if _INDEX.fullmatch(chosen.name) else [chosen]


def read(folder: Path) -> dict[str, Tensor]:
    """The weights of a model folder by name, in aligned memory; floating numbers as float32.

    Raises:
        ModelError: there are none, one is missing, they are damaged, or a pickle holds more than tensors.
    """
    first, *shards = files(folder)
    found: dict[str, Tensor] = {}
    for path in shards or [first]:
        found |= _tensors(path) if path.suffix == ".bin" else _whole(path)
    if shards and (lost := sorted(_index(first).keys() - found.keys())):
        raise ModelError(f"{first}: names {lost[0]!r}, which {_index(first)[lost[0]]} lacks; copy the folder again")
    return {name: aligned(value.float() if value.is_floating_point() else value) for name, value in found.items()}


def digest(folder: Path) -> str:
    """SHA-256 of a model folder's weights: of its one file, or over names and hashes of an index and its shards.

    Raises:
        ModelError: as `files`.
    """
    found = files(folder)
    if len(found) == 1:
        return file_hash(found[0])
    return hashlib.sha256("".join(f"{path.name}\0{file_hash(path)}\n" for path in found).encode()).hexdigest()


def _chosen(folder: Path) -> Path:
    """The file or index to read."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    for kind in _candidates(names):
        if len(kind) > 1:
            raise ModelError(f"{folder}: has {len(kind)} forms of its weights ({', '.join(kind)}); leave one of them")
        if kind:
            return folder / kind[0]
    if shards := [name for name in names if _SHARD.fullmatch(name)]:
        raise ModelError(f"{folder}: has {shards[0]} but no {STEM}.safetensors.index.json; copy the folder again")
    there = [name for name in names if name.endswith(_LIKE_WEIGHTS)]
    what = f"; it has {', '.join(there[:3])}" if there else ""
    raise ModelError(f"{folder}: has no {WEIGHTS}{what}; expected a diffusers model folder")


def _candidates(names: list[str]) -> list[list[str]]:
    """Names by preference: safetensors before pickles, whole before half precision, one file before shards."""
    ordered: list[list[str]] = []
    for suffix in ("safetensors", "bin"):
        whole, index = f"{STEM}.{suffix}", f"{STEM}.{suffix}.index.json"
        of_kind = [name for name in names if (m := _FILE.fullmatch(name)) and m.group(2) == suffix and name != whole]
        indices = [name for name in names if (m := _INDEX.fullmatch(name)) and m.group(1) == suffix and name != index]
        ordered += [[name for name in names if name == whole], [name for name in names if name == index]]
        ordered += [of_kind, indices]
    return ordered


def _index(path: Path) -> Mapping[str, str]:
    """Which file holds which tensor."""
    try:
        table = json.loads(path.read_text())["weight_map"]
        names = {str(tensor): str(file) for tensor, file in table.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: no readable index of shards (expected weight_map); copy the folder again") from error
    if odd := [name for name in names.values() if Path(name).name != name or not _SHARD.fullmatch(name)]:
        raise ModelError(
            f"{path}: names {odd[0]!r}, expected a file beside it such as {STEM}-00001-of-00002.safetensors"
        )
    return names


def _shards(index: Path) -> list[Path]:
    found = [index.parent / name for name in sorted(set(_index(index).values()))]
    if not found:
        raise ModelError(f"{index}: names no shards; copy the folder again")
    if missing := [path.name for path in found if not path.is_file()]:
        raise ModelError(
            f"{index.parent}: {len(missing)} of {len(found)} shards missing, first {missing[0]}; copy the folder again"
        )
    return found


def _whole(path: Path) -> dict[str, Tensor]:
    try:
        return read_tensors(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: its weights cannot be loaded ({error}); copy or train the model again") from error


def _tensors(path: Path) -> dict[str, Tensor]:
    """What a pickle holds: tensors by name, and nothing else."""
    content = unpickled(path)
    if not isinstance(content, Mapping):
        raise ModelError(f"{path}: holds a {type(content).__name__}, expected tensors by name")
    if odd := [name for name, value in content.items() if not isinstance(value, Tensor)]:
        raise ModelError(
            f"{path}: {odd[0]!r} is a {type(content[odd[0]]).__name__}, expected tensors by name and nothing else"
        )
    return {str(name): value for name, value in content.items()}
