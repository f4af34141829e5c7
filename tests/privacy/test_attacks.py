import numpy as np
import pytest
import torch

from echosyn.errors import DataError
from echosyn.privacy.attacks import (
    density_ratio,
    gradients,
    halves_linked,
    loss_scores,
    nearest_by_far,
    proximal_scores,
    singling_out,
)
from echosyn.privacy.patient_matches import Exposure, Sides


def people(num: int, seed: int, d: int = 6) -> torch.Tensor:
    return torch.randn(num, d, generator=torch.Generator().manual_seed(seed))


def memoriser(members: torch.Tensor):
    """Flow errors of a denoiser that knows its members by heart and believes that all else is zero."""

    def errors(x0, eps, t, rows):
        known = torch.cdist(x0, members).amin(dim=1) < 1e-3
        return torch.where(known, 0.0, 1.0) + t * eps.square().mean(dim=1)

    return errors


def area(scores, positive) -> float:
    difference = scores[positive][:, None] - scores[~positive][None]
    return float(np.where(np.abs(difference) < 1e-6, 0.5, difference > 0).mean())


def test_white_box_attacks_find_the_members_of_a_memoriser_and_nobody_in_an_honest_model():
    x = people(60, 0)
    is_member = np.arange(60) < 20
    for attack in (
        lambda errors: loss_scores(x, errors, batch_size=7),
        lambda errors: proximal_scores(x, errors, lambda x0, rows: torch.zeros_like(x0), batch_size=7),
    ):
        assert area(attack(memoriser(x[:20])), is_member) > 0.95
        assert area(attack(memoriser(people(20, 9))), is_member) == pytest.approx(0.5, abs=0.2)


def test_scores_do_not_depend_on_the_batch():
    x = people(30, 1)
    assert np.allclose(
        loss_scores(x, memoriser(x[:5]), batch_size=4), loss_scores(x, memoriser(x[:5]), batch_size=30), atol=1e-6
    )


def test_rows_tell_the_denoiser_which_items_they_are():
    seen = []
    loss_scores(people(5, 0), lambda x0, eps, t, rows: (seen.append(list(rows)), torch.zeros(len(x0)))[1], batch_size=2)
    assert seen[0] == [0, 1]
    assert seen[-1] == [4]


def test_density_ratio_finds_whom_the_synthetic_set_surrounds():
    rng = np.random.default_rng(0)
    members, others, population = rng.normal(size=(3, 80, 4))
    copies = members + 0.1 * rng.normal(size=(80, 4))
    targets, is_member = np.concatenate([members, others]), np.arange(160) < 80
    assert area(density_ratio(targets, copies, population), is_member) > 0.65  # Scott's bandwidth is wide for 80 people
    fair = density_ratio(targets, rng.normal(size=(80, 4)), population)
    assert area(fair, is_member) == pytest.approx(0.5, abs=0.12)


def test_density_ratio_is_about_zero_where_both_sets_are_alike():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 3))
    ratio = density_ratio(rng.normal(size=(50, 3)), x[:150], x[150:])
    assert abs(np.median(ratio)) < 0.3


def test_density_ratio_refuses_what_it_cannot_estimate():
    x = np.zeros((5, 3))
    with pytest.raises(DataError, match="at least 3"):
        density_ratio(x, x[:2], x)
    with pytest.raises(DataError, match="NaN"):
        density_ratio(x * np.nan, x, x)


def test_singling_out_counts_patients_whom_a_description_fits_alone():
    is_train = np.arange(20) < 10
    similarity = np.zeros((4, 20))
    similarity[0, 3] = similarity[1, 3] = similarity[3, 5] = 1
    similarity[2, [1, 2]] = 1
    found = singling_out(exposed(similarity, is_train), Sides.drawn(is_train))
    assert (found.main.successes, found.main.num, found.control.successes) == (2, 10, 0)


def test_few_patients_leave_the_share_of_those_singled_out_open_however_many_videos_there_are():
    """Three training patients and two held-out ones, 200 videos: videos are no trials."""
    is_train = np.arange(5) < 3
    assert singling_out(exposed(np.zeros((200, 5)), is_train), Sides.drawn(is_train)).main.high > 0.8


def test_a_larger_training_set_is_no_larger_risk():
    """Descriptions fit one of many sooner than one of few: the sides are compared at equal size."""
    similarity = np.random.default_rng(0).uniform(size=(400, 550))
    is_train, all_train = np.arange(550) < 500, np.ones(550, bool)
    found = singling_out(exposed(similarity, is_train, 0.99), Sides.drawn(is_train))
    assert found.low == 0
    assert found.main.value == pytest.approx(found.control.value, abs=0.1)
    nobody = singling_out(exposed(similarity, all_train, 0.99), Sides.drawn(all_train))
    assert (nobody.low, nobody.high) == (0.0, 1.0)


def exposed(similarity, is_train, threshold: float = 0.5) -> Exposure:
    return Exposure.of(similarity, Sides.drawn(is_train), threshold)


def unit(vectors) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_the_source_of_a_video_is_first_by_far_and_nobody_else_is():
    rng = np.random.default_rng(0)
    patients = unit(rng.normal(size=(40, 60)))
    copies = unit(patients[:5] + 0.05 * rng.normal(size=(5, 60)))
    found = nearest_by_far(patients, np.concatenate([copies, unit(rng.normal(size=(30, 60)))]), block=7)
    assert sorted(found.argsort()[-5:].tolist()) == [0, 1, 2, 3, 4]
    by_hand = patients @ copies[0]
    assert found[0] == pytest.approx(by_hand[0] - np.sort(by_hand)[-2])
    alone = nearest_by_far(patients, copies[:1])
    assert (alone[1:] < 0).all(), "who is never first has a negative gap"


def test_halves_of_a_recording_are_linked_where_the_set_holds_it():
    """200 training patients of whom half are in the set: more are linked than of 200 others, of whom some are by chance."""
    rng = np.random.default_rng(1)
    patients, is_train = rng.normal(size=(400, 20)), np.arange(400) < 200
    halves = [unit(patients + 0.3 * rng.normal(size=patients.shape)) for _ in range(2)]
    strangers = rng.normal(size=(100, 20))
    leaky = halves_linked(*halves, unit(np.concatenate([patients[:100], strangers])), is_train)
    assert leaky.risk.main.value > leaky.risk.control.value > leaky.naive == 1 / 200
    assert leaky.p_value < 0.01
    fair = [halves_linked(*halves, unit(rng.normal(size=(200, 20))), is_train).p_value for _ in range(20)]
    assert sum(p < 0.05 for p in fair) <= 3


def test_gradients_see_edges_and_no_grey_levels():
    x = torch.rand(20, 28, 28, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(gradients(x), gradients(1 - x), atol=1e-3)
    assert torch.allclose(gradients(x), gradients(0.3 * x + 5), atol=1e-3)
    assert gradients(x) @ gradients(x.flip(1)) < 0.99
    assert gradients(torch.zeros(3, 28, 28)).norm() == 0
