"""Held-out pairs are of opposite phase, and a similarity that knows patients is told from one that does not."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from echosyn.data import phantom
from echosyn.data.records import Record
from echosyn.training.verification import FRAMES_PER_PATIENT, half_beat, opposite_frames, plot, verify


def beating(num_frames: int, period: float) -> Tensor:
    """One pixel that follows a cosine."""
    return torch.cos(2 * torch.pi * torch.arange(num_frames) / period).reshape(-1, 1, 1)


@pytest.mark.parametrize("period", [12, 20, 34, 60])
def test_half_a_beat_is_half_the_period_whatever_the_scale(period: int) -> None:
    lags = {half_beat(scale * beating(150, period) + 3, fps=50) for scale in (1.0, 100.0)}
    assert all((lag - period / 2) % period in (0, period - 1, 1) for lag in lags)


def test_half_a_beat_of_a_phantom_is_that_of_its_heart_rate():
    for i in range(2):
        patient = phantom.patient(5, i, num_frames=64)
        lag = half_beat(torch.from_numpy(phantom.render(patient)), patient.fps)
        beats = lag / patient.fps * patient.heart_rate / 60
        assert 0.25 <= beats % 1 <= 0.75


def test_a_short_video_has_a_lag_within_it():
    assert half_beat(beating(2, 20), 50) == 1
    assert half_beat(beating(9, 20), 50) <= 4


def test_each_patient_gives_the_same_number_of_pairs_from_one_video():
    videos = {f"v{i}": beating(40 + 10 * i, 20) + 10 * i for i in range(4)}
    records = [Record(name, fps=30.0, extra={"PatientId": f"p{i // 2}"}) for i, name in enumerate(videos)]
    pairs = opposite_frames(records, lambda record: videos[record.name])
    assert pairs.patients == ["p0"] * FRAMES_PER_PATIENT + ["p1"] * FRAMES_PER_PATIENT
    assert {round(float(x) / 20) for x in pairs.a[:FRAMES_PER_PATIENT].flatten()} == {0}
    assert {round(float(x) / 20) for x in pairs.a[FRAMES_PER_PATIENT:].flatten()} == {1}
    assert torch.allclose((pairs.a + pairs.b)[:FRAMES_PER_PATIENT], torch.zeros(()), atol=0.3)


def test_still_pictures_and_no_patients_give_nothing():
    assert opposite_frames([Record("v", fps=30.0)], lambda _: beating(1, 20)).patients == []
    assert opposite_frames([], lambda _: beating(9, 20)).patients == []


PATIENTS = [f"p{i // 4}" for i in range(40)]


def similarity(strength: float) -> Tensor:
    codes = torch.arange(40) // 4
    noise = torch.randn(40, 40, generator=torch.Generator().manual_seed(0))
    return strength * (codes[:, None] == codes[None]) + noise


def test_a_similarity_that_knows_patients_has_an_area_of_one_and_noise_has_a_half():
    knows, guesses = (verify(similarity(s), PATIENTS) for s in (100.0, 0.0))
    assert knows.numbers() == pytest.approx({"auc": 1, "auc_low": 1, "auc_high": 1, "tpr_at_1_percent_fpr": 1})
    assert guesses.auc.low < 0.5 < guesses.auc.high


def test_other_pairs_of_a_patient_do_not_count():
    known = similarity(5.0)
    changed = known.clone()
    block = torch.block_diag(*[torch.ones(4, 4)] * 10).bool() & ~torch.eye(40, dtype=torch.bool)
    changed[block] = -100.0
    assert verify(changed, PATIENTS).numbers() == verify(known, PATIENTS).numbers()


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    plot({"one": verify(similarity(3.0), PATIENTS), "other": verify(similarity(1.0), PATIENTS)}, tmp_path / "roc.png")
    assert Image.open(tmp_path / "roc.png").size == (960, 700)
