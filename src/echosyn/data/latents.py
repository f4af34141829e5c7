"""A latents folder: a dataset folder whose videos are scaled latents, one safetensors file each, readable in part.

``FileList.csv`` is that of the videos, ``Latents/NAME.safetensors`` holds ``latents`` ``(T, C, h, w)`` float32 and, where
it was tracked, ``course`` ``(T,)``: the part of the stroke volume that has left the ventricle. ``latents.json`` says which
VAE made them. A folder that EchoNet-Synthetic's encoder wrote has ``Latents/NAME.pt`` and does not say: it is read as it is.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, from_numpy

from echosyn.data.clips import Indices
from echosyn.data.records import Record
from echosyn.errors import DataError
from echosyn.files import usual_permissions, whole
from echosyn.tensors import aligned, read_pt

INFO = "latents.json"
KEY = "latents"
COURSE = "course"


def path(folder: Path, record: Record) -> Path:
    """Where the latents of a video are, or are written."""
    return folder / "Latents" / f"{record.name}.safetensors"


def write(folder: Path, record: Record, latents: Tensor, course: NDArray[np.float64] | None = None) -> None:
    """Write the latents ``(T, C, h, w)`` of one video and its course ``(T,)``, whole or not at all."""
    target = path(folder, record)
    target.parent.mkdir(parents=True, exist_ok=True)
    tensors = {KEY: latents.contiguous()}
    if course is not None:
        tensors[COURSE] = from_numpy(course).float()
    with whole(target) as temporary:
        save_file(tensors, temporary)
        usual_permissions(temporary)


def read(folder: Path, record: Record, indices: Indices | Sequence[int] | None = None) -> Tensor:
    """Latents ``(T, C, h, w)`` of the given frames, or of all; only the span between the first and last is read.

    Raises:
        DataError: the file is missing, damaged or shorter than asked.
    """
    source = path(folder, record)
    with _opened(source) as file:
        stored = file.get_slice(KEY)
        if indices is None:
            return aligned(from_numpy(stored[:]))
        wanted = np.asarray(indices, dtype=np.int64)
        count = stored.get_shape()[0]
        if len(wanted) == 0 or wanted.min() < 0 or wanted.max() >= count:
            raise DataError(f"{source}: frames asked for are outside 0..{count - 1}; encode the dataset again")
        first = int(wanted.min())
        return aligned(from_numpy(stored[first : int(wanted.max()) + 1][wanted - first]))


def count(folder: Path, record: Record) -> int:
    """How many frames the latents of a video have, whatever ``FileList.csv`` says; only the file's header is read.

    Raises:
        DataError: the file is missing or damaged.
    """
    with _opened(path(folder, record)) as file:
        return int(file.get_slice(KEY).get_shape()[0])


def drawn(folder: Path, record: Record, draws: np.random.Generator) -> Tensor:
    """A random frame ``(C, h, w)`` of a video."""
    return read(folder, record, [int(draws.integers(count(folder, record)))])[0]


def read_course(folder: Path, record: Record) -> NDArray[np.float32] | None:
    """When the heart of a video contracts, ``(T,)`` in 0..1; none if its ventricle was not tracked.

    Raises:
        DataError: the file is missing or damaged.
    """
    with _opened(path(folder, record)) as file:
        return file.get_tensor(COURSE) if COURSE in file.keys() else None  # noqa: SIM118


class _Published:
    """A ``.pt`` file with the latents ``(T, C, h, w)`` of a video, as safetensors' files are asked for theirs."""

    def __init__(self, source: Path) -> None:
        self.stored = read_pt(source).float().numpy()

    def get_slice(self, _: str) -> "_Published":
        return self

    def get_shape(self) -> tuple[int, ...]:
        return self.stored.shape

    def __getitem__(self, rows: slice) -> NDArray[np.float32]:
        return np.array(self.stored[rows])

    def keys(self) -> tuple[str, ...]:
        return (KEY,)


@contextmanager
def _opened(source: Path) -> Iterator[Any]:
    published = source.with_suffix(".pt")
    if published.is_file() and not source.is_file():
        yield _Published(published)
        return
    try:
        with safe_open(source, framework="np") as file:
            yield file
    except FileNotFoundError as error:
        raise DataError(
            f"{source}: missing; expected one file a video of FileList.csv, encode the dataset again"
        ) from error
    except SafetensorError as error:
        raise DataError(f"{source}: not readable as latents ({error}); encode the dataset again") from error


def write_info(folder: Path, **facts: object) -> None:
    """Write what made the latents: ``vae`` (hash of its weights), ``pixels``, ``posterior``, ``shape`` of a frame."""
    with whole(folder / INFO) as temporary:
        temporary.write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")


def info(folder: Path, *, sparse: bool = False) -> dict[str, object]:
    """What made the latents; a folder without it is not a latents folder.

    Args:
        folder: latents folder.
        sparse: whether one with only every n-th frame, ``every``, will do.

    Raises:
        DataError: it is no latents folder, or lacks frames.
    """
    try:
        facts: dict[str, object] = json.loads((folder / INFO).read_text())
    except FileNotFoundError as error:
        if next((folder / "Latents").glob("*.pt"), None) is not None:
            return {"pixels": "published", "posterior": "sample"}
        raise DataError(
            f"{folder}: not a latents folder (no {INFO}); make one with: echosyn encode DATASET {folder} --vae MODEL"
        ) from error
    except json.JSONDecodeError as error:
        raise DataError(f"{folder / INFO}: not JSON ({error}); encode the dataset again") from error
    if not sparse and facts.get("every", 1) != 1:
        raise DataError(
            f"{folder}: holds every {facts['every']}th frame only, to compare stills with; expected all: encode the dataset"
        )
    return facts
