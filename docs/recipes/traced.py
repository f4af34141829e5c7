"""The stills that the network of outlines learns: moments of many phantoms with the look of clinics, every one traced.

    python docs/recipes/traced.py build/traced --hearts 1200
    echosyn train outline build/traced build/outline --preset phantom-full

Writes a dataset: of each phantom a short video of `MOMENTS` frames - near end-diastole, near end-systole, and the rest anywhere -
whose outlines are all in ``VolumeTracings.csv``. Frames that are not wanted are not drawn: a phantom costs a quarter of a
second. Nothing of a patient is in them.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from echosyn import rng
from echosyn.data import filelist, phantom, video
from echosyn.data.phantom import cycle
from echosyn.data.records import Record, Tracing
from echosyn.data.splits import split_by_order
from echosyn.pipeline.folder import new_folder

SEED, NUM_FRAMES, FPS = 1, 64, 32.0
MOMENTS = 4
"""Frames of a phantom."""
DIASTOLE, SYSTOLE = 0.06, 0.96
"""Emptied parts of the stroke volume up to which, and from which, a frame counts as end-diastole and end-systole."""


def moments(patient: phantom.Patient, num: int = MOMENTS) -> list[int]:
    """Frames: one near end-diastole, one near end-systole, and ``num - 2`` anywhere."""
    emptied = cycle.motion(patient).emptied
    generator = rng.numpy_generator(patient.seed, "moments", patient.index)
    ends = [int(generator.choice(np.flatnonzero(near))) for near in (emptied < DIASTOLE, emptied > SYSTOLE)]
    return [*ends, *generator.integers(0, patient.num_frames, num - 2).tolist()]


def hearts(folder: Path, num: int, seed: int) -> Iterator[tuple[Record, list[Tracing]]]:
    """Draw phantoms and write their videos into a folder."""
    for i, split in enumerate(split_by_order(num)):
        patient = phantom.patient(seed, i, num_frames=NUM_FRAMES, fps=FPS, look="clinical")
        frames, name = moments(patient), f"phantom_a4c_{seed}_{i:05d}"
        video.write_avi(folder / "Videos" / f"{name}.avi", phantom.render(patient, frames), FPS, verify=False)
        traced = phantom.tracings(patient, f"{name}.avi", frames)
        places = np.repeat(np.arange(len(frames)), len(traced) // len(frames)).tolist()
        rows = [replace(row, frame=place) for row, place in zip(traced, places, strict=True)]
        yield replace(phantom.record(patient, name, split), num_frames=len(frames)), rows


def write(out: Path, num: int, seed: int = SEED) -> None:
    """The dataset, complete or not at all."""
    with new_folder(out, "traced", {"seed": seed, "hearts": num, "moments": MOMENTS}, {}) as folder:
        (folder / "Videos").mkdir()
        found = list(hearts(folder, num, seed))
        filelist.write(folder, [record for record, _ in found])
        filelist.write_tracings(folder, [row for _, rows in found for row in rows])


def main() -> None:
    """Write the dataset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--hearts", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=SEED)
    asked = parser.parse_args()
    write(asked.out, asked.hearts, asked.seed)


if __name__ == "__main__":
    main()
