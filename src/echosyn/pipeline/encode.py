"""``echosyn encode``: videos to latents."""

from pathlib import Path
from typing import Any, Literal

import torch

from echosyn import device as devices
from echosyn import rng, weights
from echosyn.data import filelist, latents, video
from echosyn.diffusion.codec import check_frames
from echosyn.pipeline import review
from echosyn.pipeline.folder import new_folder, note
from echosyn.pipeline.models import codec
from echosyn.pipeline.progress import Progress, silent


def encode(
    dataset: Path,
    out: Path,
    *,
    vae: Path,
    posterior: Literal["sample", "mean"] = "sample",
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
) -> dict[str, Any]:
    """Encode every video of a dataset into a latents folder.

    Args:
        dataset: dataset folder.
        out: new latents folder.
        vae: model folder.
        posterior: one posterior sample a frame, as published, or its mean.
        seed: of the samples; video ``i`` of FileList.csv depends on (seed, i) alone.
        device: where to compute.
        progress: told how many videos are done.
    """
    records = filelist.read(dataset)
    index = filelist.VideoIndex(dataset)
    encoder = codec(vae, devices.resolve(device))
    settings = {"posterior": posterior, "seed": seed}
    folder_of_vae = weights.resolve(vae)
    with new_folder(out, "encode", settings, {"dataset": dataset, "vae": folder_of_vae}) as folder:
        latents.write_info(
            folder, vae=weights.weights_hash(folder_of_vae), pixels=encoder.pixels.name, posterior=posterior
        )
        for i, record in enumerate(records):
            if not latents.path(folder, record).exists():
                frames = torch.from_numpy(video.read(index.path(record)).grey())
                check_frames(frames.shape[1:])
                noise = None
                if posterior == "sample":
                    shape = (len(frames), encoder.vae.config.latent_channels, *(s // 8 for s in frames.shape[1:]))
                    noise = rng.normal(shape, seed, "encode", [i])[0]
                latents.write(folder, record, encoder.encode(frames, noise))
            progress("encode", i + 1, len(records))
        filelist.write(folder, records)
        if review.is_open(dataset):
            note(folder, needs_review=True)
    return {"latents": str(out), "videos": len(records)}
