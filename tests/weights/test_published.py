"""Published checkpoints become networks of ours that compute the same."""

import argparse
import json
import pickle
import re
import sys
import types
from pathlib import Path

import pytest
import torch
import yaml
from diffusers import AutoencoderKL
from torch import Tensor, nn
from torchvision.models import resnet50

import published_files
from echosyn import rng, weights
from echosyn.apps.cli import main
from echosyn.errors import ConfigError, ModelError
from echosyn.weights.pickles import read_checkpoint, unpickled
from echosyn.weights.published import import_checkpoint, import_latent_diffusion_vae


class TheirSiamese(nn.Module):
    """The published network, as its tensors are called."""

    def __init__(self) -> None:
        super().__init__()
        self.model = resnet50(weights=None, num_classes=16)
        self.model.conv1 = nn.Conv2d(4, 64, 7, 2, 3, bias=False)
        self.fc_end = nn.Linear(16, 1)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Inputs in [-1, 1]."""
        return self.fc_end((torch.sigmoid(self.model(a)) - torch.sigmoid(self.model(b))).abs())[:, 0]


@pytest.fixture(scope="module")
def theirs() -> TheirSiamese:
    with rng.initializing(0):
        return TheirSiamese().eval()


@pytest.fixture
def published(theirs: TheirSiamese, tmp_path: Path) -> Path:
    """The folder as it lies on the hub: the experiment's settings and the checkpoint."""
    folder = tmp_path / "reidentification_dynamic"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"siamese_architecture": "ResNet-50", "n_features": 16}))
    torch.save(theirs.state_dict(), folder / "reidentification_dynamic_best_network.pth")
    return folder


def pair() -> list[Tensor]:
    """Two batches that already span [-1, 1], as min-max scaling makes them."""
    x = rng.normal((2, 4, 14, 14), 1, "pair", range(3))
    low, high = x.amin((2, 3, 4), keepdim=True), x.amax((2, 3, 4), keepdim=True)
    return list((2 * (x - low) / (high - low) - 1).unbind(1))


@torch.no_grad()
def test_the_siamese_scores_as_theirs_read_in_place_or_imported(
    theirs: TheirSiamese, published: Path, tmp_path: Path
) -> None:
    assert import_checkpoint("siamese", next(published.glob("*.pth")), tmp_path / "ours") == "reid"
    expected = theirs(*pair())
    assert expected.std() > 0
    for folder in (published, weights.find(tmp_path, "reid"), tmp_path / "ours"):
        assert torch.allclose(weights.load(folder, "reid")(*pair()), expected, atol=1e-5)


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"layer.weight": torch.zeros(2)}, tmp_path / "c.pth")
    for kind, what in {"siamese": "no Siamese ResNet-50", "ldm-vae": "no VAE"}.items():
        with pytest.raises(ModelError, match=rf"{what}: it lacks '.*' \(first of its names: 'layer.weight'\)"):
            import_checkpoint(kind, tmp_path / "c.pth", tmp_path / "out")
    with pytest.raises(ConfigError, match="no effect on siamese"):
        import_checkpoint("siamese", tmp_path / "c.pth", tmp_path / "out", tmp_path / "x.yaml")


# The VAE of latent-diffusion

TINY = {"ch": 32, "ch_mult": [1, 2, 2], "num_res_blocks": 1, "resolution": 16, "attn_resolutions": []}


