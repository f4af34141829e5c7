"""Chords of a mask span its area, whatever the shape of its pixels and its tilt."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echosyn.data.open_data import masks
from echosyn.data.open_data.masks import MaskError
from open_data import Heart


def area(chords: np.ndarray, spacing: tuple[float, float]) -> float:
    """By discs, in square mm."""
    across = np.hypot(*((chords[1:, 1] - chords[1:, 0]) * spacing).T)
    axis = (chords[0, 1] - chords[0, 0]) * spacing
    return float(across.mean() * np.hypot(*axis))


@settings(max_examples=25, deadline=None)
@given(
    st.floats(60, 90),
    st.floats(30, 50),
    st.floats(-0.5, 0.5),
    st.sampled_from([(0.5, 0.5), (0.6, 0.3), (0.3, 0.6), (0.8, 0.5)]),
    st.booleans(),
)
def test_the_chords_of_an_ellipse_span_its_area(
    long: float, short: float, tilt: float, spacing: tuple[float, float], with_atrium: bool
) -> None:
    heart = Heart(long, short, tilt)
    labels = heart.labels(round(120 / spacing[0]), round(140 / spacing[1]), spacing).T
    labels[(labels == 3) & (not with_atrium)] = 0
    chords = masks.traced(labels, spacing[0] / spacing[1])
    assert chords.shape == (21, 2, 2)
    assert area(chords, spacing) == pytest.approx(np.pi / 4 * long * short, rel=0.02)
    apex, base = chords[0] * spacing
    assert base[1] > apex[1]
    towards = (base - apex) / np.hypot(*(base - apex))
    assert np.arctan2(-towards[0], towards[1]) == pytest.approx(tilt, abs=0.05)
    for start, end in chords[1:] * spacing:
        assert abs((end - start) @ towards) < 1e-6
    middles = (chords[1:].mean(axis=1) * spacing - apex) @ towards
    assert np.allclose(np.diff(middles), np.hypot(*(base - apex)) / 20)


def test_a_mask_that_stands_on_its_head_or_lies_is_refused() -> None:
    labels = Heart().labels(160, 200, (0.8, 0.8))
    masks.traced(labels.T)
    for turned in (labels.T[::-1], labels):
        with pytest.raises(MaskError, match="expected the apex at the top"):
            masks.traced(turned)
    with pytest.raises(MaskError, match="no cavity"):
        masks.traced(np.where(labels == 1, 0, labels).T)


def test_specks_beside_the_cavity_do_not_count() -> None:
    labels = Heart().labels(160, 200, (0.8, 0.8)).T
    speckled = labels.copy()
    speckled[5:8, 5:8] = 1
    assert np.array_equal(masks.traced(speckled), masks.traced(labels))
