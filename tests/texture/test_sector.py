"""The sector of a video and its polar grid."""

import numpy as np
import pytest

from echosyn.data import phantom
from echosyn.data.fans import iou
from echosyn.texture import Sector


@pytest.fixture(scope="module")
def sector():
    return Sector.of(phantom.render(phantom.patient(5, 0, num_frames=64))[:8])


def test_a_phantoms_sector_is_where_it_was_drawn(sector, drawn):
    patient = phantom.patient(5, 0, num_frames=64)
    assert abs(sector.apex[0] - patient.probe.apex_x) < 3
    assert abs(sector.apex[1] - patient.probe.apex_y) < 5
    assert iou(sector.inside, drawn(patient)) > 0.85


def test_a_smooth_picture_comes_back_from_the_polar_grid(sector):
    row, column = np.mgrid[:112, :112].astype(np.float32)
    picture = (np.sin(row / 9) + np.cos(column / 11))[None]
    back = sector.from_polar(sector.to_polar(picture).astype(np.float32).reshape(1, -1).T)
    row, column = np.nonzero(sector.inside)
    inner = (sector.depth > 0.2) & (row < 108) & (column > 3) & (column < 108)  # beyond the picture there is nothing
    assert np.quantile(np.abs(back - picture[:, sector.inside])[0, inner], 0.98) < 0.02


def test_rings_are_a_pixel_apart_and_the_depth_goes_from_0_to_1(sector):
    ring, ray = sector.position
    assert ring.min() == 0
    assert ray.min() == 0
    assert sector.depth.min() == 0
    assert sector.depth.max() == 1
    assert ring.max() + 1 < sector.shape[0] + 1
    assert ray.max() + 1 < sector.shape[1] + 1


@pytest.mark.parametrize(
    "place", [(slice(0, 0), slice(0, 0)), (slice(40, 41), slice(0, 112)), (slice(0, 4), slice(0, 4))]
)
def test_a_picture_with_next_to_nothing_in_it_has_no_sector(place):
    frames = np.zeros((3, 112, 112), np.uint8)
    frames[(slice(None), *place)] = 200
    assert Sector.of(frames) is None


def test_a_video_without_a_sector_shape_has_nearly_parallel_beams():
    frames = np.zeros((3, 112, 112), np.uint8)
    frames[:, 20:90, 30:80] = 90
    found = Sector.of(frames)
    assert found is not None
    assert found.apex[1] < -200
    assert found.shape[0] < 90
    assert found.shape[1] < 90
