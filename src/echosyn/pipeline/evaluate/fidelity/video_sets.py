"""The sets that are compared: dataset folders, or folders of (folders of) images. Their content counts, not their names."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from echosyn.data import filelist, images, video
from echosyn.data.records import Record
from echosyn.errors import DataError
from echosyn.hashing import file_hash


@dataclass(frozen=True)
class Item:
    """One video, or one still."""

    name: str
    path: Path
    """A video file, a folder of images, or one image: a still."""
    patient: str

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content: of the file, or of the images in the order of their names."""
        if self.path.is_file():
            return file_hash(self.path)
        return hashlib.sha256("".join(file_hash(p) for p in images.files(self.path)).encode()).hexdigest()

    @property
    def is_still(self) -> bool:
        """Whether it is a single image."""
        return images.is_image(self.path)

    def read(self) -> tuple[NDArray[np.uint8], float | None]:
        """Frames, uint8 ``(T, H, W)`` or ``(T, H, W, 3)``, and their rate; images have none."""
        if self.is_still:
            return images.read(self.path)[None], None
        if self.path.is_file():
            recording = video.read(self.path)
            return recording.grey(), recording.fps
        frames = [images.read(path) for path in images.files(self.path)]
        if len({frame.shape for frame in frames}) > 1:
            raise DataError(f"{self.path}: images of unequal sizes or colours, expected frames of one video")
        return np.stack(frames), None


@dataclass(frozen=True, eq=False)
class VideoSet:
    """One side of a comparison, in an order of its own."""

    items: Sequence[Item]

    @cached_property
    def sha256(self) -> str:
        """Hash of what the videos show, whatever they are called and however they are ordered."""
        return hashlib.sha256("\n".join(sorted(item.digest for item in self.items)).encode()).hexdigest()

    @cached_property
    def patients(self) -> NDArray[np.int64]:
        """A number for each item's patient, counted in order of appearance: names have no say."""
        seen: dict[str, int] = {}
        return np.array([seen.setdefault(item.patient, len(seen)) for item in self.items], dtype=np.int64)

    @property
    def are_stills(self) -> bool:
        """Whether they are single images, of which each is a patient of its own."""
        return any(item.is_still for item in self.items)


def of_records(dataset: Path, records: Sequence[Record], order: Literal["content", "name"]) -> VideoSet:
    """Videos of a dataset folder."""
    index = filelist.VideoIndex(dataset)
    return _ordered([Item(r.name, index.path(r), r.patient) for r in records], order)


def of_images(folder: Path, order: Literal["content", "name"]) -> VideoSet:
    """A folder with one folder of images for each video, or with one image for each still.

    Raises:
        DataError: there are none, or both.
    """
    found = [Item(p.name, p, p.name) for p in folder.iterdir() if p.is_dir() and images.files(p)]
    stills = [Item(p.name, p, p.name) for p in images.files(folder)]
    if found and stills:
        raise DataError(f"{folder}: has images and folders of images; expected stills or videos: move one of them away")
    if not found and not stills:
        raise DataError(
            f"{folder}: no images; expected a dataset folder, one folder of images for each video, or images of stills"
        )
    return _ordered(found or stills, order)


def is_dataset(folder: Path) -> bool:
    """Whether a folder is a dataset, rather than a folder of folders of images."""
    return (
        any(p.name.casefold() == filelist.FILE_LIST.casefold() for p in folder.iterdir()) if folder.is_dir() else True
    )


def _ordered(items: Sequence[Item], order: Literal["content", "name"]) -> VideoSet:
    # names as part of a path: "a/0.png" comes after "a-b/0.png"
    return VideoSet(sorted(items, key=(lambda i: i.digest) if order == "content" else (lambda i: f"{i.name}/")))
