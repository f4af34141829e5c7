"""Classifier-free guidance (Ho & Salimans 2022), as a wrapper around two denoisers."""

from collections.abc import Callable

from torch import Tensor


def guided(
    conditional: Callable[..., Tensor], unconditional: Callable[..., Tensor], scale: float
) -> Callable[..., Tensor]:
    """``u + scale (c - u)`` (eq. 6 with scale = 1 + w): 0 ignores the condition, 1 is plain, more exaggerates it.

    Both get what the result is called with: ``(x_t, t)`` and perhaps conditions that differ by frame.
    """
    if scale == 1.0:
        return conditional

    def denoise(x_t: Tensor, t: Tensor, *per_frame: Tensor) -> Tensor:
        u = unconditional(x_t, t, *per_frame)
        return u + scale * (conditional(x_t, t, *per_frame) - u)

    return denoise
