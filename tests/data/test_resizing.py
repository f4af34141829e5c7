"""Laws of frames with square pixels."""

import numpy as np
import pytest

from echosyn.data.resizing import resized, squared, squared_size
from echosyn.data.video import Frames


def disc(height: int, width: int, pixel_aspect: float = 1.0) -> Frames:
    """A round disc of radius 18 in heights or widths of the smaller pixels, as non-square pixels would store it."""
    across, down = max(pixel_aspect, 1), max(1 / pixel_aspect, 1)
    y, x = np.mgrid[:height, :width]
    far = np.hypot((x - (width - 1) / 2) * across, (y - (height - 1) / 2) * down)
    return np.stack([(np.clip(19 - far, 0, 1) * 200).astype(np.uint8)] * 2)


def extent(frames: Frames) -> tuple[int, int]:
    lit = frames[0] > 100
    return int(lit.any(axis=1).sum()), int(lit.any(axis=0).sum())


@pytest.mark.parametrize("aspect", [4 / 3, 0.75, 1.067, 0.91, 2.0, 0.0229 / 0.0286])
def test_a_round_disc_is_round_again(aspect: float) -> None:
    found = squared(disc(60, 50, aspect), aspect)
    height, width = extent(found)
    assert abs(height - width) <= 2
    assert abs(height - 37) <= 2
    assert found.shape[1:] == squared_size(60, 50, aspect)


@pytest.mark.parametrize("aspect", [4 / 3, 0.75])
def test_no_direction_is_shrunk(aspect: float) -> None:
    height, width = squared(disc(60, 50), aspect).shape[1:]
    assert height >= 60
    assert width >= 50
    assert width / height == pytest.approx(50 * aspect / 60, rel=0.02)


@pytest.mark.parametrize("aspect", [1.0, 1.004, 0.996])
def test_square_pixels_are_left_alone(aspect: float) -> None:
    frames = disc(20, 30)
    assert squared(frames, aspect) is frames


def test_colour_is_squared_as_grey_is() -> None:
    grey = disc(40, 40)
    colour = np.stack([grey] * 3, axis=-1)
    assert np.array_equal(squared(colour, 1.5)[..., 1], squared(grey, 1.5))


def test_a_square_of_square_pixels_is_itself() -> None:
    frames = disc(32, 32)
    assert resized(squared(frames, 1), 32) is frames
