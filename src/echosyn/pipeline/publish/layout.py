"""Where the files of a release lie: EchoNet-Dynamic's folder, and beside it the same videos as MP4, a folder a split."""

import math
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, repeat
from pathlib import Path

from echosyn.data import filelist, table, video
from echosyn.data.records import Record
from echosyn.data.splits import EXTRA, SPLITS, Split
from echosyn.errors import ConfigError
from echosyn.files import whole
from echosyn.hashing import PROVENANCE, file_hash
from echosyn.progress import Progress, silent

MAX_FILES = 10_000
"""Files that the Hugging Face hub allows in a folder."""

MP4 = "mp4"
METADATA = "metadata.csv"
FOLDERS: dict[Split, str] = {"TRAIN": "train", "VAL": "validation", "TEST": "test", EXTRA: "extra"}
"""Splits as the hub calls them."""


@dataclass(frozen=True)
class Item:
    """One video of a release."""

    record: Record
    source: Path
    avi: str
    """Path below the release."""
    mp4: str


def splits_asked(text: str, num: int) -> list[Split]:
    """``7465,1288,1277`` -> the split of each of ``num`` videos, as `in_order`; anything else is a `ConfigError`."""
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = []
    if len(counts) != len(SPLITS):
        raise ConfigError(f"--splits {text}: expected TRAIN,VAL,TEST, three counts such as 7465,1288,1277")
    return in_order(counts, num, f"--splits {text}")


def in_order(counts: Sequence[int], num: int, asked: str) -> list[Split]:
    """The split of each of ``num`` videos in order, what is left over is EXTRA.

    Args:
        counts: of TRAIN, VAL and TEST videos.
        num: how many videos there are.
        asked: the options that were given, for the error.

    Raises:
        ConfigError: a negative count, or more videos than there are.
    """
    if min(counts) < 0:
        raise ConfigError(f"{asked}: expected counts of at least 0")
    if sum(counts) > num:
        raise ConfigError(f"{asked}: {sum(counts)} videos requested, {num} available; ask for fewer or generate more")
    chosen = chain.from_iterable(repeat(split, count) for split, count in zip(SPLITS, counts, strict=True))
    return [*chosen, *repeat(EXTRA, num - sum(counts))]


def plan(dataset: Path, splits: str | None = None, max_files: int = MAX_FILES) -> list[Item]:
    """Every video of a dataset with its place in the release, in the order of its file list.

    Columns that EchoNet-Dynamic does not know stay behind: nobody said what is in them.
    """
    records = filelist.read(dataset, extra=True)
    chosen = splits_asked(splits, len(records)) if splits else [record.split for record in records]
    records = [replace(record, split=split, extra={}) for record, split in zip(records, chosen, strict=True)]
    index = filelist.VideoIndex(dataset)
    avis = _shards(f"{filelist.VIDEOS}/", len(records), max_files)
    mp4s = {s: _shards(f"{MP4}/{f}/", chosen.count(s), max_files, others=1) for s, f in FOLDERS.items()}
    return [Item(r, index.path(r), f"{next(avis)}{r.name}.avi", f"{next(mp4s[r.split])}{r.name}.mp4") for r in records]


def write(items: Sequence[Item], folder: Path, progress: Progress = silent) -> None:
    """Copy the AVIs, encode the MP4s and write the tables; videos that are there already are kept."""
    for path in {(folder / name).parent for item in items for name in (item.avi, item.mp4)}:
        path.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, _ in enumerate(pool.map(lambda item: _place(item, folder), items), start=1):
            progress("publish", done, len(items))
    filelist.write(folder, [item.record for item in items])
    for split, name in FOLDERS.items():
        if rows := [list(_row(item, folder)) for item in items if item.record.split == split]:
            table.write(folder / MP4 / name / METADATA, _COLUMNS, rows)


_COLUMNS = ("file_name", "EF", "ESV", "EDV", "FPS", "NumberOfFrames", "Split", "sha256", "avi", "avi_sha256")


def _row(item: Item, folder: Path) -> Iterator[str]:
    record = item.record
    yield Path(item.mp4).relative_to(Path(MP4) / FOLDERS[record.split]).as_posix()
    yield from ("" if value is None else repr(float(value)) for value in (record.ef, record.esv, record.edv))
    yield from ("" if value is None else f"{value:g}" for value in (record.fps, record.num_frames))
    yield record.split
    yield file_hash(folder / item.mp4)
    yield item.avi
    yield file_hash(folder / item.avi)


def empty(folder: Path) -> None:
    """Remove what a stopped call, or somebody after it, has left in a folder that is being made."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != PROVENANCE:
            path.unlink()


def _place(item: Item, folder: Path) -> None:
    """Anew, whatever a stopped call has left there: what leaves is made of the dataset that was checked."""
    avi, mp4 = folder / item.avi, folder / item.mp4
    with whole(avi) as temporary:
        shutil.copyfile(item.source, temporary)
    recording = video.read(avi)
    video.write_mp4(mp4, recording.frames, recording.fps)


def _shards(folder: str, num: int, max_files: int, others: int = 0) -> Iterator[str]:
    """The folder of each of ``num`` files: the given one, or sub-folders of equal size if it would hold too many."""
    if num + others <= max_files:
        return repeat(folder)
    count = math.ceil(num / max_files)
    digits = len(str(count - 1))
    names: Iterable[str] = (f"{folder}{i * count // num:0{digits}}/" for i in range(num))
    return iter(names)
