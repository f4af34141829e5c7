"""``echosyn export --to nnunet``: traced frames and masks of the left ventricle, in the raw layout of nnU-Net v2."""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from echosyn.data import filelist, images, lineage, outlines, video
from echosyn.data.splits import EXTRA
from echosyn.errors import ConfigError, DataError
from echosyn.pipeline.finished import Finished
from echosyn.pipeline.folder import new_folder, write_json
from echosyn.progress import Progress, silent

NAME = re.compile(r"Dataset\d{3}_[A-Za-z0-9_-]+")
"""What nnU-Net accepts as the name of a dataset folder."""


def export_nnunet(dataset: Path, out: Path, *, progress: Progress = silent) -> dict[str, Any]:
    """Write every traced frame of a synthetic dataset as ``images?r/CASE_0000.png`` and ``labels?r/CASE.png``. Resumable.

    TRAIN and VAL videos go to ``imagesTr`` and ``labelsTr``, and ``splits_final.json`` keeps them apart; TEST videos go to
    ``imagesTs`` and ``labelsTs``. EXTRA videos and those without tracings are left out. In a mask 1 is the left ventricle.

    Args:
        dataset: Dataset folder made by `generate`, `animate` or `phantom`, or a release of it, with ``VolumeTracings.csv``.
        out: New folder, named ``DatasetNNN_NAME`` as nnU-Net asks.
        progress: Told how many videos are done.

    Raises:
        ConfigError: ``out`` has another name.
        DataError: The dataset is not known to be synthetic, or no TRAIN or VAL video is traced.
    """
    if not NAME.fullmatch(out.name):
        raise ConfigError(f"{out}: nnU-Net reads only folders named DatasetNNN_NAME; call it Dataset701_Hearts, say")
    lineage.required(dataset, (*lineage.VIDEOS, "publish"), "export as synthetic")
    traced = outlines.by_frame(dataset)
    records = [r for r in filelist.read(dataset) if r.split != EXTRA and r.name in traced]
    if not any(r.split != "TEST" for r in records):
        raise DataError(
            f"{dataset}: no TRAIN or VAL video has tracings; expected chords in {filelist.TRACINGS}, which `phantom` and "
            "`generate --require cavity` write"
        )
    index, cases = filelist.VideoIndex(dataset), defaultdict[str, list[str]](list)
    with new_folder(out, "export", {"to": "nnunet"}, {"dataset": dataset}) as folder, Finished(folder) as finished:
        for kind in ("imagesTr", "labelsTr", "imagesTs", "labelsTs"):
            (folder / kind).mkdir(exist_ok=True)
        for done, record in enumerate(records, start=1):
            frames = video.read(index.path(record)).grey()
            where = "Ts" if record.split == "TEST" else "Tr"
            for frame, tracings in traced[record.name].items():
                case = f"{record.name}_{frame:03d}"
                image, label = folder / f"images{where}" / f"{case}_0000.png", folder / f"labels{where}" / f"{case}.png"
                if not finished.has(image, label):
                    images.write(image, frames[frame])
                    images.write(label, outlines.mask(tracings, frames.shape[1:]))
                    finished.add(image, label)
                cases[record.split].append(case)
            progress("export", done, len(records))
        write_json(folder / "dataset.json", _described(len(cases["TRAIN"]) + len(cases["VAL"])))
        if cases["TRAIN"] and cases["VAL"]:
            write_json(folder / "splits_final.json", [{"train": cases["TRAIN"], "val": cases["VAL"]}])
    return {"folder": str(out), "videos": len(records), "cases": sum(map(len, cases.values()))}


def _described(num: int) -> dict[str, Any]:
    return {
        "channel_names": {"0": "ultrasound"},
        "labels": {"background": 0, "left ventricle": 1},
        "numTraining": num,
        "file_ending": ".png",
        "overwrite_image_reader_writer": "NaturalImage2DIO",
    }
