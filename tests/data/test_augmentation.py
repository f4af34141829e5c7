"""A changed frame is the same heart: moves are the moves they are called, and nothing asked is nothing done."""

import numpy as np
import pytest
import torch
from torch import Tensor

from echosyn.data.augmentation import Augmentation, augmented, moved
from echosyn.rng import numpy_generator

SIZE = 32
EVERYTHING = {"gain": 0.3, "shift": 0.1, "rotation": 10.0, "crop": 0.1, "speckle": 0.2, "noise": 0.2}
NOTHING = dict.fromkeys(EVERYTHING, 0.0)


def largest(**changes: float) -> Augmentation:
    """These changes and no others."""
    return Augmentation(**NOTHING | changes)


def blob(x: float = 16.0, y: float = 16.0, width: float = 3.0) -> Tensor:
    """A bright spot around column ``x`` and row ``y`` (pixel centres at .5)."""
    at = torch.arange(SIZE) + 0.5
    return 200 * torch.exp(-((at[None] - x) ** 2 + (at[:, None] - y) ** 2) / (2 * width**2))


def centre(frame: Tensor) -> tuple[float, float]:
    at, x = torch.arange(SIZE) + 0.5, frame.float()
    return float((x.sum(0) * at).sum() / x.sum()), float((x.sum(1) * at).sum() / x.sum())


def draws(index: int = 0) -> np.random.Generator:
    return numpy_generator(0, "test augmentation", index)


def test_nothing_asked_is_nothing_done():
    frame = blob().to(torch.uint8)
    assert torch.equal(augmented(frame, largest(), draws()), frame)


def test_a_shift_moves_right_and_down():
    assert centre(moved(blob(), shift=(4 / SIZE, -2 / SIZE))) == pytest.approx((20, 14), abs=0.05)


def test_a_rotation_turns_clockwise_about_the_centre():
    assert centre(moved(blob(24, 16), degrees=90)) == pytest.approx((16, 24), abs=0.1)
    assert centre(moved(blob(24, 16), degrees=-30)) == pytest.approx((16 + 8 * 0.866, 16 - 4), abs=0.1)


def test_a_crop_magnifies_about_the_centre():
    assert centre(moved(blob(20, 14, 1.5), scale=0.5)) == pytest.approx((24, 12), abs=0.1)


def test_a_shift_comes_after_the_rotation():
    assert centre(moved(blob(22, 16, 1.5), shift=(0, 4 / SIZE), degrees=90)) == pytest.approx((16, 26), abs=0.1)


def test_black_comes_in():
    assert (moved(torch.full((SIZE, SIZE), 100.0), shift=(0.25, 0))[:, :7] == 0).all()


@pytest.mark.parametrize("name", EVERYTHING)
def test_every_change_stays_within_what_is_asked(name: str) -> None:
    frame = (blob(20, 12) + 20).to(torch.uint8)
    strong, weak = (
        [augmented(frame, largest(**{name: amount * EVERYTHING[name]}), draws(i)).float() for i in range(20)]
        for amount in (1.0, 0.1)
    )
    far, near = ([float((x - frame).square().mean()) for x in changed] for changed in (strong, weak))
    assert np.mean(far) > 4 * np.mean(near) > 0
    assert len({tuple(x.flatten().tolist()) for x in strong}) > 15


def test_gain_scales_grey_levels_by_at_most_its_share_and_leaves_black_black():
    frame = torch.full((4, 4), 100, dtype=torch.uint8)
    frame[0] = 0
    seen = [augmented(frame, largest(gain=0.2), draws(i)) for i in range(50)]
    assert all((x[0] == 0).all() for x in seen)
    levels = [int(x[1, 1]) for x in seen]
    assert 80 <= min(levels) < 85
    assert 115 < max(levels) <= 120


def test_noise_has_the_asked_share_of_the_root_mean_square():
    frame = torch.full((112, 112), 120, dtype=torch.uint8)
    shares = [float((augmented(frame, largest(noise=0.1), draws(i)).float() - 120).std()) / 120 for i in range(40)]
    assert 0.09 < max(shares) < 0.105
    assert min(shares) < 0.02


def test_changes_are_those_of_the_draws_and_one_does_not_change_another():
    frame = blob().to(torch.uint8)
    assert torch.equal(
        augmented(frame, largest(**EVERYTHING), draws(3)), augmented(frame, largest(**EVERYTHING), draws(3))
    )
    moves = {"shift": 0.1}
    one = augmented(frame, largest(**moves), draws(3))
    both = augmented(frame, largest(**moves, gain=0.3), draws(3))
    assert centre(one) == pytest.approx(centre(both), abs=0.2)
