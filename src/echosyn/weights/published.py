"""Checkpoints that others trained, as networks of ours: only the names of the tensors differ.

Sources of the naming facts: CompVis' latent-diffusion ``AutoencoderKL`` (the map to diffusers is diffusers' own); the
Siamese ResNet-50 of Packhäuser et al. 2022 as EchoNet-Synthetic uses it (``model.*`` and ``fc_end.*``).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffusers import AutoencoderKL
from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

from echosyn.config import read_yaml, refuse_unresolved
from echosyn.errors import ConfigError, ModelError
from echosyn.weights import Facts, save
from echosyn.weights.echonet_dynamic import import_echonet_dynamic_ef
from echosyn.weights.pickles import read_checkpoint
from echosyn.weights.siamese import expect, fill, import_siamese

LATENT_DIFFUSION = {
    "ch": 128,
    "ch_mult": [1, 2, 2, 4],
    "num_res_blocks": 2,
    "attn_resolutions": [],
    "in_channels": 3,
    "out_ch": 3,
    "z_channels": 4,
    "resolution": 112,
}
"""``ddconfig`` of EchoNet-Synthetic's VAE, for checkpoints without a settings file."""


def import_latent_diffusion_vae(checkpoint: Path, config: Path | None = None) -> AutoencoderKL:
    """The VAE of a latent-diffusion checkpoint (``.ckpt``, ``.pt``), alone or inside a whole model.

    Args:
        checkpoint: its weights; those of its loss are left out.
        config: its settings file with ``model.params.ddconfig``; default is EchoNet-Synthetic's.
    """
    found = read_checkpoint(checkpoint)
    prefix = "first_stage_model." if any(name.startswith("first_stage_model.") for name in found) else ""
    found = {name.removeprefix(prefix): tensor for name, tensor in found.items() if name.startswith(prefix)}
    found = {name: tensor for name, tensor in found.items() if not name.startswith("loss.")}
    expect(checkpoint, found, ("encoder.conv_in.weight", "decoder.conv_out.weight", "quant_conv.weight"), "VAE")
    settings = _autoencoder_settings(_ddconfig(config), checkpoint)
    converted = convert_ldm_vae_checkpoint(found, settings)
    if len(converted) != len(found):
        raise ModelError(
            f"{checkpoint}: {len(found) - len(converted)} tensor(s) have no place in a VAE of these settings; "
            "give its own settings file with --config"
        )
    network: AutoencoderKL = AutoencoderKL(**settings)
    fill(network, converted, checkpoint)
    return network


KINDS: Mapping[str, str] = {"siamese": "reid", "ldm-vae": "vae", "echonet-ef": "ef"}
"""Kinds of checkpoint that can be imported, and the stage they become."""


def import_checkpoint(
    kind: str,
    checkpoint: Path,
    out: Path,
    config: Path | None = None,
    grey_levels: tuple[float, float] | None = None,
) -> str:
    """Write a published checkpoint as a model folder; the stage it is of.

    Args:
        kind: one of `KINDS`.
        checkpoint: its weights.
        out: model folder to write.
        config: settings file of an ``ldm-vae``.
        grey_levels: mean and standard deviation (0..255) that an ``echonet-ef`` was trained on, where they are not
            EchoNet-Synthetic's; its file does not say.

    Raises:
        ModelError: it is another network, or a pickle that would run code.
        ConfigError: a setting for a kind that has none.
    """
    if grey_levels is not None and kind != "echonet-ef":
        raise ConfigError(f"--mean and --std have no effect on {kind}: leave them out")
    if config is not None and kind != "ldm-vae":
        raise ConfigError(f"--config {config} has no effect on {kind}: leave it out")
    if kind == "echonet-ef":
        import_echonet_dynamic_ef(checkpoint, out, **dict(zip(("mean", "std"), grey_levels or (), strict=False)))
        return KINDS[kind]
    network = import_latent_diffusion_vae(checkpoint, config) if kind == "ldm-vae" else import_siamese(checkpoint)
    save(network, out, Facts(stage=KINDS[kind]))
    return KINDS[kind]


def _ddconfig(config: Path | None) -> Mapping[str, Any]:
    if config is None:
        return LATENT_DIFFUSION
    found = read_yaml(config, partly=True).get("model", {}).get("params", {}).get("ddconfig")
    if not found:
        raise ModelError(f"{config}: has no model.params.ddconfig; expected a settings file of latent-diffusion")
    refuse_unresolved(found, f"{config}: ddconfig")
    return {**LATENT_DIFFUSION, **found}


def _autoencoder_settings(ddconfig: Mapping[str, Any], checkpoint: Path) -> dict[str, Any]:
    if ddconfig["attn_resolutions"]:
        raise ModelError(
            f"{checkpoint}: attention at {ddconfig['attn_resolutions']} px is not supported; expected none"
        )
    widths = [ddconfig["ch"] * factor for factor in ddconfig["ch_mult"]]
    return {
        "in_channels": ddconfig["in_channels"],
        "out_channels": ddconfig["out_ch"],
        "down_block_types": ["DownEncoderBlock2D"] * len(widths),
        "up_block_types": ["UpDecoderBlock2D"] * len(widths),
        "block_out_channels": widths,
        "layers_per_block": ddconfig["num_res_blocks"],
        "latent_channels": ddconfig["z_channels"],
        "sample_size": ddconfig["resolution"],
    }
