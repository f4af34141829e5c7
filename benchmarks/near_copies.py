"""Near-copies of known patients: is the right patient named, what share is flagged, does the audit of the set fail? Prints JSON.

    OMP_NUM_THREADS=1 python benchmarks/near_copies.py DIR

DIR has recordings in ``original`` and, under the same names, what a generator made of a frame of each in ``factual``: GIFs of one
patient each. Three times, two thirds of the patients are TRAIN, whose near-copies are audited, and the others are VAL and TEST.
Nothing is left on the disk.
"""

import argparse
import csv
import json
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

from echosyn import weights
from echosyn.data import filelist, video
from echosyn.data.records import Record
from echosyn.pipeline.audit.audit import audit
from echosyn.privacy.video_digests import RATE
from echosyn.settings.judging import AuditSettings

FOLDS = 3


def dataset(out: Path, source: Path, names: Sequence[str], splits: Sequence[str]) -> Path:
    """GIFs as a dataset folder, every frame looked at."""
    (out / filelist.VIDEOS).mkdir(parents=True)
    for name in names:
        with Image.open(source / f"{name}.gif") as file:
            frames = np.stack([np.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(file)])
        video.write_avi(out / filelist.VIDEOS / f"{name}.avi", frames, RATE)
    filelist.write(out, [Record(name, split=split) for name, split in zip(names, splits, strict=True)])
    return out


def judged(names: Sequence[str], source: Path, work: Path, fold: int, canaries: int) -> dict[str, object]:
    """The audit of one division of the patients."""
    splits = ["TRAIN" if i % FOLDS != fold else ("VAL", "TEST")[i // FOLDS % 2] for i in range(len(names))]
    real = dataset(work / "real", source / "original", names, splits)
    train = [name for name, split in zip(names, splits, strict=True) if split == "TRAIN"]
    copies = dataset(work / "copies", source / "factual", train, ["TRAIN"] * len(train))
    models = weights.find_all(weights.shipped(), ("vae", "reid"), "a4c")
    said = audit(copies, real, work / "audit", models, AuditSettings(canaries=canaries))
    with (work / "audit" / "private" / "matches.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {
        "right": sum(Path(row["FileName"]).stem == row["NearestPatient"] for row in rows),
        "flagged": sum(row["Kept"] == "0" for row in rows),
        "num": len(rows),
        "spaces": Counter(row["Space"] for row in rows),
        "videos are": said["videos are"],
        "crossed": said["crossed"],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--canaries", type=int, default=20, help="planted copies of each kind")
    args = parser.parse_args()
    started = time.process_time()
    names = sorted(path.stem for path in (args.folder / "original").glob("*.gif"))
    found = []
    for fold in range(FOLDS):
        with tempfile.TemporaryDirectory() as work:
            found.append(judged(names, args.folder, Path(work), fold, args.canaries))
    total = {key: sum(int(str(part[key])) for part in found) for key in ("right", "flagged", "num")}
    rates = {key: total[key] / total["num"] for key in ("right", "flagged")}
    print(json.dumps({"share": rates, "audits": found, "cpu_s": round(time.process_time() - started)}))


if __name__ == "__main__":
    main()
