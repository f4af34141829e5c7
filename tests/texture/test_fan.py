"""The fan of a blurred video, also where it is dark."""

import numpy as np
import pytest
from scipy import ndimage

from echosyn.data import phantom
from echosyn.data.fans import Fan, iou
from echosyn.texture import Sector
from echosyn.texture.fan import UNCUT, shown


@pytest.fixture(scope="module")
def sharp():
    return Fan(55.0, 4.0, -0.66, 0.7, 2.0, 104.0, UNCUT)


@pytest.fixture(scope="module")
def blurred(sharp):
    return ndimage.gaussian_filter(60.0 * sharp.mask((112, 112), 1), 2)


def test_a_blurred_fan_is_found(sharp, blurred):
    found = shown(blurred)
    assert found is not None
    assert np.hypot(found.apex_x - sharp.apex_x, found.apex_y - sharp.apex_y) < 2
    np.testing.assert_allclose((found.left, found.right), (sharp.left, sharp.right), atol=0.03)
    assert abs(found.far - sharp.far) < 2
    assert iou(found.mask((112, 112), 1), sharp.mask((112, 112), 1)) > 0.96


def test_an_edge_runs_on_through_the_dark(sharp, blurred):
    dark = blurred.copy()
    dark[45:80, :40] = 0
    dark[88:, 20:90] = 0
    found = shown(dark)
    assert found is not None
    assert iou(found.mask((112, 112), 1), sharp.mask((112, 112), 1)) > 0.93


def test_a_mirrored_picture_has_the_mirrored_fan(blurred):
    one, other = shown(blurred), shown(blurred[:, ::-1])
    assert one is not None
    assert other is not None
    assert abs(one.apex_x - (111 - other.apex_x)) < 0.3
    np.testing.assert_allclose((one.left, one.right), (-other.right, -other.left), atol=0.01)


@pytest.mark.parametrize("picture", ["square", "black", "line", "disc"])
def test_what_is_no_fan_has_none(picture):
    row, column = np.mgrid[:112, :112]
    of = {
        "square": (abs(row - 55) < 30) & (abs(column - 55) < 30),
        "black": row < 0,
        "line": row == 40,
        "disc": np.hypot(row - 55, column - 55) < 6,
    }
    assert shown(80.0 * of[picture]) is None


def test_decoded_phantoms_have_their_own_fan_not_only_what_is_bright(through_the_vae, drawn):
    fans, hulls = [], []
    for i in range(6):
        patient = phantom.patient(31, i, view=("A4C", "PSAX")[i % 2], num_frames=64)
        decoded = through_the_vae(phantom.render(patient)[:16])
        sector, truth = Sector.of(decoded), drawn(patient)
        assert sector is not None
        fans.append(iou(sector.inside, truth))
        hulls.append(iou(decoded.max(0) >= 4, truth))
    assert np.median(fans) > 0.95
    assert np.median(fans) > np.median(hulls) + 0.02


def test_a_fan_that_leaves_out_what_is_bright_is_not_taken(blurred):
    picture = blurred.copy()
    picture[70:100, :18] = 90
    picture[8:40, 80:108] = 90
    sector = Sector.of(np.repeat(picture[None].astype(np.uint8), 3, 0))
    assert sector is not None
    assert sector.inside[picture > 60].mean() > 0.98
