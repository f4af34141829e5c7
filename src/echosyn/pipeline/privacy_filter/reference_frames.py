"""What samples are compared with: frames of the patients that the models learned from, and of others they never saw."""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from echosyn.data import filelist, latents
from echosyn.data.records import Record
from echosyn.errors import DataError
from echosyn.files import usual_permissions, whole
from echosyn.privacy.fingerprints import evenly
from echosyn.privacy.screen import References
from echosyn.privacy.video_digests import LazySequence
from echosyn.tensors import aligned

REFERENCE_STRIDE = 8
"""Every n-th frame of a real video is compared with."""
CALIBRATION_FRAMES = 4
"""Frames of a held-out video that set the threshold, evenly chosen."""
FOLDER = "references"


def of_latents(folder: Path, stride: int = REFERENCE_STRIDE) -> References:
    """From a latents folder: TRAIN videos are compared with, VAL and TEST patients are those whom no model saw.

    Raises:
        DataError: the folder lacks one of the two.
    """
    records = filelist.read(folder)
    train = [r for r in records if r.split == "TRAIN"]
    held_out = [r for r in records if r.split != "TRAIN"]
    if not train or not held_out:
        raise DataError(
            f"{folder}: {len(train)} TRAIN and {len(held_out)} held-out (VAL, TEST) videos; the filter compares with the "
            "first and is calibrated on the second, expected at least one of each"
        )

    said = latents.info(folder, sparse=True)
    vae, held = said.get("vae"), int(str(said.get("every", 1)))
    if stride % held:
        raise DataError(
            f"{folder}: holds every {held}th frame, expected every {stride}th among them; encode the dataset"
        )

    def frames(record: Record) -> Tensor:
        return latents.read(folder, record)[:: stride // held]

    return References(
        LazySequence(len(train), lambda i: frames(train[i])),
        [r.patient for r in train],
        LazySequence(len(held_out), lambda i: evenly(frames(held_out[i]), CALIBRATION_FRAMES)),
        [r.patient for r in held_out],
        None if vae is None else str(vae),
    )


def write(models: Path, variant: str, train: Tensor, held_out: Tensor, *, vae: str) -> Path:
    """Write ``references/VARIANT.safetensors`` into a folder of models of phantoms: one frame ``(C, h, w)`` of each.

    Values are rounded to 255 steps, a few hundredths, far less than the VAE loses. Never of patients: the file has the frames.
    """
    path = models / FOLDER / f"{variant}.safetensors"
    path.parent.mkdir(exist_ok=True)
    step = float(torch.cat([train, held_out]).abs().max()) / 127
    tensors = {name: (x / step).round().to(torch.int8) for name, x in (("train", train), ("held_out", held_out))}
    with whole(path) as temporary:
        save_file(tensors, temporary, {"vae": vae, "step": repr(step)})
        usual_permissions(temporary)
    return path


def of_models(models: Path, variant: str) -> References | None:
    """What `write` wrote for a variant of a folder of models; None where there is nothing."""
    path = models / FOLDER / f"{variant}.safetensors"
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            said = file.metadata() or {}
            step, vae = float(said.get("step", 1)), said.get("vae")
            train, held_out = (aligned(file.get_tensor(name).float() * step) for name in ("train", "held_out"))
    except SafetensorError as error:
        raise DataError(f"{path}: not readable as references ({error}); install the package again") from error
    names = [[f"{kind} {i}" for i in range(len(frames))] for kind, frames in (("train", train), ("held out", held_out))]
    return References(_singly(train), names[0], _singly(held_out), names[1], vae)


def _singly(frames: Tensor) -> list[Tensor]:
    return list(torch.split(frames, 1))
