"""What the hearts of the models that ship are compared with: the end-diastolic frames that the image models learned.

    python docs/recipes/references.py build/models/packed --stills build/models

Writes ``references/VIEW.safetensors`` into the folder of models: the first still of each TRAIN phantom of ``stills.py``'s folders
and of each held-out one, 4.9 MB a view.
"""

import argparse
from pathlib import Path

import torch

from echosyn import weights
from echosyn.data import filelist, latents
from echosyn.pipeline.privacy_filter import reference_frames

VARIANTS = ("a4c", "psax")


def main() -> None:
    """Write the files of both views."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path)
    parser.add_argument("--stills", type=Path, required=True, help="folder with stills_a4c and stills_psax")
    args = parser.parse_args()
    vae = weights.latents_hash(weights.find(args.models, "vae"))
    for variant in VARIANTS:
        folder = args.stills / f"stills_{variant}"
        records = filelist.read(folder)
        of = {
            is_train: torch.stack(
                [latents.read(folder, r, [0])[0] for r in records if (r.split == "TRAIN") == is_train]
            )
            for is_train in (True, False)
        }
        path = reference_frames.write(args.models, variant, of[True], of[False], vae=vae)
        print(f"{path}: {len(of[True])} and {len(of[False])} phantoms, {path.stat().st_size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    main()
