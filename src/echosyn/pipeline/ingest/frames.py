"""Still images of recordings, for programs that read folders of images: other VAE trainers, StyleGAN-V's metrics."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from echosyn import rng
from echosyn.data import clips, filelist, video
from echosyn.data.clips import Indices
from echosyn.data.records import Record
from echosyn.errors import ConfigError, DataError
from echosyn.files import whole
from echosyn.pipeline.folder import new_folder
from echosyn.progress import Progress, silent

LISTS = {"TRAIN": "train.txt", "VAL": "val.txt"}
"""Lists of the images to train and to validate on; TEST is for neither."""


def extract_frames(dataset: Path, out: Path, *, every: int = 5, progress: Progress = silent) -> dict[str, Any]:
    """Write every n-th frame of the TRAIN and VAL videos as grey PNG, and ``train.txt`` and ``val.txt`` that list them.

    Unlike the reference, TEST videos stay out, and no patient is on both lists.

    Args:
        dataset: dataset folder.
        out: new folder; images go to ``OUT/images/VIDEO/``.
        every: take frames 0, n, 2n, ...
        progress: told how many videos are done.
    """
    if every < 1:
        raise ConfigError(f"--every {every}: expected at least 1")
    records = [record for record in filelist.read(dataset) if record.split in LISTS]
    with new_folder(out, "frames", {"every": every}, {"dataset": dataset}) as folder:
        _write(dataset, records, folder / "images", lambda frames, fps: np.arange(0, frames, every), progress)
        for split, name in LISTS.items():
            images = [p for r in records if r.split == split for p in sorted((folder / "images" / r.name).iterdir())]
            paths = [out.resolve() / path.relative_to(folder) for path in images]
            with whole(folder / name) as temporary:
                temporary.write_text("".join(f"{path}\n" for path in paths))
    return {"images": str(out), "videos": len(records)}


def reference_images(
    dataset: Path,
    out: Path,
    *,
    frames: int = 128,
    fps: float = 32.0,
    num: int | None = None,
    seed: int = 0,
    grey: str = "luma",
    progress: Progress = silent,
) -> dict[str, Any]:
    """Write the first frames of TRAIN videos that are long enough, a folder a video: StyleGAN-V's real side.

    Only long videos take part, so the set is not the archive; `evaluate` compares whole archives.

    Args:
        dataset: dataset folder.
        out: new folder.
        frames: of each video.
        fps: at this rate.
        num: so many videos, drawn by the seed; default 2,048, or 3,125 of 16 frames, as published.
        seed: of the draw.
        grey: ``luma``, or ``rgb`` for the mean of R, G and B in every video.
        progress: told how many videos are done.

    Raises:
        DataError: no video is long enough.
    """
    if frames < 1 or fps <= 0:
        raise ConfigError(f"--frames {frames} --fps {fps:g}: expected at least 1 frame and a positive rate")
    num = num or (3125 if frames == 16 else 2048)
    train = [record for record in filelist.read(dataset) if record.split == "TRAIN"]
    drawn = sorted(train, key=lambda record: rng.key(seed, f"reference\0{record.name}"))
    unknown = [record.name for record in drawn if record.num_frames is None or record.fps is None]
    if unknown:
        raise DataError(f"{dataset}: NumberOfFrames or FPS of {unknown[0]} is empty; complete it with `echosyn import`")
    long = [r for r in drawn if len(clips.resampled(r.num_frames or 0, r.fps or 1.0, fps)) >= frames][:num]
    if not long:
        raise DataError(
            f"{dataset}: none of {len(train)} TRAIN videos has {frames} frames at {fps:g} fps; ask for fewer"
        )
    settings: dict[str, Any] = {"frames": frames, "fps": fps, "num": num, "seed": seed}
    settings |= {} if grey == "luma" else {"grey": grey}
    with new_folder(out, "reference", settings, {"dataset": dataset}) as folder:
        _write(dataset, long, folder, lambda count, rate: clips.resampled(count, rate, fps)[:frames], progress, grey)
    short = f"{len(long)} of {num} videos: the others are shorter" if len(long) < num else None
    return {"images": str(out), "videos": len(long), "note": short}


def _write(
    dataset: Path,
    records: list[Record],
    folder: Path,
    choose: Callable[[int, float], Indices],
    progress: Progress,
    grey: str = "luma",
) -> None:
    index = filelist.VideoIndex(dataset)
    folder.mkdir(exist_ok=True)
    for done, record in enumerate(records, start=1):
        if not (folder / record.name).exists():
            recording = video.read(index.path(record), grey=grey == "luma")
            video.write_images(folder / record.name, recording.grey()[choose(len(recording.frames), recording.fps)])
        progress("write images", done, len(records))


def update_splits(csv: Path, out: Path | None, counts: Mapping[str, int]) -> dict[str, Any]:
    """Write a file list with new splits in the order of its rows; what is left over is EXTRA.

    The old one stays; without ``out`` the new one takes its name, and it becomes ``NAME.csv.before``.

    Raises:
        ConfigError: more videos are asked for than there are.
    """
    from echosyn.data import table
    from echosyn.pipeline.publish.layout import in_order

    contents = table.read(csv, required=("FileName",))
    asked = " ".join(f"--{split.lower()} {count}" for split, count in counts.items())
    splits = in_order(list(counts.values()), len(contents.rows), asked)
    if out is not None and out.exists():
        raise DataError(f"{out}: exists already; expected a new file: choose another name or remove it")
    if out is None:
        out, before = csv, csv.with_name(f"{csv.name}.before")
        if not before.exists():
            with whole(before) as temporary:
                shutil.copyfile(csv, temporary)
    columns = [*contents.columns, *([] if contents.has("Split") else ["Split"])]
    changed = [dict(row.cells) | {"split": split} for row, split in zip(contents.rows, splits, strict=True)]
    table.write(out, columns, [[cells.get(column.casefold(), "") for column in columns] for cells in changed])
    return {"file list": str(out), **{split: splits.count(split) for split in dict.fromkeys(splits)}}
