"""Outlines by a network: right on phantoms whose outline is known, silent where there is no heart."""

import numpy as np
import pytest
import torch

from echosyn import weights
from echosyn.data import phantom
from echosyn.errors import DataError
from echosyn.metrics.outlining import outline


@pytest.fixture(scope="module")
def network():
    return weights.load(weights.shipped() / "outline", "outline")


class Threshold(torch.nn.Module):
    """Says that dark is cavity, with an edge as sharp as asked."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = torch.nn.Parameter(torch.tensor(slope))

    def forward(self, stills):
        return self.slope * (0.5 - stills)


def pulsating(shrink, blur=0.0):
    """A dark disc in bright tissue whose radius falls by ``shrink`` pixels and comes back, 32 frames."""
    y, x = np.mgrid[:112, :112] - 56.0
    radii = 25 - shrink * np.sin(np.linspace(0, np.pi, 32)) ** 2
    distance = np.hypot(x, y)[None] - radii[:, None, None]
    bright = 1 / (1 + np.exp(-distance / blur)) if blur else (distance > 0)
    return (200 * bright).astype(np.uint8)


def test_areas_and_ef_of_a_disc_are_those_of_geometry():
    found = outline(pulsating(shrink=8), Threshold(50.0))
    assert found.areas.max() == pytest.approx(np.pi * 25**2, rel=0.03)
    assert found.areas.min() == pytest.approx(np.pi * 17**2, rel=0.06)
    assert found.reason is None
    assert found.ef > 30


def test_a_blurred_edge_is_less_certain_and_too_blurred_gives_no_statement():
    sharp, soft = (outline(pulsating(8, blur), Threshold(5.0)) for blur in (0.0, 3.0))
    assert soft.uncertainty > sharp.uncertainty
    lost = outline(pulsating(8, blur=12.0), Threshold(2.0))
    assert lost.ef is None
    assert lost.reason


def test_no_heart_gives_no_ef(network):
    noise = np.random.default_rng(0).integers(0, 60, (16, 112, 112)).astype(np.uint8)
    for frames in (np.zeros((16, 112, 112), np.uint8), noise):
        found = outline(frames, network)
        assert found.ef is None
        assert found.reason


def test_clinical_phantoms_are_outlined_and_their_ef_is_read(network):
    dice, errors = [], []
    for i in range(6):
        patient = phantom.patient(990, i, num_frames=64, fps=32.0, look="clinical")
        frames, volumes = phantom.render(patient), phantom.volumes(patient)
        found = outline(frames, network)
        ends = [int(volumes.argmax()), int(volumes.argmin())]
        truth = phantom.lv_mask(patient, ends)
        both = (found.masks[ends] & truth).sum((1, 2))
        dice += list(2 * both / (found.masks[ends].sum((1, 2)) + truth.sum((1, 2))))
        errors += [] if found.ef is None else [abs(found.ef - patient.ef)]
    assert np.median(dice) > 0.85
    assert len(errors) >= 3
    assert np.median(errors) < 10


def test_wrong_shapes_are_refused():
    with pytest.raises(DataError, match="sides multiples of 16"):
        outline(np.zeros((4, 100, 112), np.uint8), Threshold(1.0))
