"""Grey levels go to the model and come back."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from echosyn.errors import ModelError
from echosyn.pixels import CONVENTIONS, convention

LEVELS = torch.arange(256, dtype=torch.uint8)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_every_grey_level_comes_back(name: str) -> None:
    pixels = convention(name)
    seen = pixels.to_model(LEVELS)
    assert torch.equal(pixels.to_pixels(seen), LEVELS)
    assert seen.min() == -1
    assert (seen.diff() > 0).all()


def test_published_reaches_not_quite_one_and_truncates():
    published = convention("published")
    assert published.to_model(LEVELS)[-1] == 255 / 128 - 1
    assert published.to_pixels(torch.tensor([52.9, 53.0]) / 128 - 1).tolist() == [52, 53]


def test_symmetric_reaches_one_and_rounds():
    symmetric = convention("symmetric")
    assert symmetric.to_model(LEVELS)[-1] == 1
    assert symmetric.to_pixels(torch.tensor([52.4, 52.6]) / 127.5 - 1).tolist() == [52, 53]


@given(st.sampled_from(sorted(CONVENTIONS)), st.floats(-1e6, 1e6))
def test_what_is_out_of_range_is_clamped_and_does_not_wrap(name: str, value: float) -> None:
    level = int(convention(name).to_pixels(torch.tensor(value)))
    assert level == 0 if value < -1 else level == 255 if value > 1 else 0 <= level <= 255


def test_only_uint8_is_pixels_and_unknown_conventions_are_refused():
    with pytest.raises(TypeError, match=r"expected uint8 pixels, got torch\.float32"):
        convention("symmetric").to_model(torch.zeros(2))
    with pytest.raises(ModelError, match="'published2' is unknown, expected one of published, symmetric"):
        convention("published2")
