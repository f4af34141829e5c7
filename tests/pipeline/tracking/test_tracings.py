"""Labels from the tracked cavity."""

import numpy as np
import pytest

from echosyn.data import filelist, phantom, video
from echosyn.data.records import Record
from echosyn.errors import ConfigError
from echosyn.metrics.area import track_lv
from echosyn.metrics.cavity import FAMILIES, ends
from echosyn.pipeline.tracking import measure, tracings


def ellipse(width, height, angle=0.0):
    t = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    x, y = width / 2 * np.cos(t), height / 2 * np.sin(t)
    return np.stack([56 + np.cos(angle) * x - np.sin(angle) * y, 60 + np.sin(angle) * x + np.cos(angle) * y], -1)


@pytest.mark.parametrize("angle", [0.0, 0.5, -0.9])
def test_discs_of_an_ellipse_make_an_ellipsoid(angle):
    traced = tracings.chords(ellipse(30, 50, angle), "PSAX")
    assert traced.shape == (21, 2, 2)
    assert tracings.volume(traced) == pytest.approx(np.pi / 6 * 30**2 * 50, rel=0.02)
    axis, widths = traced[0, 1] - traced[0, 0], traced[1:, 1] - traced[1:, 0]
    np.testing.assert_allclose(widths @ axis / np.hypot(*axis) / 30, 0, atol=0.01)


@pytest.mark.parametrize("view", ["A4C", "PSAX"])
@pytest.mark.parametrize("ejected", [0.2, 0.6])
def test_the_ef_of_an_outline_is_the_ef_of_its_chords(view, ejected):
    family = FAMILIES[view]
    numbers = family.typical.copy()
    numbers[family.ejected] = ejected
    diastole, systole = (tracings.volume(tracings.chords(outline, view)) for outline in ends(family, numbers))
    assert 1 - systole / diastole == pytest.approx(ejected, abs=0.05)


@pytest.mark.parametrize("view", ["A4C", "PSAX"])
def test_chords_of_a_phantom_lie_where_its_tracing_does(view):
    heart = phantom.patient(31, 2, view=view, num_frames=64, fps=32, ef=60.0)
    rows = tracings.tracings("x.avi", track_lv(phantom.render(heart), view), view)
    known = phantom.tracings(heart, "x.avi")
    assert len(rows) == len(known) == 42
    centres = [np.mean([[r.x1, r.y1, r.x2, r.y2] for r in part[1:21]], axis=0) for part in (rows, known)]
    np.testing.assert_allclose(*centres, atol=4)


def test_what_is_unknown_stays_empty(tmp_path):
    (tmp_path / "Videos").mkdir()
    black = np.zeros((16, 112, 112), np.uint8)
    video.write_avi(tmp_path / "Videos" / "a.avi", black, 32)
    filelist.write(tmp_path, [Record("a", ef=55.0, fps=32.0, num_frames=16)])
    rows = measure.measure_all(tmp_path, filelist.read(tmp_path))
    cavity = measure.tracked(black, 32.0, Record("a", ef=55.0))[1]
    assert tracings.tracings("a.avi", cavity, "A4C") == []
    filelist.write(tmp_path, [tracings.labelled(filelist.read(tmp_path)[0], rows[0])])
    text = (tmp_path / "FileList.csv").read_text().splitlines()
    assert text[0].endswith(",EFMeasured,HeartRateMeasured,Flags")
    assert text[1] == "a,55.0,,,,,32.0,16,TRAIN,,,collapsed;static;no cavity"


def test_a_beating_heart_is_measured_and_has_no_flag():
    heart = phantom.patient(31, 4, num_frames=64, fps=32, ef=50.0)
    frames, record = phantom.render(heart), Record("a", ef=50.0)
    row = measure.measure(frames, 32.0, record)
    assert row.flags == ()
    assert row.ef_by_area == pytest.approx(50, abs=8)
    assert row.heart_rate == pytest.approx(heart.heart_rate, rel=0.1)
    assert row.end_diastole < row.end_systole
    assert "EF off" in measure.measure(frames, 32.0, Record("a", ef=10.0)).flags
    cut = np.concatenate([frames[:32], 255 - frames[32:]])
    assert "jump" in measure.measure(cut, 32.0, record).flags


def test_checks_have_names():
    assert measure.required(["ef", "motion"]) == {"EF off", "static"}
    assert measure.required(["all"]) == set(measure.CHECKS.values())
    with pytest.raises(ConfigError, match="--require beauty: expected one of contrast, motion"):
        measure.required(["beauty"])
