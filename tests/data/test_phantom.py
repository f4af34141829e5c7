"""The phantom's truth is true: labels, tracings, masks and motion describe what is drawn."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from echosyn.data import phantom
from echosyn.data.phantom import cycle, mesh, ventricle
from echosyn.errors import DataError

VIEWS = ("A4C", "PSAX")


def simpson(rows):
    """Volume in cubic pixels of 1 + 20 tracing rows, by the method of discs."""
    length, *diameters = (math.hypot(row.x2 - row.x1, row.y2 - row.y1) for row in rows)
    return math.pi / 4 * sum(d**2 for d in diameters) * length / 20


def ejection_fraction(diastolic, systolic):
    return 100 * (diastolic - systolic) / diastolic


def extremes(patient):
    volumes = phantom.volumes(patient)
    return [int(volumes.argmax()), int(volumes.argmin())]


@pytest.fixture(scope="module", params=VIEWS)
def clips(request):
    """Four patients of one view with their videos."""
    patients = [phantom.patient(7, i, view=request.param, num_frames=64) for i in range(4)]
    return [(patient, phantom.render(patient)) for patient in patients]


# --- who is drawn ---------------------------------------------------------------------------------------------------


def test_a_patient_follows_from_seed_and_index_alone():
    drawn = [phantom.patient(3, i) for i in range(5)]
    assert [phantom.patient(3, i) for i in (4, 2, 0, 1, 3)] == [drawn[i] for i in (4, 2, 0, 1, 3)]
    assert len({p.ef for p in drawn} | {phantom.patient(4, 0).ef}) == 6


def test_an_override_replaces_only_that_number():
    patient = phantom.patient(3, 0, num_frames=200)
    assert phantom.patient(3, 0, num_frames=200, ef=30.0) == replace(patient, ef=30.0)
    assert phantom.patient(3, 0, num_frames=200, fps=50.0) == replace(patient, fps=50.0)
    assert phantom.patient(3, 0, num_frames=200, heart_rate=90.0) == replace(patient, heart_rate=90.0)


def test_drawn_numbers_cover_their_ranges():
    patients = [phantom.patient(0, i) for i in range(300)]
    for values, low, high, margin in [
        ([p.ef for p in patients], 10, 85, 3),
        ([p.edv for p in patients], 60, 250, 8),
        ([p.heart_rate for p in patients], 45, 110, 3),
        ([p.fps for p in patients], 30, 60, 2),
        ([p.num_frames for p in patients], 64, 200, 6),
    ]:
        assert low <= min(values) < low + margin
        assert high - margin < max(values) <= high


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_frames": 63},
        {"num_frames": 201},
        {"ef": 4.9},
        {"ef": float("nan")},
        {"fps": 10.0},
        {"heart_rate": 200.0},
        {"view": "A2C"},
        {"num_frames": 64, "fps": 60.0, "heart_rate": 45.0},
    ],
)
def test_impossible_patients_are_refused_in_one_line(wrong):
    with pytest.raises(DataError, match="expected") as error:
        phantom.patient(0, 0, **wrong)
    assert "\n" not in str(error.value)


# --- the truth ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("num_frames", [None, 64])
def test_every_clip_shows_end_diastole_and_end_systole(view, num_frames):
    for i in range(100):
        patient = phantom.patient(11, i, view=view, num_frames=num_frames)
        volumes = phantom.volumes(patient)
        assert volumes.shape == (patient.num_frames,)
        assert volumes.max() == pytest.approx(patient.edv)
        assert volumes.min() == pytest.approx(patient.esv)


def test_the_shortest_clip_of_the_slowest_heart_and_camera_still_shows_both():
    for i in range(50):
        for settings in ({"fps": 20.0}, {"heart_rate": 40.0}, {"fps": 120.0, "heart_rate": 120.0, "num_frames": 68}):
            patient = phantom.patient(5, i, **{"num_frames": 64, **settings})
            assert ejection_fraction(*phantom.volumes(patient)[extremes(patient)]) == pytest.approx(patient.ef)


@pytest.mark.parametrize("view", VIEWS)
def test_simpson_on_the_tracings_gives_the_label(view):
    for i in range(50):
        patient = phantom.patient(1, i, view=view)
        rows = phantom.tracings(patient, "a.avi")
        assert [row.frame for row in rows] == [f for f in extremes(patient) for _ in range(21)]
        diastolic, systolic = simpson(rows[:21]), simpson(rows[21:])
        assert ejection_fraction(diastolic, systolic) == pytest.approx(patient.ef, abs=0.1)
        if view == "A4C":
            assert diastolic * patient.spacing**3 == pytest.approx(patient.edv, rel=1e-3)


@pytest.mark.parametrize("view", VIEWS)
def test_the_mask_has_the_labels_ejection_fraction(view):
    errors = []
    for i in range(40):
        patient = phantom.patient(2, i, view=view)
        areas = phantom.lv_mask(patient, extremes(patient)).sum((1, 2))
        rows = phantom.tracings(patient, "a.avi")
        lengths = [math.hypot(row.x2 - row.x1, row.y2 - row.y1) for row in (rows[0], rows[21])]
        errors.append(ejection_fraction(*(areas**2 / lengths)) - patient.ef)
    assert abs(np.mean(errors)) < 0.5
    assert np.abs(errors).max() < 2.5


@pytest.mark.parametrize("view", VIEWS)
def test_chords_end_on_the_edge_of_the_mask(view):
    for i in range(10):
        patient = phantom.patient(2, i, view=view)
        rows = phantom.tracings(patient, "a.avi")
        for mask, traced in zip(phantom.lv_mask(patient, extremes(patient)), (rows[1:21], rows[22:42]), strict=True):
            for shrink, inside in ((0.8, True), (1.2, False)):
                for row in traced[3:-3]:
                    x, y = (row.x1 + row.x2) / 2, (row.y1 + row.y2) / 2
                    at = mask[round(y + shrink * (row.y2 - y)), min(111, round(x + shrink * (row.x2 - x)))]
                    assert bool(at) == inside or abs(row.x2 - x) + abs(row.y2 - y) < 6


def polygon_area(points):
    x, y = points[..., 0], points[..., 1]
    return np.abs((x * np.roll(y, -1, -1) - y * np.roll(x, -1, -1)).sum(-1)) / 2


def test_sizes_are_plausible_and_the_wall_keeps_its_area():
    for i in range(20):
        patient = phantom.patient(6, i, ef=60)
        size = ventricle.cavity(patient, np.array([0.0, 1.0]))
        assert 5 < size.length[0] < 12
        assert 3 < 2 * size.radius[0] < 8
        assert size.wall[1] > 1.1 * size.wall[0]
        inner = ventricle.contour(patient, size, 97)
        thin_apex = 1 - (1 - patient.anatomy.apex_thinning) * np.exp(-((np.linspace(-1, 1, 97) / 0.35) ** 2))
        outer = inner + mesh.normals(inner) * (size.wall[:, None] * thin_apex)[..., None]
        diastolic, systolic = polygon_area(np.concatenate([inner, outer[:, ::-1]], 1))
        assert systolic == pytest.approx(diastolic, rel=0.03)


def test_the_record_says_what_was_drawn():
    patient = phantom.patient(0, 5, view="PSAX")
    record = phantom.record(patient, "p5", "VAL")
    assert (record.name, record.split, record.height, record.width) == ("p5", "VAL", 112, 112)
    assert (record.num_frames, record.fps) == (patient.num_frames, patient.fps)
    assert record.extra["View"] == "PSAX"
    assert ejection_fraction(record.edv, record.esv) == pytest.approx(record.ef, abs=0.02)


def test_a_mask_of_a_frame_that_does_not_exist_is_refused():
    with pytest.raises(DataError, match="expected numbers in"):
        phantom.lv_mask(phantom.patient(0, 0, num_frames=64), [64])


# --- the picture ----------------------------------------------------------------------------------------------------


def test_rendering_is_deterministic(clips):
    patient, video = clips[1]
    assert video.shape == (64, 112, 112)
    assert video.dtype == np.uint8
    np.testing.assert_array_equal(phantom.render(patient), video)


def test_outside_of_the_fan_is_black_and_inside_is_not(clips):
    row, column = np.mgrid[:112, :112]
    for patient, video in clips:
        probe = patient.probe
        x, y = column - probe.apex_x, row - probe.apex_y
        outside = (np.abs(np.arctan2(x, y)) > math.radians(probe.sector / 2)) | (np.hypot(x, y) > probe.reach)
        assert not video[:, outside].any()
        assert 10 < video[:, ~outside].mean() < 110


def test_muscle_is_brighter_than_blood(clips):
    for patient, video in clips:
        frames = extremes(patient)
        for frame, cavity in zip(video[frames], phantom.lv_mask(patient, frames), strict=True):
            near = ndimage.binary_dilation(cavity, iterations=6) & ~ndimage.binary_dilation(cavity, iterations=2)
            core = ndimage.binary_erosion(cavity, iterations=2) if cavity.sum() > 200 else cavity
            assert frame[near].mean() > 1.3 * np.median(frame[core])


def test_frames_of_one_patient_are_more_alike_than_two_patients(clips):
    def alike(a, b):
        return np.corrcoef(a.ravel(), b.ravel())[0, 1]

    same = [alike(video[a], video[b]) for _, video in clips for a, b in ((0, 20), (10, 50))]
    other = [alike(a[0], b[20]) for i, (_, a) in enumerate(clips) for _, b in clips[:i]]
    assert min(same) > max(other)


@pytest.mark.parametrize("view", VIEWS)
def test_another_ejection_fraction_keeps_the_anatomy(view):
    weak, strong = (phantom.patient(9, 1, view=view, num_frames=64, ef=ef) for ef in (20.0, 70.0))
    assert extremes(weak) == extremes(strong)
    diastole, systole = extremes(weak)
    a, b = phantom.render(weak).astype(int), phantom.render(strong).astype(int)
    assert np.abs(a[diastole] - b[diastole]).max() <= 1
    assert np.abs(a[systole] - b[systole]).mean() > 3


@pytest.mark.parametrize("view", VIEWS)
def test_speckle_moves_with_the_tissue(view):
    """Patches of the wall correlate better where the tissue went than where it was."""
    moved, stayed = [], []
    for i in range(3):
        patient = phantom.patient(13, i, view=view, num_frames=64, ef=70)
        video = phantom.render(patient).astype(float)
        motion = cycle.motion(patient)
        contour = ventricle.contour(patient, ventricle.cavity(patient, motion.emptied), 25)
        place = ventricle.to_pixels(patient, contour, motion)
        fastest = int(np.abs(np.diff(phantom.volumes(patient))).argmax())
        a, b = video[fastest], video[fastest + 1]
        for before, after in zip(place[fastest], place[fastest + 1], strict=True):
            step = after - before
            if not (before.min() > 12 and before.max() < 100) or np.hypot(*step) < 0.8:
                continue
            y, x = np.mgrid[-4:5, -4:5]
            patch = ndimage.map_coordinates(a, [y + before[1], x + before[0]], order=1)
            if patch.std() < 5:
                continue
            for at, found in ((after, moved), (before, stayed)):
                other = ndimage.map_coordinates(b, [y + at[1], x + at[0]], order=1)
                found.append(np.corrcoef(patch.ravel(), other.ravel())[0, 1])
    assert len(moved) > 10
    assert np.nanmean(moved) > np.nanmean(stayed) + 0.05
    assert np.nanmean(moved) > 0.7


def test_a_clip_takes_well_under_a_second():
    patient = phantom.patient(0, 0, num_frames=64)
    begin = time.process_time()
    phantom.render(patient)
    assert time.process_time() - begin < 2.0


# --- the clinical look ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", VIEWS)
def test_the_look_changes_pictures_and_no_truth_about_ef(view):
    for i in range(20):
        plain, clinical = (phantom.patient(1, i, view=view, look=look) for look in ("plain", "clinical"))
        assert (clinical.ef, clinical.edv, clinical.heart_rate, clinical.fps) == (
            plain.ef,
            plain.edv,
            plain.heart_rate,
            plain.fps,
        )
        diastolic, systolic = phantom.volumes(clinical)[extremes(clinical)]
        assert ejection_fraction(diastolic, systolic) == pytest.approx(clinical.ef)
        rows = phantom.tracings(clinical, "a.avi")
        assert ejection_fraction(simpson(rows[:21]), simpson(rows[21:])) == pytest.approx(clinical.ef, abs=0.1)


@pytest.mark.parametrize("view", VIEWS)
def test_a_clinical_video_is_a_fan_with_a_beating_dark_cavity(view):
    contrasts, beats = [], []
    for i in range(3):
        patient = phantom.patient(7, i, view=view, num_frames=64, fps=32.0, look="clinical")
        frames, ends = phantom.render(patient), extremes(patient)
        assert frames.shape == (64, 112, 112)
        assert not frames[:, :2, :40].any()
        assert np.array_equal(frames, phantom.render(patient))
        masks = phantom.lv_mask(patient, ends)
        wall = ndimage.binary_dilation(masks[0], iterations=6) & ~ndimage.binary_dilation(masks[0], iterations=1)
        contrasts.append(float(frames[ends[0]][wall].mean() - np.median(frames[ends[0]][masks[0]])))
        left = masks[0] & ~masks[1]
        beats.append(float(frames[ends[1]][left].mean() - frames[ends[0]][left].mean()))
    assert np.mean(contrasts) > 10
    assert np.mean(beats) > 3


def test_frames_that_are_asked_for_are_those_of_the_video_but_for_noise():
    patient = phantom.patient(7, 1, num_frames=64, fps=32.0, look="clinical")
    frames = [3, 40, 20]
    whole, alone = phantom.render(patient)[frames].astype(float), phantom.render(patient, frames).astype(float)
    for i in range(3):
        apart = [float(np.abs(alone[i] - other).mean()) for other in whole]
        assert int(np.argmin(apart)) == i
        assert apart[i] < 8
    rows = phantom.tracings(patient, "a.avi", frames)
    assert [row.frame for row in rows[::21]] == frames
    assert rows[21:42] == phantom.tracings(patient, "a.avi", [40])
    with pytest.raises(DataError, match=r"frames \[64\], expected numbers in 0..63"):
        phantom.render(patient, [64])


def test_a_clinical_apex_closes_before_the_base_and_a_plain_one_with_it():
    narrowed = {"plain": [], "clinical": []}
    for look, found in narrowed.items():
        for i in range(20):
            patient = phantom.patient(2, i, look=look)
            rows = phantom.tracings(patient, "a.avi")
            diastolic, systolic = (
                np.array([np.hypot(r.x2 - r.x1, r.y2 - r.y1) for r in x]) for x in (rows[1:21], rows[22:])
            )
            kept = systolic / diastolic
            found.append(float(kept[:5].mean() / kept[-5:].mean()))
    assert np.allclose(narrowed["plain"], 1, atol=0.01)
    assert max(narrowed["clinical"]) < 1.01
    assert np.mean(narrowed["clinical"]) < 0.9


def test_plain_patients_have_none_of_what_only_the_clinical_look_draws():
    patient = phantom.patient(3, 0)
    assert patient.look == "plain"
    assert patient.anatomy.taper == patient.anatomy.apex_closing == patient.brightness.trabecular == 0
    assert (patient.anatomy.trabeculae, patient.brightness.patches, patient.probe.arcs, patient.probe.cloud) == (0,) * 4


def test_an_unknown_look_is_refused():
    with pytest.raises(DataError, match="look is 'real', expected one of plain, clinical"):
        phantom.patient(0, 0, look="real")
