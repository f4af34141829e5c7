import numpy as np
import pytest

from echosyn.metrics.radiomics import LEVELS, NAMES, radiomics


def frame(seed: int, size: int = 64) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(30, 220, (size // 8, size // 8))
    picture = coarse.repeat(8, 0).repeat(8, 1).astype(np.uint8)
    picture[:, : size // 8] = 0
    return picture


def named(picture: np.ndarray) -> dict[str, float]:
    return dict(zip(NAMES, radiomics(picture[None])[0], strict=True))


def test_every_number_is_finite_and_named():
    pictures = np.stack([frame(0), frame(1), np.zeros((64, 64), np.uint8), np.full((64, 64), 255, np.uint8)])
    found = radiomics(pictures)
    assert found.shape == (4, len(NAMES))
    assert np.isfinite(found).all()
    assert (found[2] == 0).all()


def test_a_chessboard_by_hand():
    board = np.where(np.indices((16, 16)).sum(axis=0) % 2, 255, 16).astype(np.uint8)
    found = named(board)
    # 450 pairs along the diagonals are equal, 480 along rows and columns are levels 1 and 15
    assert found["co-occurrence contrast at 1"] == pytest.approx(480 / 930 * (LEVELS - 2) ** 2)
    assert found["intensity mean"] == pytest.approx((255 + 16) / 2)
    assert found["intensity entropy"] == pytest.approx(1.0)
    assert found["wavelet diagonal at 2"] > 0
    assert found["wavelet rows at 2"] == pytest.approx(0)
    assert found["content area"] == 1.0


def test_blur_and_noise_move_texture_the_opposite_way():
    picture = frame(0)
    noisy = np.clip(picture + np.random.default_rng(1).normal(0, 20, picture.shape), 5, 255).astype(np.uint8)
    smooth = picture.astype(float)
    for axis in (0, 1):
        smooth = (np.roll(smooth, 1, axis) + smooth + np.roll(smooth, -1, axis)) / 3
    key = "wavelet diagonal at 2"
    assert named(smooth.astype(np.uint8))[key] < named(noisy)[key]


def test_black_corners_do_not_count():
    picture = frame(0)
    wider = np.zeros((64, 128), np.uint8)
    wider[:, 32:96] = picture
    same = [n for n in NAMES if n.startswith(("intensity", "co-occurrence"))]
    assert [named(wider)[n] for n in same] == pytest.approx([named(picture)[n] for n in same])
