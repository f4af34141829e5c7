"""The cheap convolution is the plain one: any size, any batch, in whole networks."""

import pytest
import torch
from torch import nn

from echosyn import rng
from echosyn.nn.winograd import WinogradConv2d, accelerate, fits


def conv(channels: int, out: int, **changed: object) -> nn.Conv2d:
    with rng.initializing(0):
        settings = {"kernel_size": 3, "padding": 1} | changed
        return nn.Conv2d(channels, out, **settings).eval().requires_grad_(False)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (4, 4), (5, 7), (14, 14), (33, 20)])
@pytest.mark.parametrize("batch", [1, 3])
def test_it_computes_what_the_convolution_computes(size: tuple[int, int], batch: int) -> None:
    plain = conv(16, 24)
    x = rng.normal((16, *size), 0, "test", range(batch))
    assert torch.allclose(WinogradConv2d(plain)(x), plain(x), atol=2e-5)


def test_pictures_of_more_tiles_than_fit_at_once_are_cut_without_a_trace() -> None:
    plain = conv(4, 4, bias=False)
    x = rng.normal((4, 120, 72), 0, "test", range(2))
    assert torch.allclose(WinogradConv2d(plain)(x), plain(x), atol=2e-5)


def test_an_item_does_not_depend_on_its_batch() -> None:
    cheap = WinogradConv2d(conv(8, 8))
    x = rng.normal((8, 16, 16), 0, "test", range(20))
    assert torch.allclose(cheap(x), torch.cat([cheap(part) for part in x.split(3)]), atol=1e-6)


@pytest.mark.parametrize(
    "changed",
    [
        {"kernel_size": 1, "padding": 0},
        {"stride": 2},
        {"dilation": 2, "padding": 2},
        {"groups": 2},
        {"padding_mode": "reflect"},
        {"padding": 0},
    ],
)
def test_other_convolutions_stay(changed: dict[str, object]) -> None:
    assert fits(conv(128, 128))
    assert not fits(conv(128, 128, **changed))
    assert not fits(conv(64, 128))
    assert not fits(nn.Linear(128, 128))


def test_a_network_keeps_its_results() -> None:
    network = nn.Sequential(
        conv(4, 128), nn.Sequential(conv(128, 128), nn.SiLU(), conv(128, 128, stride=2)), conv(128, 4)
    )
    x = rng.normal((4, 12, 12), 0, "test", range(2))
    before = network(x)
    assert accelerate(network) == 1
    assert isinstance(network[1][0], WinogradConv2d)
    assert torch.allclose(network(x), before, atol=1e-4)
    assert accelerate(network) == 0
