"""The page's own temporary folder: made videos by unguessable names, within a size, gone with the server."""

import json
import os
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from echosyn.data import video

if TYPE_CHECKING:
    from echosyn.pipeline.demo.session import Beat, Pixels

KINDS = {"avi": "video/x-msvideo", "mp4": "video/mp4", "gif": "image/gif", "json": "application/json"}
UPLOADS = "uploads"
UPLOAD_AGE_S = 600.0
"""An upload that nobody reads goes after that."""
PREFIX = "echosyn-page-"
_NAME = re.compile(r"[A-Za-z0-9_-]{22}")


@dataclass(frozen=True)
class Item:
    """Something made, on disk."""

    name: str
    folder: Path

    def file(self, kind: str) -> Path:
        """Its file of one of `KINDS`."""
        return self.folder / f"heart.{kind}"


class Shelf:
    """A temporary folder that never holds much more than ``max_bytes``, nor anything for longer than ``age_s``.

    Args:
        max_bytes: of made videos; the oldest go first.
        age_s: after which they go in any case.
        clock: seconds, rising.
    """

    def __init__(self, max_bytes: int, age_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        remove_abandoned()
        self.root = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        self.uploads = self.root / UPLOADS
        self.uploads.mkdir()
        self.max_bytes, self.age_s, self.clock = max_bytes, age_s, clock
        self._items: dict[str, tuple[float, Item, int]] = {}
        self._lock = threading.Lock()

    @property
    def num_bytes(self) -> int:
        """Of all files below the folder."""
        return sum(path.lstat().st_size for path in self.root.rglob("*") if path.is_file())

    def put(self, made: "Beat", *, deidentified: bool = True) -> Item:
        """Write a video as AVI, MP4 and GIF with its recipe; make room first where needed."""
        name = secrets.token_urlsafe(16)
        item = Item(name, self.root / name)
        item.folder.mkdir()
        try:
            video.write_avi(item.file("avi"), made.frames, made.fps)
            video.write_mp4(item.file("mp4"), made.frames, made.fps)
            video.write_gif(item.file("gif"), made.frames, made.fps)
            item.file("json").write_text(described(made, deidentified))
        except BaseException:
            shutil.rmtree(item.folder, ignore_errors=True)
            raise
        self._keep(item)
        return item

    def put_mp4(self, frames: "Pixels", fps: float) -> Item:
        """Write a video for showing only."""
        name = secrets.token_urlsafe(16)
        item = Item(name, self.root / name)
        item.folder.mkdir()
        video.write_mp4(item.file("mp4"), frames, fps)
        self._keep(item)
        return item

    def mp4(self, frames: "Pixels", fps: float) -> bytes:
        """A video for showing that is not kept."""
        with tempfile.TemporaryDirectory(dir=self.root) as folder:
            path = Path(folder) / "video.mp4"
            video.write_mp4(path, frames, fps)
            return path.read_bytes()

    def get(self, name: str, kind: str) -> Path | None:
        """The file of an item; None where there is none (any more)."""
        with self._lock:
            self.tidy()
            found = self._items.get(name) if kind in KINDS and _NAME.fullmatch(name) else None
        return None if found is None or not found[1].file(kind).is_file() else found[1].file(kind)

    def upload(self) -> tuple[str, Path]:
        """Name and place for an upload; whoever reads it removes it."""
        name = secrets.token_urlsafe(16)
        return name, self.uploads / name

    def uploaded(self, name: object) -> Path:
        """The place of an upload, there or not."""
        good = isinstance(name, str) and _NAME.fullmatch(name)
        return self.uploads / str(name) if good else self.uploads / "none"

    def tidy(self) -> None:
        """Remove what is too old or too much; so do uploads that nobody has read."""
        total = sum(size for _, _, size in self._items.values())
        for name, (since, item, size) in list(self._items.items()):
            if total > self.max_bytes or self.clock() - since > self.age_s:
                shutil.rmtree(item.folder, ignore_errors=True)
                del self._items[name]
                total -= size
        now = time.time()
        for path in self.uploads.iterdir():
            if now - path.lstat().st_mtime > min(UPLOAD_AGE_S, self.age_s):
                path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.root, ignore_errors=True)

    def _keep(self, item: Item) -> None:
        size = sum(path.stat().st_size for path in item.folder.iterdir())
        with self._lock:
            self._items[item.name] = (self.clock(), item, size)
            self.tidy()


def remove_abandoned() -> None:
    """Remove the folders of this user's servers that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)) and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)


def described(made: "Beat", deidentified: bool) -> str:
    """The JSON that is downloaded with a video."""
    facts: dict[str, Any] = {"measured_ef": made.measured_ef, "deidentified": deidentified}
    if made.recipe is not None:
        facts = made.recipe.model_dump(mode="json") | facts
    else:
        facts |= {"format": "echosyn video 1", "ef": made.requested_ef, "frames": len(made.frames)}
    return json.dumps(facts, indent=2, sort_keys=True) + "\n"
