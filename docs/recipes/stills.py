"""The stills that the image models learn: end-diastolic frames of many more phantoms than the other models see.

    python docs/recipes/stills.py build/models/stills_a4c --view A4C --vae build/models/vae

Writes a latents folder: of a view `HEARTS` phantoms for TRAIN and `HELD_OUT` for VAL, each with up to `STILLS` frames of its
first end-diastole, recorded as `echosyn phantom` records them. The first phantoms are those of ``models.py``'s own recordings, so
that an audit of these recordings attacks what the image models were taught. Seen 85 times, a heart
is learned by heart (AUC of the loss attack 0.73); of so many hearts each is seen about 11 times.
"""

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from echosyn import weights
from echosyn.data import filelist, latents, phantom, video
from echosyn.data.loading import DIASTOLE
from echosyn.data.phantom import cycle
from echosyn.data.records import Record
from echosyn.data.splits import Split, split_by_order
from echosyn.diffusion.codec import LatentCodec
from echosyn.pipeline.folder import new_folder
from echosyn.pipeline.models import codec

SEED, NUM, NUM_FRAMES, FPS = 1, 2000, 128, 32.0
"""As in ``models.py``."""
FURTHER_SEED = 2
VIEWS: tuple[phantom.View, ...] = ("A4C", "PSAX")
HEARTS, HELD_OUT = 6000, 250
STILLS, STRIDE = 4, 2
"""Frames of a phantom at most, and how many frames apart."""


def hearts(view: phantom.View, num: int, held_out: int) -> Iterator[tuple[phantom.Patient, Split]]:
    """Phantoms of a view, first the recordings' own."""
    splits = split_by_order(NUM)
    own = range(VIEWS.index(view), NUM, len(VIEWS))
    inside = [(SEED, i) for i in own if splits[i] == "TRAIN"]
    inside += [(FURTHER_SEED, i) for i in range(max(0, num - len(inside)))]
    outside = [(SEED, i) for i in own if splits[i] != "TRAIN"]
    sides: tuple[tuple[list[tuple[int, int]], Split], ...] = ((inside[:num], "TRAIN"), (outside[:held_out], "VAL"))
    for side, split in sides:
        for seed, i in side:
            yield phantom.patient(seed, i, view=view, num_frames=NUM_FRAMES, fps=FPS), split


def end_diastole(patient: phantom.Patient, temporary: Path) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Frames ``(n, 112, 112)`` of the first end-diastole of a recording and their courses ``(n,)``; the rest is not drawn."""
    emptied = cycle.motion(patient).emptied
    first = int(np.flatnonzero(emptied <= DIASTOLE)[0])
    wanted = [i for i in range(first, min(first + STILLS * STRIDE, len(emptied)), STRIDE) if emptied[i] <= DIASTOLE]
    video.write_avi(temporary, phantom.render(replace(patient, num_frames=wanted[-1] + 1)), FPS, verify=False)
    return video.read(temporary).grey()[wanted], emptied[wanted]


def write(out: Path, view: phantom.View, vae: Path, num: int = HEARTS, held_out: int = HELD_OUT) -> None:
    """The folder, complete or not at all."""
    encoder: LatentCodec = codec(vae, torch.device("cpu"))
    settings = {"seeds": [SEED, FURTHER_SEED], "view": view, "hearts": num, "held_out": held_out, "stills": STILLS}
    with (
        new_folder(out, "stills", settings, {"vae": weights.resolve(vae)}) as folder,
        tempfile.TemporaryDirectory() as t,
    ):
        records: list[Record] = []
        for patient, split in hearts(view, num, held_out):
            frames, course = end_diastole(patient, Path(t) / "heart.avi")
            name = f"phantom_{view.lower()}_{patient.seed}_{patient.index:05d}"
            records.append(replace(phantom.record(patient, name, split), num_frames=len(frames)))
            latents.write(folder, records[-1], encoder.encode(torch.from_numpy(frames)), course)
        filelist.write(folder, records)
        hash_of_vae = weights.latents_hash(weights.resolve(vae))
        latents.write_info(folder, vae=hash_of_vae, pixels=encoder.pixels.name, posterior="mean")


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--view", choices=VIEWS, required=True)
    parser.add_argument("--vae", type=Path, default=weights.shipped() / "vae")
    parser.add_argument("--hearts", type=int, default=HEARTS, help="TRAIN phantoms")
    parser.add_argument("--held-out", type=int, default=HELD_OUT, help="VAL phantoms")
    args = parser.parse_args()
    torch.set_num_threads(1)
    write(args.out, args.view, args.vae, args.hearts, args.held_out)


if __name__ == "__main__":
    main()
