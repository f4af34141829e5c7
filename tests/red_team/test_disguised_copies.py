"""Somebody plants copies of training videos in disguise: every kind is flagged, and names the patient."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from echosyn import rng, weights
from echosyn.data import phantom
from echosyn.diffusion.codec import LatentCodec
from echosyn.pipeline.audit.positive_controls import relaying
from echosyn.pipeline.models import codec
from echosyn.pipeline.privacy_filter.real_videos import digest_of
from echosyn.pipeline.privacy_filter.screens import Screens
from echosyn.privacy.positive_controls import in_pixels
from echosyn.privacy.screen import Screen, video_screen
from echosyn.privacy.video_digests import VideoDigest

TRAIN, HELD_OUT = 20, 20
COPIED = (3, 15)
FIRST = 1500
"""The shipped models saw phantoms of this seed below."""

Desk = tuple[Screen[Sequence[VideoDigest]], LatentCodec]


def frames(i: int) -> torch.Tensor:
    """Sixteen a second, of two seconds."""
    drawn = phantom.render(phantom.patient(1, i, view="A4C", num_frames=64, fps=32.0))
    return torch.from_numpy(drawn[::2].astype(np.uint8))


@pytest.fixture(scope="module")
def desk() -> Desk:
    models = weights.find_all(weights.shipped(), ("vae", "reid"), "a4c")
    encoder, people = codec(models["vae"], torch.device("cpu")), range(TRAIN + HELD_OUT)
    digests = [digest_of(frames(FIRST + 2 * i)[::2], encoder) for i in people]
    names, is_train = [f"p{i:02d}" for i in people], [i < TRAIN for i in people]
    return video_screen(digests, names, is_train, Screens.of(models).embed("cpu")), encoder


@pytest.mark.parametrize("copied", [COPIED[0], *(pytest.param(i, marks=pytest.mark.slow) for i in COPIED[1:])])
@pytest.mark.parametrize("control", [c for c in in_pixels() if c.must is not None], ids=str)
def test_a_copy_in_disguise_is_flagged_and_named(control, copied: int, desk: Desk):
    screen, encoder = desk
    source, other = frames(FIRST + 2 * copied), frames(FIRST + 2 * copied + 2)
    made = control.change(source, other, rng.generator(0, "red team", copied))
    found = screen.judge([digest_of(made[::2], encoder)])
    assert not found.kept.any()
    assert list(found.nearest) == [f"p{copied:02d}"]


def test_a_copy_through_the_vae_with_another_texture_is_flagged_and_named(desk: Desk):
    screen, encoder = desk
    relay = relaying(weights.find_all(weights.shipped(), ("vae",), "a4c")["vae"], encoder)
    assert relay is not None
    originals = [frames(FIRST + 2 * i) for i in COPIED]
    made = [relay(x, rng.generator(0, "red team", i)) for x, i in zip(originals, COPIED, strict=True)]
    grain = [(x.float() - encoder.reconstruct(y).float()).std() for x, y in zip(made, originals, strict=True)]
    assert min(grain) > 5, "there is texture on them"
    found = screen.judge([digest_of(x[::2], encoder) for x in made])
    assert not found.kept.any()
    assert list(found.nearest) == [f"p{i:02d}" for i in COPIED]


def test_strangers_are_mostly_left_alone(desk: Desk):
    screen, encoder = desk
    found = screen.judge([digest_of(frames(FIRST + 200 + 2 * i)[::2], encoder) for i in range(12)])
    assert found.kept.double().mean() >= 0.75
