"""What a texture is learned from: recordings whose latents are as steady as those that a video model generates."""

from pathlib import Path

import numpy as np
import pytest
import torch

from echosyn import weights
from echosyn.metrics.spectrum import temporal_power
from echosyn.pipeline.ingest.phantom import make_phantom
from echosyn.pipeline.train import texture
from echosyn.settings.training import TextureFitSettings
from echosyn.texture.sector import Sector

SECONDS = 3


def wave(hertz, fps):
    """Latents ``(T, 1, 2, 2)`` that move so many times a second."""
    return torch.sin(2 * np.pi * hertz * torch.arange(SECONDS * fps) / fps)[:, None, None, None].expand(-1, 1, 2, 2)


def kept(hertz, fps):
    """Which part of such a movement is left, away from the ends."""
    before, after = wave(hertz, fps), texture.steady(wave(hertz, fps), fps)
    middle = slice(fps // 2, -fps // 2)
    return float(after[middle].std() / before[middle].std())


@pytest.mark.parametrize("fps", [24, 32, 50])
def test_a_beat_stays_and_flicker_goes_whatever_the_frame_rate(fps):
    assert kept(1.2, fps) > 0.9
    assert kept(8, fps) < 0.1


def test_what_does_not_move_stays_as_it_is():
    still = torch.randn((1, 4, 3, 3)).expand(40, -1, -1, -1)
    torch.testing.assert_close(texture.steady(still, 32.0), still)


@pytest.mark.slow
def test_flicker_that_latents_hold_is_laid_on_videos_that_have_none(tmp_path: Path, monkeypatch, decoded_phantom):
    """The same recordings, with and without their latents' flicker taken for what is decoded."""
    make_phantom(tmp_path / "real", num=14, seed=5, num_frames=64, fps=32.0)
    asked = TextureFitSettings(steps=200)
    still = np.repeat(decoded_phantom[:1], 48, 0)
    inside = Sector.of(still).inside

    def restless():
        laid, *_ = texture.learned(tmp_path / "real", weights.shipped() / "vae", asked)
        return np.mean([temporal_power(laid.lay(still, 1, i), inside)[4:16].sum() for i in range(6)])

    with_flicker = restless()
    monkeypatch.setattr(texture, "FLICKER", 1e-3)
    assert with_flicker > 1.1 * restless()
