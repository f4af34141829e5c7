"""``echosyn phantom``: a dataset of procedural hearts with exactly known EF."""

from pathlib import Path
from typing import Any

from echosyn.data import filelist, phantom, video
from echosyn.data.records import Record, Split
from echosyn.errors import DataError
from echosyn.pipeline.folder import new_folder
from echosyn.pipeline.progress import Progress, silent


def make_phantom(
    out: Path,
    *,
    num: int,
    seed: int,
    view: phantom.View = "A4C",
    num_frames: int | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Write ``num`` phantom videos; video ``i`` depends on (seed, view, i) alone.

    Args:
        out: new dataset folder.
        num: how many videos (patients), at least 1.
        seed: of everything.
        view: ``A4C`` or ``PSAX``.
        num_frames: length of every video, 64..200; drawn per patient if left out.
        progress: told how many videos are done.
    """
    if num < 1:
        raise DataError(f"--num {num}: expected at least 1 video")
    settings = {"num": num, "seed": seed, "view": view, "num_frames": num_frames}
    splits = split_by_order(num)
    with new_folder(out, "phantom", settings) as folder:
        records: list[Record] = []
        tracings = []
        for i in range(num):
            name = f"phantom_{view.lower()}_{i:05d}"
            patient = phantom.patient(seed, i, view=view, num_frames=num_frames)
            record = phantom.record(patient, name, splits[i])
            path = folder / "Videos" / f"{name}.avi"
            if not path.exists():
                path.parent.mkdir(exist_ok=True)
                assert record.fps is not None
                video.write_avi(path, phantom.render(patient), record.fps, verify=False)
            records.append(record)
            tracings += phantom.tracings(patient, f"{name}.avi")
            progress("phantom", i + 1, num)
        filelist.write_tracings(folder, tracings)
        filelist.write(folder, records)
    return {"dataset": str(out), "videos": num}


def split_by_order(num: int) -> list[Split]:
    """Splits of items 0..num-1, about as EchoNet-Dynamic's: 3/4 TRAIN, 1/8 VAL, 1/8 TEST, from three items one each."""
    held_out = max(1, round(num * 0.125)) if num >= 3 else 0
    counts: dict[Split, int] = {"TRAIN": num - 2 * held_out, "VAL": held_out, "TEST": held_out}
    return [split for split, count in counts.items() for _ in range(count)]
