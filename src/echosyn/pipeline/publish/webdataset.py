"""``echosyn export --to webdataset``: a synthetic dataset as tar shards that are read as streams."""

import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from echosyn.data import filelist, lineage
from echosyn.data.records import Record
from echosyn.data.splits import EXTRA, SPLITS
from echosyn.errors import ConfigError
from echosyn.files import whole
from echosyn.pipeline.finished import Finished
from echosyn.pipeline.folder import new_folder
from echosyn.progress import Progress, silent

COLUMNS = ("name", "ef", "esv", "edv", "fps", "num_frames", "split")
"""What the JSON of a sample says; unknown numbers are null."""


def export_webdataset(dataset: Path, out: Path, *, per_shard: int = 256, progress: Progress = silent) -> dict[str, Any]:
    """Write ``OUT/train-000000.tar`` and so on, of which each sample is ``NUMBER.avi`` as it is and ``NUMBER.json``. Resumable.

    Equal datasets give equal shards. The number is the video's place in its split.

    Args:
        dataset: Dataset folder made by `generate`, `animate` or `phantom`, or a release of it.
        out: New folder.
        per_shard: Videos of a shard, at least 1.
        progress: Told how many videos are done.

    Raises:
        ConfigError: ``per_shard`` is too small.
        DataError: The dataset is not known to be synthetic.
    """
    if per_shard < 1:
        raise ConfigError(f"--per-shard {per_shard}: expected at least 1 video")
    lineage.required(dataset, (*lineage.VIDEOS, "publish"), "export as synthetic")
    records, index, shards, done = filelist.read(dataset), filelist.VideoIndex(dataset), 0, 0
    settings = {"to": "webdataset", "per_shard": per_shard}
    with new_folder(out, "export", settings, {"dataset": dataset}) as folder, Finished(folder) as finished:
        for split in (*SPLITS, EXTRA):
            chosen = [record for record in records if record.split == split]
            for first in range(0, len(chosen), per_shard):
                path = folder / f"{split.lower()}-{first // per_shard:06d}.tar"
                some = chosen[first : first + per_shard]
                if not finished.has(path):
                    _write(path, some, [index.path(record) for record in some], first)
                    finished.add(path)
                shards, done = shards + 1, done + len(some)
                progress("export", done, len(records))
    return {"folder": str(out), "videos": len(records), "shards": shards}


def _write(path: Path, records: Sequence[Record], videos: Sequence[Path], first: int) -> None:
    """Readers take what follows the first dot of a file's name as its kind: names of videos, which may have dots, are inside."""
    with whole(path) as temporary, tarfile.open(temporary, "w") as shard:
        for number, (record, video) in enumerate(zip(records, videos, strict=True), start=first):
            said = {column: value for column, value in asdict(record).items() if column in COLUMNS}
            _add(shard, f"{number:06d}{video.suffix}", video.read_bytes())
            _add(shard, f"{number:06d}.json", json.dumps(said).encode())


def _add(shard: tarfile.TarFile, name: str, content: bytes) -> None:
    """Without time and owner, which would differ from one export to the next."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    shard.addfile(member, io.BytesIO(content))
