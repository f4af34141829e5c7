"""Outlines by a network: areas are those of geometry, and there are none where there is no single cavity."""

import numpy as np
import pytest
import torch

from echosyn.errors import DataError
from echosyn.metrics.outlining import outline


class Dark(torch.nn.Module):
    """Says that dark is cavity."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = torch.nn.Parameter(torch.tensor(50.0))

    def forward(self, stills):
        return self.slope * (0.5 - stills)


def pulsating(shrink):
    """A dark disc in bright tissue whose radius falls by ``shrink`` pixels and comes back, 32 frames."""
    y, x = np.mgrid[:112, :112] - 56.0
    radii = 25 - shrink * np.sin(np.linspace(0, np.pi, 32)) ** 2
    return (200 * (np.hypot(x, y)[None] > radii[:, None, None])).astype(np.uint8)


def test_areas_of_a_disc_are_those_of_geometry():
    found = outline(pulsating(shrink=8), Dark())
    assert found.reason is None
    assert found.areas.max() == pytest.approx(np.pi * 25**2, rel=0.03)
    assert found.areas.min() == pytest.approx(np.pi * 17**2, rel=0.06)


def test_a_bright_spot_inside_is_cavity_and_a_dark_one_outside_is_not():
    frames = pulsating(shrink=0)
    whole = outline(frames, Dark()).areas
    spotted = frames.copy()
    spotted[:, 54:58, 54:58] = 200
    spotted[:, 4:9, 4:9] = 0
    assert np.array_equal(outline(spotted, Dark()).areas, whole)


@pytest.mark.parametrize(("level", "said"), [(200, "no cavity: 0 pixels"), (None, "no single cavity")])
def test_without_a_cavity_there_are_no_areas_but_a_reason(level, said):
    frames = np.full((8, 112, 112), 200 if level is None else level, np.uint8)
    if level is None:
        frames[:, 10:40, 10:40] = frames[:, 60:90, 60:90] = 0
    found = outline(frames, Dark())
    assert found.reason is not None
    assert found.reason.startswith(said)
    assert np.isnan(found.areas).all()


def test_wrong_shapes_are_refused():
    with pytest.raises(DataError, match="sides multiples of 16"):
        outline(np.zeros((4, 100, 112), np.uint8), Dark())
