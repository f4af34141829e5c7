"""What the hearts of the models that ship are compared with: end-diastolic frames of the phantoms that they learned from.

    python docs/recipes/references.py src/echosyn/models

Writes ``references/VIEW.safetensors`` into the folder of models: one latent frame of each TRAIN phantom and of each held-out one
(half precision, about 1.6 MB a view; some 6 CPU-minutes in one thread).
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from echosyn import weights
from echosyn.data import phantom
from echosyn.data.loading import DIASTOLE
from echosyn.data.phantom import cycle
from echosyn.data.splits import split_by_order
from echosyn.diffusion.codec import LatentCodec
from echosyn.pipeline.models import codec
from echosyn.pipeline.privacy_filter import reference_frames

SEED, NUM, NUM_FRAMES, FPS = 1, 2000, 128, 32.0
"""As in ``models.py``, whose recordings these are."""
VIEWS: tuple[phantom.View, ...] = ("A4C", "PSAX")


def end_diastole(patient: phantom.Patient) -> np.ndarray:
    """The first end-diastolic frame of a recording: ``(112, 112)``; what comes after it is not rendered."""
    first = int(np.flatnonzero(cycle.motion(patient).emptied <= DIASTOLE)[0])
    return phantom.render(replace(patient, num_frames=first + 1))[first]


def of_view(view: phantom.View, encoder: LatentCodec) -> tuple[Tensor, Tensor]:
    """Latents ``(n, C, h, w)`` of the TRAIN phantoms and of the others."""
    splits = split_by_order(NUM)
    train, held_out = [], []
    for i in range(VIEWS.index(view), NUM, len(VIEWS)):
        patient = phantom.patient(SEED, i, view=view, num_frames=NUM_FRAMES, fps=FPS)
        latent = encoder.encode(torch.from_numpy(end_diastole(patient))[None])[0]
        (train if splits[i] == "TRAIN" else held_out).append(latent)
    return torch.stack(train), torch.stack(held_out)


def main() -> None:
    """Write the files of both views."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path)
    folder = parser.parse_args().models
    vae = weights.find(folder, "vae")
    for view in VIEWS:
        train, held_out = of_view(view, codec(vae, torch.device("cpu")))
        path = reference_frames.write(folder, view.lower(), train, held_out, vae=weights.weights_hash(vae))
        print(f"{path}: {len(train)} and {len(held_out)} phantoms, {path.stat().st_size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    main()