def latent_diffusion_names(state: dict[str, Tensor], num_levels: int) -> dict[str, Tensor]:
    """diffusers' names back to CompVis': levels of the decoder count down, attention is made of 1x1 convolutions."""

    def up(found: re.Match[str]) -> str:
        return f"up.{num_levels - 1 - int(found[1])}."

    rules: list[tuple[str, object]] = [
        (r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block."),
        (r"down_blocks\.(\d+)\.downsamplers\.0\.", r"down.\1.downsample."),
        (r"up_blocks\.(\d+)\.", up),
        (r"(up\.\d+)\.resnets\.", r"\1.block."),
        (r"(up\.\d+)\.upsamplers\.0\.", r"\1.upsample."),
        (r"mid_block\.resnets\.0\.", "mid.block_1."),
        (r"mid_block\.resnets\.1\.", "mid.block_2."),
        (r"mid_block\.attentions\.0\.group_norm", "mid.attn_1.norm"),
        (r"mid_block\.attentions\.0\.to_out\.0", "mid.attn_1.proj_out"),
        (r"mid_block\.attentions\.0\.to_([qkv])", r"mid.attn_1.\1"),
        (r"conv_norm_out", "norm_out"),
        (r"conv_shortcut", "nin_shortcut"),
    ]
    renamed = {}
    for name, tensor in state.items():
        new = name
        for pattern, by in rules:
            new = re.sub(pattern, by, new)  # type: ignore[call-overload]
        if "attn_1" in new and new.endswith("weight") and tensor.ndim == 2:
            tensor = tensor[:, :, None, None]
        renamed[new] = tensor
    return renamed


def tiny_vae() -> AutoencoderKL:
    """A network of the published class with the three levels of `TINY`."""
    with rng.initializing(3):
        return AutoencoderKL(
            block_out_channels=[32, 64, 64],
            down_block_types=["DownEncoderBlock2D"] * 3,
            up_block_types=["UpDecoderBlock2D"] * 3,
            layers_per_block=1,
            sample_size=16,
        ).eval()


@pytest.mark.parametrize("inside", ["", "first_stage_model."])
@torch.no_grad()
def test_a_latent_diffusion_vae_decodes_as_before(inside: str, tmp_path: Path) -> None:
    vae = tiny_vae()
    state = {inside + name: t for name, t in latent_diffusion_names(vae.state_dict(), 3).items()}
    state[f"{inside}loss.discriminator.weight"] = torch.zeros(1)
    torch.save({"state_dict": state, "global_step": 3}, tmp_path / "vae.ckpt")
    (tmp_path / "vae.yaml").write_text(json.dumps({"model": {"params": {"ddconfig": TINY}}}))
    assert import_checkpoint("ldm-vae", tmp_path / "vae.ckpt", tmp_path / "vae", tmp_path / "vae.yaml") == "vae"
    ours = weights.load(tmp_path / "vae", "vae")
    image = rng.normal((3, 16, 16), 0, "image", range(2))
    assert torch.allclose(ours(image).sample, vae(image).sample, atol=1e-5)
    assert weights.load_facts(tmp_path / "vae").pixels == "published"


def test_settings_that_do_not_fit_the_weights_are_one_line(tmp_path: Path) -> None:
    names = ("encoder.conv_in.weight", "decoder.conv_out.weight", "quant_conv.weight")
    torch.save({name: torch.zeros(1) for name in names}, tmp_path / "vae.ckpt")
    with pytest.raises(ModelError, match=r"do not fit .*--config") as error:
        import_latent_diffusion_vae(tmp_path / "vae.ckpt")
    assert "\n" not in str(error.value)
    (tmp_path / "x.yaml").write_text("a: 1")
    with pytest.raises(ModelError, match=r"no model\.params\.ddconfig"):
        import_latent_diffusion_vae(tmp_path / "vae.ckpt", tmp_path / "x.yaml")


def test_grey_levels_belong_to_the_ef_regressor(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--mean and --std have no effect on siamese"):
        import_checkpoint("siamese", tmp_path / "c.pt", tmp_path / "out", grey_levels=(30.0, 50.0))
    for levels in ((30.0, 50.0), None):
        with pytest.raises(ModelError, match="no such file"):
            import_checkpoint("echonet-ef", tmp_path / "c.pt", tmp_path / "out", grey_levels=levels)
    with pytest.raises(SystemExit, match="2"):
        main(
            ["weights", "import", str(tmp_path / "c.pt"), str(tmp_path / "out"), "--from", "echonet-ef", "--mean", "30"]
        )


# A checkpoint of Lightning 1.4.2, which keeps its callbacks by their class


def foreign_classes(monkeypatch: pytest.MonkeyPatch) -> tuple[type, type, type]:
    """Classes of a package that is not there when the file is read; each would raise if it were used."""
    package = types.ModuleType("pytorch_lightning")
    names = ("ModelCheckpoint", "AttributeDict", "Ran")

    def run(*_: object) -> None:
        raise AssertionError("code of a file was run")

    kinds = type(names[0], (), {}), type(names[1], (dict,), {}), type(names[2], (), {"__setstate__": run})
    for name, kind in zip(names, kinds, strict=True):
        kind.__module__ = "pytorch_lightning"
        setattr(package, name, kind)
    monkeypatch.setitem(sys.modules, "pytorch_lightning", package)
    return kinds


@pytest.mark.parametrize("is_there", [False, True])
def test_of_a_checkpoint_with_foreign_classes_the_tensors_are_read_and_nothing_runs(
    is_there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, mapping, ran = foreign_classes(monkeypatch)
    thing = ran()
    thing.inside = {"weight": torch.zeros(2)}
    content = {
        "epoch": 3,
        "pytorch-lightning_version": "1.4.2",
        "state_dict": {"a": torch.arange(3.0)},
        "callbacks": {checkpoint: {"best_model_score": torch.tensor(0.5), "best_model_path": Path("here")}},
        "hyper_parameters": mapping(lr=1e-3, inner=mapping(x=2)),
        "loops": [thing, argparse.Namespace(x=1)],
    }
    torch.save(content, tmp_path / "last.ckpt")
    if not is_there:
        monkeypatch.delitem(sys.modules, "pytorch_lightning")
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert read_checkpoint(tmp_path / "last.ckpt")["a"].tolist() == [0, 1, 2]
    found = unpickled(tmp_path / "last.ckpt")
    assert dict(found["hyper_parameters"]) == {"lr": 1e-3, "inner": {"x": 2}}
    ((key, state),) = found["callbacks"].items()
    assert key is not checkpoint
    assert (key.__name__, float(state["best_model_score"])) == ("ModelCheckpoint", 0.5)
    assert vars(found["loops"][0]) == {}


def test_a_published_vae_checkpoint_becomes_a_model_folder_with_its_own_settings_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATADIR", raising=False)
    checkpoint, *_ = foreign_classes(monkeypatch)
    settings = published_files.vae()
    settings["model"]["params"]["ddconfig"] |= TINY
    (tmp_path / "vae.yaml").write_text(yaml.safe_dump(settings))
    vae = tiny_vae()
    state = latent_diffusion_names(vae.state_dict(), 3) | {"loss.perceptual_loss.net.weight": torch.zeros(1)}
    torch.save({"state_dict": state, "callbacks": {checkpoint: {}}}, tmp_path / "last.ckpt")
    monkeypatch.delitem(sys.modules, "pytorch_lightning")
    paths = [str(tmp_path / name) for name in ("last.ckpt", "vae", "vae.yaml")]
    with pytest.raises(SystemExit, match="0"):
        main(["weights", "import", *paths[:2], "--from", "ldm-vae", "--config", paths[2]])
    found = weights.load(tmp_path / "vae", "vae")
    assert found.config.scaling_factor == 0.18215
    assert all(torch.equal(a, b) for a, b in zip(found.state_dict().values(), vae.state_dict().values(), strict=True))
