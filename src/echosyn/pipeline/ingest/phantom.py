"""``echosyn phantom``: a dataset of procedural hearts with exactly known EF."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

from echosyn.data import filelist, phantom, video
from echosyn.data.records import Record, Tracing
from echosyn.data.splits import split_by_order
from echosyn.errors import DataError
from echosyn.pipeline.finished import Finished
from echosyn.pipeline.folder import new_folder
from echosyn.progress import Progress, silent

ViewChoice = phantom.View | Literal["both"]

_IN_TURN: dict[ViewChoice, tuple[phantom.View, ...]] = {"A4C": ("A4C",), "PSAX": ("PSAX",), "both": ("A4C", "PSAX")}


def make_phantom(
    out: Path,
    *,
    num: int,
    seed: int,
    view: ViewChoice = "A4C",
    num_frames: int | None = None,
    fps: float | None = None,
    look: phantom.Look = "plain",
    progress: Progress = silent,
) -> dict[str, Any]:
    """Write ``num`` phantom videos; video ``i`` depends on (seed, view, i) alone.

    Args:
        out: new dataset folder.
        num: how many videos (patients), at least 1.
        seed: of everything.
        view: ``A4C`` or ``PSAX``, or ``both`` in turn.
        num_frames: length of every video, 64..200; drawn per patient if left out.
        fps: frame rate of every video, 20..120; drawn per patient if left out.
        look: of the pictures; see `echosyn.data.phantom.patient`.
        progress: told how many videos are done.
    """
    if num < 1:
        raise DataError(f"--num {num}: expected at least 1 video")
    settings: dict[str, Any] = {"num": num, "seed": seed, "view": view, "num_frames": num_frames, "fps": fps}
    if look != "plain":
        settings["look"] = look
    views = _IN_TURN[view]
    splits = split_by_order(num)
    with new_folder(out, "phantom", settings) as folder, Finished(folder) as finished:
        (folder / "Videos").mkdir(exist_ok=True)
        records: list[Record] = []
        tracings: list[Tracing] = []

        def make(i: int) -> tuple[Record, list[Tracing], Path]:
            patient = phantom.patient(seed, i, view=views[i % len(views)], num_frames=num_frames, fps=fps, look=look)
            path = folder / "Videos" / f"phantom_{patient.view.lower()}_{seed}_{i:05d}.avi"
            record = phantom.record(patient, path.stem, splits[i])
            if not finished.has(path):
                assert record.fps is not None
                video.write_avi(path, phantom.render(patient), record.fps, verify=False)
            return record, phantom.tracings(patient, path.name), path

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for record, chords, path in pool.map(make, range(num)):
                if not finished.has(path):
                    finished.add(path)
                records.append(record)
                tracings += chords
                progress("phantom", len(records), num)
        filelist.write_tracings(folder, tracings)
        finished.add(folder / filelist.TRACINGS)
        filelist.write(folder, records)
    return {"dataset": str(out), "videos": num}
