"""Item i depends on (seed, purpose, i) and on nothing else."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from echosyn import rng

seeds, indices = st.integers(0, 2**31), st.integers(0, 10**9)


@given(seeds, st.lists(st.integers(0, 50), min_size=1, max_size=8))
def test_an_item_is_the_same_in_every_batch_and_order(seed: int, batch: list[int]) -> None:
    together = rng.normal((2, 3), seed, "law", batch)
    alone = [rng.normal((2, 3), seed, "law", [i])[0] for i in batch]
    assert torch.equal(together, torch.stack(alone))
    assert torch.equal(rng.normal((2, 3), seed, "law", reversed(batch)), together.flip(0))


@given(seeds, indices)
def test_equal_keys_give_equal_draws_of_torch_and_numpy(seed: int, index: int) -> None:
    assert rng.key(seed, "p", index) == rng.key(seed, "p", index) < 2**63
    assert rng.generator(seed, "p", index).initial_seed() == rng.key(seed, "p", index)
    one, other = (rng.numpy_generator(seed, "p", index).random(4) for _ in range(2))
    assert np.array_equal(one, other)


@given(st.tuples(seeds, st.text("ab"), indices), st.tuples(seeds, st.text("ab"), indices))
def test_different_names_have_different_keys(one: tuple[int, str, int], other: tuple[int, str, int]) -> None:
    assert (rng.key(*one) == rng.key(*other)) == (one == other)


def test_seeds_purposes_and_indices_are_unrelated():
    names = [(s, p, i) for s in (0, 1) for p in ("still", "motion", "stil") for i in (0, 1)]
    draws = np.stack([rng.normal((10_000,), s, p, [i])[0].numpy() for s, p, i in names])
    correlation = np.corrcoef(draws) - np.eye(len(names))
    assert np.abs(correlation).max() < 0.05  # five standard errors
    assert abs(draws.mean()) < 0.02
    assert draws.std() == pytest.approx(1, abs=0.02)


def test_noise_ignores_and_spares_the_global_generator():
    torch.manual_seed(1)
    before = rng.normal((3,), 0, "p", [0])
    state = torch.get_rng_state()
    assert torch.equal(rng.normal((3,), 0, "p", [0]), before)
    with rng.initializing(5):
        torch.randn(3)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_network_depends_on_its_seed_alone():
    def weight(seed: int) -> torch.Tensor:
        with rng.initializing(seed):
            return torch.nn.Linear(3, 3).weight

    torch.manual_seed(1)
    one = weight(0)
    torch.manual_seed(2)
    assert torch.equal(weight(0), one)
    assert not torch.equal(weight(1), one)


def test_released_seeds_keep_their_meaning():
    # A change here changes every dataset that anybody has made.
    assert rng.key(0, "still", 0) == 7556295228528038565
    assert rng.normal((2,), 0, "still", [0])[0].tolist() == pytest.approx([-0.6235180497, -0.0841895640])
