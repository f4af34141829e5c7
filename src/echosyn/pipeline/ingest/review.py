"""Human eyes on an import: contact sheets to look at, a sign-off that fits these very videos, and training that asks for it."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from echosyn.data import filelist, video
from echosyn.data.records import Record
from echosyn.errors import ConfigError, DataError
from echosyn.hashing import file_hash, folder_hash
from echosyn.pipeline.folder import read_provenance, write_json
from echosyn.progress import Progress, silent

FOLDER = "review"
SIGN_OFF = "sign-off.json"
_COLUMNS, _ROWS = 4, 5
_SIDE, _CAPTION = 160, 14


def write_sheets(dataset: Path, records: Sequence[Record], progress: Progress = silent) -> int:
    """Write ``review/sheet-001.png``, ...: of each video its first frame and, beside it, its brightest pixels of all time.

    What is drawn in a few frames only shows in the second picture. Returns the number of sheets.
    """
    folder = dataset / FOLDER
    folder.mkdir(exist_ok=True)
    each = _COLUMNS * _ROWS
    batches = [records[i : i + each] for i in range(0, len(records), each)]
    for number, batch in enumerate(batches, start=1):
        _sheet(dataset, batch).save(folder / f"sheet-{number:03d}.png")
        progress("sheets", number, len(batches))
    return len(batches)


def _sheet(dataset: Path, batch: Sequence[Record]) -> Image.Image:
    rows = -(-len(batch) // _COLUMNS)
    sheet = Image.new("L", (_COLUMNS * (2 * _SIDE + 8), rows * (_SIDE + _CAPTION + 6)), 40)
    draw = ImageDraw.Draw(sheet)
    for i, record in enumerate(batch):
        x, y = i % _COLUMNS * (2 * _SIDE + 8), i // _COLUMNS * (_SIDE + _CAPTION + 6)
        frames = video.read(filelist.video_path(dataset, record)).grey()
        for picture in (frames[0], frames.max(axis=0)):
            sheet.paste(Image.fromarray(np.asarray(picture)).resize((_SIDE, _SIDE)), (x, y))
            x += _SIDE
        draw.text((x - 2 * _SIDE, y + _SIDE), record.name, 255)
    return sheet


def sign_off(dataset: Path, *, by: str, drop: Sequence[str] = ()) -> dict[str, Any]:
    """Record that somebody has looked at all sheets, after removing the videos that must not stay.

    Args:
        dataset: Folder made by `import --from dicom`.
        by: Who looked.
        drop: Names of videos to remove for good.

    Raises:
        ConfigError: ``by`` is empty or ``drop`` names unknown videos.
        DataError: It is no imported dataset.
    """
    if not read_provenance(dataset).get("needs_review"):
        raise DataError(
            f"{dataset}: no contact sheets to sign off; expected a dataset made by `echosyn import --from dicom`"
        )
    if not by.strip():
        raise ConfigError("--by is empty; expected the name of the person who inspected the sheets")
    records = filelist.read(dataset)
    unknown = sorted(set(drop) - {record.name for record in records})
    if unknown:
        raise ConfigError(f"--drop {', '.join(unknown)}: no such video in {dataset}; take the names from the sheets")
    kept = [record for record in records if record.name not in drop]
    if not kept:
        raise ConfigError("--drop names every video; remove the folder instead")
    if drop:
        filelist.write(dataset, kept)
        for name in drop:
            (dataset / filelist.VIDEOS / f"{name}.avi").unlink(missing_ok=True)
        for sheet in (dataset / FOLDER).glob("sheet-*.png"):
            sheet.unlink()
        write_sheets(dataset, kept)
    signed = {"by": by.strip(), "at": datetime.now(UTC).isoformat(timespec="seconds"), "videos": _videos(dataset)}
    write_json(dataset / FOLDER / SIGN_OFF, signed)
    return {"dataset": str(dataset), "by": signed["by"], "videos": len(kept), "dropped": len(drop)}


def is_open(folder: Path) -> bool:
    """Whether a folder shows imported patients that nobody has signed for, or whose videos were changed since."""
    if not read_provenance(folder).get("needs_review"):
        return False
    path = folder / FOLDER / SIGN_OFF
    try:
        return bool(json.loads(path.read_text())["videos"] != _videos(folder))
    except (OSError, ValueError, KeyError):
        return True


def require_signed(folder: Path, *, reviewed: bool) -> None:
    """Refuse to learn from an import that nobody has signed for.

    Args:
        folder: Dataset or latents.
        reviewed: Somebody has looked without signing, and says so.

    Raises:
        DataError: Nobody has.
    """
    if not reviewed and is_open(folder):
        raise DataError(
            f"{folder}: imported from DICOM and not signed off; inspect every sheet in {FOLDER}/ of the imported "
            "dataset, then run `echosyn review DATASET --by NAME`, or give --i-reviewed"
        )


def _videos(dataset: Path) -> str:
    """What was looked at: a hash of all videos, empty in a folder that has none."""
    videos = dataset / filelist.VIDEOS
    return folder_hash(videos) + file_hash(dataset / filelist.FILE_LIST) if videos.is_dir() else ""
