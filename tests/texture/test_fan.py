"""The fan of a blurred video, also where it is dark."""

import numpy as np
import pytest
from scipy import ndimage

from echosyn.data import phantom
from echosyn.texture import Sector
from echosyn.texture.fan import Fan


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


def drawn(patient):
    inside = np.zeros(112 * 112, bool)
    inside[phantom.fan.fan(patient).pixels] = True
    return inside.reshape(112, 112)


@pytest.fixture(scope="module")
def sharp():
    return Fan((55.0, 4.0), (-0.66, 0.7), (2.0, 104.0))


@pytest.fixture(scope="module")
def blurred(sharp):
    return ndimage.gaussian_filter(60.0 * sharp.inside((112, 112)), 2)


def test_a_blurred_fan_is_found(sharp, blurred):
    found = Fan.of(blurred)
    assert found is not None
    assert np.hypot(found.apex[0] - sharp.apex[0], found.apex[1] - sharp.apex[1]) < 2
    np.testing.assert_allclose(found.angles, sharp.angles, atol=0.03)
    assert abs(found.depths[1] - sharp.depths[1]) < 2
    assert overlap(found.inside((112, 112)), sharp.inside((112, 112))) > 0.96


def test_an_edge_runs_on_through_the_dark(sharp, blurred):
    dark = blurred.copy()
    dark[45:80, :40] = 0
    dark[88:, 20:90] = 0
    found = Fan.of(dark)
    assert found is not None
    assert overlap(found.inside((112, 112)), sharp.inside((112, 112))) > 0.93


def test_a_mirrored_picture_has_the_mirrored_fan(blurred):
    one, other = Fan.of(blurred), Fan.of(blurred[:, ::-1])
    assert one is not None
    assert other is not None
    assert abs(one.apex[0] - (111 - other.apex[0])) < 0.3
    np.testing.assert_allclose(one.angles, (-other.angles[1], -other.angles[0]), atol=0.01)


@pytest.mark.parametrize("picture", ["square", "black", "line", "disc"])
def test_what_is_no_fan_has_none(picture):
    row, column = np.mgrid[:112, :112]
    of = {
        "square": (abs(row - 55) < 30) & (abs(column - 55) < 30),
        "black": row < 0,
        "line": row == 40,
        "disc": np.hypot(row - 55, column - 55) < 6,
    }
    assert Fan.of(80.0 * of[picture]) is None


def test_decoded_phantoms_have_their_own_fan_not_only_what_is_bright(through_the_vae):
    fans, hulls = [], []
    for i in range(6):
        patient = phantom.patient(31, i, view=("A4C", "PSAX")[i % 2], num_frames=64)
        decoded = through_the_vae(phantom.render(patient)[:16])
        sector, truth = Sector.of(decoded), drawn(patient)
        assert sector is not None
        fans.append(overlap(sector.inside, truth))
        hulls.append(overlap(decoded.max(0) >= 4, truth))
    assert np.median(fans) > 0.95
    assert np.median(fans) > np.median(hulls) + 0.02


def test_a_fan_that_leaves_out_what_is_bright_is_not_taken(blurred):
    picture = blurred.copy()
    picture[70:100, :18] = 90
    picture[8:40, 80:108] = 90
    sector = Sector.of(np.repeat(picture[None].astype(np.uint8), 3, 0))
    assert sector is not None
    assert sector.inside[picture > 60].mean() > 0.98
