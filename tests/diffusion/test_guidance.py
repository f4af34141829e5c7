"""Guidance is a straight line through the two predictions."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from echosyn.diffusion.guidance import guided

X, T = torch.tensor([[1.0, -2.0]]), torch.tensor(3.0)


def conditional(x_t: Tensor, t: Tensor) -> Tensor:
    return x_t * t


def unconditional(x_t: Tensor, t: Tensor) -> Tensor:
    return x_t - t


def test_one_is_plain_and_costs_nothing():
    assert guided(conditional, unconditional, 1.0) is conditional


def test_zero_ignores_the_condition():
    assert torch.equal(guided(conditional, unconditional, 0.0)(X, T), unconditional(X, T))


@given(st.floats(-5, 10))
def test_it_is_linear_in_the_scale(scale: float) -> None:
    expected = (1 - scale) * unconditional(X, T) + scale * conditional(X, T)
    assert torch.allclose(guided(conditional, unconditional, scale)(X, T), expected, atol=1e-4)


@pytest.mark.parametrize("scale", [-1.0, 0.5, 7.0])
def test_a_condition_that_changes_nothing_is_not_exaggerated(scale: float) -> None:
    assert torch.equal(guided(conditional, conditional, scale)(X, T), conditional(X, T))
