import math

import numpy as np
import pytest
import torch

from echosyn.errors import DataError
from echosyn.metrics.image import psnr, ssim


def frames(n: int = 3, seed: int = 0) -> np.ndarray:
    ramp = np.add.outer(np.arange(32), np.arange(40)) * 2
    noise = np.random.default_rng(seed).integers(0, 60, size=(n, 32, 40))
    return (ramp + noise).astype(np.uint8)


def test_psnr_of_a_known_error():
    a = np.zeros((2, 16, 16), dtype=np.uint8)
    b = a.copy()
    b[0] = 255
    b[1, :, ::2] = 10
    assert psnr(a, b).per_frame == pytest.approx([0.0, 10 * math.log10(255**2 / 50)])


def test_identical_frames_are_infinitely_good_and_stay_out_of_the_mean():
    a = frames()
    b = a.copy()
    assert psnr(a, b).mean == math.inf
    b[0, 0, 0] ^= 1
    scores = psnr(a, b)
    assert np.isfinite(scores.per_frame).tolist() == [True, False, False]
    assert scores.mean == scores.per_frame[0]
    assert scores.num_identical == 2


def test_ssim_of_identical_frames_is_one_and_falls_with_noise():
    a = frames()
    assert ssim(a, a).per_frame.tolist() == [1.0] * 3
    little, much = (
        np.clip(a + np.random.default_rng(1).normal(0, s, a.shape), 0, 255).astype(np.uint8) for s in (3, 30)
    )
    assert 1 > ssim(a, little).mean > ssim(a, much).mean > 0


def test_each_frame_is_scored_alone():
    a, b = frames(40), frames(40, seed=1)
    for score in (psnr, ssim):
        assert score(a, b).per_frame.shape == (40,)
        assert score(a[30:], b[30:]).per_frame == pytest.approx(score(a, b).per_frame[30:], abs=1e-6)
        assert score(torch.from_numpy(a), torch.from_numpy(b)).mean == pytest.approx(score(a, b).mean)
        assert score(b, a).mean == pytest.approx(score(a, b).mean)


def test_other_pixels_are_refused():
    a = frames()
    for bad in (a.astype(np.float32), a[0], a[:2], a[:, :5, :5]):
        with pytest.raises(DataError, match="frames"):
            ssim(bad, a if bad.shape[1:] != (5, 5) else bad)
    with pytest.raises(DataError, match="at least one"):
        psnr(a[:0], a[:0])


def test_ssim_is_that_of_torchmetrics():
    theirs = pytest.importorskip("torchmetrics.functional.image").structural_similarity_index_measure
    a, b = (torch.from_numpy(frames(5, seed)) for seed in (0, 1))
    expected = theirs(a[:, None].double(), b[:, None].double(), data_range=255.0, reduction="none")
    assert ssim(a, b).per_frame == pytest.approx(expected.numpy(), abs=1e-5)
