import numpy as np
import pytest

from echosyn.data import phantom as phantoms
from echosyn.data.background import background, zeroed
from echosyn.metrics.beams import NUM_BEAMS, beams


@pytest.mark.parametrize("number", range(4))
def test_the_beams_of_a_phantom_are_found_from_its_outline(number):
    patient = phantoms.patient(5, number, num_frames=64, fps=32.0)
    clip = zeroed(phantoms.render(patient)[:8])
    found = beams(~background(clip))
    # the outline lost a rim twice, so its edges meet a little further down
    assert found.apex[0] == pytest.approx(patient.probe.apex_x, abs=0.5)
    assert found.apex[1] == pytest.approx(patient.probe.apex_y, abs=6)
    assert np.rad2deg(found.angles[1] - found.angles[0]) == pytest.approx(patient.probe.sector, abs=3)


@pytest.mark.parametrize(("column", "row", "half"), [(56.0, -10.0, 0.6), (40.0, 2.0, 0.7), (56.0, 5.0, 0.4)])
def test_a_fan_is_found_and_its_rings_become_rows(column, row, half):
    y, x = np.mgrid[:112, :112]
    depth, angle = np.hypot(x - column, y - row), np.arctan2(x - column, y - row)
    inside = (np.abs(angle) < half) & (depth > 15) & (depth < 100)
    found = beams(inside)
    assert found.apex == pytest.approx((column, row), abs=3)
    polar = found.polar(np.cos(depth / 3) * inside)
    middle = polar[20:70, NUM_BEAMS // 4 : -NUM_BEAMS // 4]
    assert middle.std(axis=1).mean() < 0.25 * middle.std(axis=0).mean()


@pytest.mark.parametrize("shape", [(slice(0, 112), slice(0, 112)), (slice(50, 52), slice(3, 9)), (5, 5)])
def test_what_is_no_fan_has_nearly_parallel_beams(shape):
    inside = np.zeros((112, 112), bool)
    inside[shape] = True
    found = beams(inside)
    assert found.angles[1] - found.angles[0] < 0.2
    assert np.isfinite(found.polar(inside.astype(float))).all()
