"""Classifier-free guidance (Ho & Salimans 2022), as a wrapper around two denoisers."""

from torch import Tensor

from echosyn.diffusion.denoiser import Denoiser


def guided(conditional: Denoiser, unconditional: Denoiser, scale: float) -> Denoiser:
    """``u + scale (c - u)`` (eq. 6 with scale = 1 + w): 0 ignores the condition, 1 is plain, more exaggerates it."""
    if scale == 1.0:
        return conditional

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        u = unconditional(x_t, t)
        return u + scale * (conditional(x_t, t) - u)

    return denoise
