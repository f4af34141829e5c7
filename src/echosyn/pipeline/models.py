"""Model folders to pipelines, and the check that they belong together."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from echosyn import weights
from echosyn.diffusion.codec import LatentCodec
from echosyn.diffusion.pipelines import LatentImagePipeline, LatentVideoPipeline
from echosyn.diffusion.samplers import solver
from echosyn.errors import ModelError
from echosyn.nn.winograd import accelerate
from echosyn.texture import Texture

NO_WEIGHTS = torch.device("meta")
"""Device of a pipeline that only knows its settings: no weights are read, and it cannot compute."""


def for_decoding(vae: Any, device: torch.device) -> Any:
    """A VAE for inference on a device; on a CPU its wide convolutions become cheaper ones (docs/adr/0011)."""
    if device.type == "cpu":
        accelerate(vae.decoder)
        vae.to(memory_format=torch.channels_last)
    return vae.to(device)


def codec(vae: Path, device: torch.device, batch_size: int | None = None) -> LatentCodec:
    """The VAE of a model folder with its pixel convention."""
    folder = weights.resolve(vae)
    model = weights.load(folder, "vae").to(device)
    return LatentCodec(model, weights.load_facts(folder).pixels, batch_size)


def image_pipeline(
    lidm: Path, device: torch.device, scheduler: str | None = None, config: Path | None = None
) -> LatentImagePipeline:
    """The LIDM of a model folder, for latents (no VAE).

    Args:
        lidm: model folder.
        device: where to compute.
        scheduler: name of a solver other than the model's own.
        config: settings file whose noise schedule wins over the folder's.
    """
    folder = weights.resolve(lidm)
    network = weights.load(folder, "lidm", empty=device == NO_WEIGHTS)
    pipeline = LatentImagePipeline(None, network, solver(weights.load_scheduler(folder, config), scheduler))
    pipeline.to(device)
    return pipeline


def video_pipeline(
    lvdm: Path, vae: Path, device: torch.device, scheduler: str | None = None, config: Path | None = None
) -> LatentVideoPipeline:
    """The LVDM and VAE of two model folders; ``scheduler`` and ``config`` as for `image_pipeline`.

    Raises:
        ModelError: one is of the wrong kind, or the LVDM was trained on latents of another VAE.
        ConfigError: the solver is unknown or cannot integrate this model.
    """
    lvdm, vae = weights.resolve(lvdm), weights.resolve(vae)
    empty = device == NO_WEIGHTS
    network, autoencoder = weights.load(lvdm, "lvdm", empty=empty), weights.load(vae, "vae", empty=empty)
    solving = solver(weights.load_scheduler(lvdm, config), scheduler)
    facts = weights.load_facts(lvdm, config)
    check_same_vae(lvdm, facts.vae, vae)
    pipeline = LatentVideoPipeline(
        for_decoding(autoencoder, device),
        network,
        solving,
        pixels=weights.load_facts(vae).pixels,
        fps=facts.fps,
        guidance=facts.drop_conditions > 0,
        conditions=[c.model_dump(mode="json", exclude_defaults=True) for c in facts.conditions],
    )
    pipeline.to(device)
    pipeline.texture = None if empty else Texture.load(vae)
    return pipeline


@torch.no_grad()
def embed(reid: Any, frames: Tensor, batch_size: int = 256, *, scaled: bool = False) -> Tensor:
    """Embeddings ``(n, d)`` of latent frames ``(n, C, h, w)`` by a re-identification network, on the CPU.

    Frames that are ``scaled`` already are not scaled again.
    """
    device = next(reid.parameters()).device
    embedding = reid.features if scaled else reid.embed

    def parts() -> Iterator[Tensor]:
        for part in frames.split(batch_size):
            yield embedding(part.to(device)).cpu()

    return torch.cat(list(parts())) if len(frames) else torch.zeros(0, reid.config.embedding_size)


def check_same_vae(folder: Path, expected: Any, vae: Path) -> None:
    """Raise `ModelError` if ``folder`` (a model or latents) was made with another VAE's latents; unknown ones pass."""
    if expected in (None, "None"):
        return
    if (found := weights.latents_hash(vae)) != expected:
        raise ModelError(
            f"{folder}: was made with another VAE (weights {str(expected)[:12]}..., {vae} has {found[:12]}...); use the VAE "
            "it was made with, or encode and train again"
        )
